"""The agent's flags, checked."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn

from vip.backends import BackendAddress
from vip.election import Timing

LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Options:
    """What an agent needs to know. `address` is `host:port`, also the record's key."""

    host: str
    port: int
    node_name: str
    backends: tuple[BackendAddress, ...]
    backend_cafile: Path
    etcd_servers: tuple[str, ...]
    etcd_cafile: Path | None
    etcd_certfile: Path | None
    etcd_keyfile: Path | None
    interface: str | None
    timing: Timing
    log_level: str

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_options(arguments: Sequence[str] | None) -> Options:
    """Flags to options. Wrong ones end the process with one line and exit code 2."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        host, port = split_address(given.address)
        backends = tuple(BackendAddress(*split_address(b)) for b in given.backends.split(","))
        timing = Timing.of_ttl(given.lease_duration)
    except ValueError as error:
        parser.error(str(error))
    tls = (given.etcd_cafile, given.etcd_certfile, given.etcd_keyfile)
    if any(tls) and not all(tls):
        parser.error("--etcd-cafile, --etcd-certfile and --etcd-keyfile go together")
    return Options(
        host=host,
        port=port,
        node_name=given.node_name,
        backends=backends,
        backend_cafile=given.backend_cafile,
        etcd_servers=tuple(given.etcd_servers.split(",")),
        etcd_cafile=given.etcd_cafile,
        etcd_certfile=given.etcd_certfile,
        etcd_keyfile=given.etcd_keyfile,
        interface=given.interface,
        timing=timing,
        log_level=given.log_level,
    )


def split_address(text: str) -> tuple[str, int]:
    """`host:port`, an IPv6 host in brackets, as its parts. Raises ValueError."""
    host, colon, port = text.strip().rpartition(":")
    if not (colon and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r} is not ADDRESS:PORT")
    try:
        return str(ip_address(host.strip("[]"))), int(port)
    except ValueError as error:
        raise ValueError(f"{text!r}: {host!r} is not an IP address") from error


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m vip", description="One node's virtual IP agent.")
    add = parser.add_argument
    add("--address", required=True, help="ADDRESS:PORT of the virtual IP")
    add("--node-name", required=True, help="the name of this node")
    add("--backends", required=True, help="ADDRESS:PORT of every API server, with commas")
    add("--backend-cafile", required=True, type=Path, help="the CA of the API servers")
    add("--etcd-servers", required=True, help="URLs of the store's members, nearest first")
    add("--etcd-cafile", type=Path, help="the CA of the store")
    add("--etcd-certfile", type=Path, help="our certificate for the store")
    add("--etcd-keyfile", type=Path, help="our key for the store")
    add("--interface", help="add the address to this interface (root); default: bind loopback")
    add("--lease-duration", type=int, default=3, help="seconds (default 3)")
    add("--log-level", choices=LOG_LEVELS, default="info")
    return parser
