"""One API server from start to clean stop: what runs, in which order it begins and ends."""

import asyncio
import logging
import socket
import ssl
from pathlib import Path
from typing import Final

from apiserver.admission.namespaces import NamespaceLifecycle
from apiserver.admission.service_addresses import ServiceAddresses
from apiserver.api.errors import ApiError
from apiserver.api.scheme import SCHEME
from apiserver.bootstrap import bootstrap
from apiserver.endpoints.api import Api
from apiserver.flags import Flags
from apiserver.http.chain import (
    build_chain,
    identity,
    with_authentication,
    with_authorization,
    with_impersonation,
    with_panic_recovery,
    with_request_info,
    with_timeout,
)
from apiserver.http.discovery import Discovery
from apiserver.http.dispatch import Dispatcher
from apiserver.http.health import Check, Health
from apiserver.http.listener import Listener, server_tls
from apiserver.namespace_furnisher import NamespaceFurnisher
from apiserver.namespace_sweeper import NamespaceSweeper
from apiserver.presence import Presence
from apiserver.store.storage import Storage
from etcdclient.client import EtcdClient
from etcdclient.tls import TlsFiles
from tlsedge.listener import TlsListener

log = logging.getLogger("apiserver")

# A store that cannot be reached for so long after the start is a mistake to be told.
STORE_TIMEOUT_S: Final = 60.0
STORE_CALL_TIMEOUT_S: Final = 5.0
DRAIN_TIMEOUT_S: Final = 10.0
LEAVE_TIMEOUT_S: Final = 2.0
KEEPALIVE_GRACE_S: Final = 0.5
BOOTSTRAP_RETRY_S: Final = 0.2
BACKLOG: Final = 1024


class StartError(Exception):
    """The server cannot serve; one line that names cause and remedy."""


