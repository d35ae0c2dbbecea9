"""`python -m vip`: one node's agent, until SIGTERM."""

import asyncio
import logging
import resource
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from etcdclient.client import EtcdClient
from etcdclient.tls import TlsFiles
from vip.agent import Agent, boot_time
from vip.backends import Backend, Pool
from vip.balancer import Balancer, Limits
from vip.election import Election
from vip.health import CheckTiming, HealthChecker
from vip.loopback import AddressError, LoopbackAddress, OwnedAddress, check_bindable
from vip.options import Options, parse_options
from vip.record import record_key
from vip.store import RecordStore

log = logging.getLogger("vip")

_FILES_PER_CONNECTION = 2
_FILES_SPARE = 64


class StartError(Exception):
    """The agent cannot start; one line with cause and remedy."""


async def serve(options: Options) -> None:
    """Run the agent until SIGTERM or SIGINT. Raises StartError."""
    context = _backend_context(options.backend_cafile)
    owned = _owned_address(options)
    timing = CheckTiming()
    pool = Pool(options.backends, dead_after_s=timing.dead_after_s)
    async with EtcdClient(options.etcd_servers, tls=_store_tls(options)) as client:
        agent = Agent(
            node=options.node_name,
            address=options.address,
            election=Election(options.timing, has_witness=owned.has_witness),
            store=RecordStore(client, record_key(options.address)),
            owned=owned,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, agent.stop)
        async with asyncio.TaskGroup() as tasks:

            def on_dead(backend: Backend) -> None:
                dropped = balancer.drop(backend)
                if dropped:
                    log.info("reset %d connections to %s", dropped, backend.address)

            checker = HealthChecker(pool, context, on_dead=on_dead, timing=timing)
            balancer = Balancer(pool, tasks, limits=_limits(), on_dial_failed=checker.check_soon)
            checking = tasks.create_task(checker.run(), name="health")
            log.info("ready address=%s node=%s", options.address, options.node_name)
            await agent.run(balancer, checker)
            checking.cancel()


def _owned_address(options: Options) -> OwnedAddress:
    try:
        if options.interface is not None:
            from vip.interface import InterfaceAddress

            return InterfaceAddress(options.interface, options.host, options.port, boot_time)
        check_bindable(options.host)
    except AddressError as error:
        raise StartError(str(error)) from error
    return LoopbackAddress(options.host, options.port)


def _store_tls(options: Options) -> TlsFiles | None:
    if options.etcd_cafile is None:
        return None
    assert options.etcd_certfile is not None
    assert options.etcd_keyfile is not None
    for path in (options.etcd_cafile, options.etcd_certfile, options.etcd_keyfile):
        _check_readable(path)
    return TlsFiles(options.etcd_cafile, options.etcd_certfile, options.etcd_keyfile)


def _backend_context(cafile: Path) -> ssl.SSLContext:
    _check_readable(cafile)
    try:
        return ssl.create_default_context(cafile=str(cafile))
    except ssl.SSLError as error:
        raise StartError(f"{cafile} holds no CA certificate: {error}; restore it") from error


def _check_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise StartError(f"cannot read {path}: {error.strerror}; see the flag's path") from error


def _limits() -> Limits:
    """As many connections as the process may open files for, two each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = Limits().connections_max * _FILES_PER_CONNECTION + _FILES_SPARE
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    able = max(1, (soft - _FILES_SPARE) // _FILES_PER_CONNECTION)
    connections_max = min(Limits().connections_max, able)
    return Limits(
        connections_max=connections_max, silent_max=min(Limits().silent_max, connections_max)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 after a clean stop, 1 if the agent cannot start, 2 for wrong flags."""
    import uvloop

    if not __debug__:
        sys.stderr.write("vip: invariants are asserts; run without python -O\n")
        return 2
    options = parse_options(arguments)
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        uvloop.run(serve(options))
    except StartError as error:
        sys.stderr.write(f"vip: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