class ApiServer:
    """The parts of one API server, wired."""

    def __init__(self, flags: Flags, client: EtcdClient, port: int) -> None:
        self._flags = flags
        self._port = port
        self.storage = Storage(client, compaction_interval_s=flags.compaction_interval_s)
        self.api = Api(self.storage, SCHEME, NamespaceLifecycle(self.storage))
        addresses = SCHEME.by_kind("networking.k8s.io/v1", "IPAddress")
        assert addresses is not None
        self.api.addresses = ServiceAddresses(
            self.storage, addresses, flags.service_cluster_ip_range
        )
        root_ca = Path(flags.client_ca_file).read_text() if flags.client_ca_file else ""
        self._furnisher = NamespaceFurnisher(self.api, root_ca)
        self._sweeper = NamespaceSweeper(self.api)
        self.api.namespace_created = self._furnisher.hurry
        self.api.namespace_deleted = self._sweeper.hurry
        self._bootstrapped = asyncio.Event()
        self._draining = False
        health = Health(self._checks())
        dispatcher = Dispatcher(
            self.api, health, Discovery(SCHEME, f"{flags.advertise_address}:{port}")
        )
        chain = build_chain(
            (
                with_panic_recovery,
                with_request_info,
                with_timeout,
                with_authentication(identity),
                with_impersonation,
                with_authorization,
            ),
            dispatcher,
        )
        self.listener = Listener(chain)

    def _checks(self) -> dict[str, dict[str, Check]]:
        alive: dict[str, Check] = {"ping": lambda: ""}
        ready: dict[str, Check] = {
            "ping": lambda: "",
            "etcd": lambda: (
                "" if self.storage.cacher.revision else "the store is not reachable yet"
            ),
            "informer-sync": lambda: "" if self.storage.cacher.synced else "not level yet",
            "poststarthook/bootstrap-objects": (
                lambda: "" if self._bootstrapped.is_set() else "not finished"
            ),
            "shutdown": lambda: "process is shutting down" if self._draining else "",
        }
        return {"livez": alive, "healthz": alive, "readyz": ready}

    async def run(self, server: TlsListener, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then drain. `server` accepts connections already."""
        flags = self._flags
        presence = Presence(self.api, flags.advertise_address, self._port)
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self.storage.run(), name="storage"),
                tasks.create_task(self._furnisher.run(), name="namespace-furnisher"),
                tasks.create_task(self._sweeper.run(), name="namespace-sweeper"),
            ]
            try:
                if await self._begin(stop):
                    running.append(tasks.create_task(presence.run(), name="presence"))
                    log.info("ready https://%s:%d", flags.bind_address, self._port)
                    await stop.wait()
                    await self._drain(server, presence, running[-1])
            finally:
                for task in running:
                    task.cancel()

    async def _begin(self, stop: asyncio.Event) -> bool:
        """Wait for the store, put the first objects in; False when asked to stop meanwhile."""
        stopping = asyncio.ensure_future(stop.wait())
        beginning = asyncio.ensure_future(self._bootstrap())
        try:
            await asyncio.wait((stopping, beginning), return_when=asyncio.FIRST_COMPLETED)
            if beginning.done():
                beginning.result()
            return beginning.done()
        finally:
            stopping.cancel()
            beginning.cancel()

    async def _bootstrap(self) -> None:
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                await self.storage.cacher.wait_synced()
        except TimeoutError as error:
            raise StartError(
                f"cannot read the store at {','.join(self._flags.etcd_servers)} within "
                f"{STORE_TIMEOUT_S:.0f} s: {self.storage.cacher.last_error}; check --etcd-servers "
                "and the --etcd-* certificates"
            ) from error
        while True:
            try:
                await bootstrap(self.api, self._flags.service_cluster_ip_range, self._port)
            except ApiError as error:
                log.warning("bootstrap: %s", error)
                await asyncio.sleep(BOOTSTRAP_RETRY_S)
            else:
                self._bootstrapped.set()
                return

    async def _drain(
        self, server: TlsListener, presence: Presence, presence_task: asyncio.Task[None]
    ) -> None:
        """Say so, stop taking connections, end watches, let what is in flight finish, in time."""
        log.info("draining")
        self._draining = self.listener.draining = True
        presence_task.cancel()
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await presence.leave()
        except TimeoutError:
            log.info("the store did not take our leave in time")
        await asyncio.sleep(self._flags.shutdown_delay_s)
        server.close()
        self.storage.cacher.stop_watchers()
        await server.wait_handshakes(KEEPALIVE_GRACE_S)
        # A request may be on its way on a connection that looks idle: it too is answered, and
        # told that the connection ends.
        await self.listener.wait_closed(KEEPALIVE_GRACE_S)
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await self.listener.idle()
        except TimeoutError:
            log.warning("%d requests cut off", self.listener.in_flight)
        await self.listener.shutdown(1.0)


def open_socket(address: str, port: int) -> socket.socket:
    """A bound socket. Raises `StartError` when the address cannot be had."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, port))
    except OSError as error:
        listening.close()
        raise StartError(
            f"cannot listen on {address}:{port}: {error.strerror}; stop what uses it, or choose "
            "others by --bind-address and --secure-port"
        ) from error
    return listening


async def serve(flags: Flags, stop: asyncio.Event) -> None:
    """Run one API server until `stop` is set. Raises `StartError`."""
    try:
        tls = server_tls(
            cert_file=flags.tls_cert_file,
            key_file=flags.tls_private_key_file,
            client_ca_file=flags.client_ca_file or None,
        )
    except (ssl.SSLError, OSError) as error:
        raise StartError(
            f"cannot serve TLS with {flags.tls_cert_file}, {flags.tls_private_key_file} and "
            f"{flags.client_ca_file or 'no client CA'}: {error}; give a matching pair and a CA"
        ) from error
    listening = open_socket(flags.bind_address, flags.secure_port)
    port = listening.getsockname()[1]
    client = EtcdClient(flags.etcd_servers, tls=_store_tls(flags), timeout_s=STORE_CALL_TIMEOUT_S)
    try:
        api_server = ApiServer(flags, client, port)
        async with TlsListener(listening, tls, api_server.listener, backlog=BACKLOG) as server:
            try:
                await api_server.run(server, stop)
            except* StartError as group:
                raise group.exceptions[0] from None
    finally:
        await client.close()


def _store_tls(flags: Flags) -> TlsFiles | None:
    if not flags.etcd_cafile:
        return None
    return TlsFiles(ca=flags.etcd_cafile, cert=flags.etcd_certfile, key=flags.etcd_keyfile)
