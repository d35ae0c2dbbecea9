"""Spreads the address's TCP connections over the API servers: L4, health-checked, bounded.

Runs only while this agent holds the address. A connection whose backend cannot be reached is tried
on another before any of its bytes was relayed; after that it lives and dies with its backend.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

from vip.backends import Backend, Health, Pool
from vip.relay import ClientHalf, Half

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Connections at most, of them without a first byte at most, and seconds for a dial."""

    connections_max: int = 8192
    silent_max: int = 512
    dial_timeout_s: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.silent_max <= self.connections_max:
            raise ValueError("silent_max must be between 1 and connections_max")


class Balancer:
    """The relays of one address. Its tasks live in the group that it is given."""

    def __init__(
        self,
        pool: Pool,
        tasks: asyncio.TaskGroup,
        *,
        limits: Limits = Limits(),
        on_dial_failed: Callable[[Backend], None] = lambda backend: None,
    ) -> None:
        self._pool = pool
        self._tasks = tasks
        self._limits = limits
        self._on_dial_failed = on_dial_failed
        self._clients: set[ClientHalf] = set()
        self._silent: dict[ClientHalf, None] = {}  # no byte yet, the oldest first
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        return len(self._clients)

    async def serve(self, listener: socket.socket) -> None:
        """Take connections from a listening socket, which is ours from now on."""
        assert self._server is None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: ClientHalf(self), sock=listener
        )

    def stop(self) -> None:
        """Close the listener and reset every connection, now."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for client in list(self._clients):
            client.reset()

    def drop(self, backend: Backend) -> int:
        """Reset every connection relayed to a backend, so that clients go elsewhere; how many."""
        relayed = [client for client in self._clients if client.backend is backend]
        for client in relayed:
            client.reset()
        return len(relayed)

    # -- called by relays ----------------------------------------------------------------------

    def on_accepted(self, client: ClientHalf) -> None:
        """Admit a connection; make room among the silent, or turn it away if there is none."""
        if len(self._clients) >= self._limits.connections_max and not self._silent:
            client.reset()
            return
        self._clients.add(client)
        self._silent[client] = None
        if (
            len(self._silent) > self._limits.silent_max
            or len(self._clients) > self._limits.connections_max
        ):
            oldest = next(iter(self._silent))
            del self._silent[oldest]
            oldest.reset()

    def on_first_bytes(self, client: ClientHalf) -> None:
        """The client speaks: it deserves a backend."""
        self._silent.pop(client, None)
        self._tasks.create_task(self._connect(client), name="dial a backend")

    def on_closed(self, client: ClientHalf) -> None:
        self._clients.discard(client)
        self._silent.pop(client, None)
        self._release(client)

    # -- dialling ------------------------------------------------------------------------------

    async def _connect(self, client: ClientHalf) -> None:
        tried: list[Backend] = []
        while client.open_transport is not None:
            backend = self._pool.choose(tried)
            if backend is None:
                log.warning("no backend can take a connection")
                client.reset()
                return
            tried.append(backend)
            client.backend = backend
            backend.connections += 1
            half = await self._dial(backend)
            if half is None:
                self._release(client)
                continue
            if client.open_transport is None or backend.health is Health.DEAD:
                half.reset()
                client.reset()
            else:
                client.connect(half)
            return

    async def _dial(self, backend: Backend) -> Half | None:
        address = backend.address
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.dial_timeout_s):
                _, half = await loop.create_connection(Half, address.host, address.port)
        except TimeoutError:
            self._pool.on_silence(backend, now=loop.time())
            return None
        except OSError as error:
            log.info("backend %s cannot be dialled: %s", address, error)
            self._pool.on_refused(backend)
            self._on_dial_failed(backend)
            return None
        if half.open_transport is None:  # closed again already
            return None
        return half

    def _release(self, client: ClientHalf) -> None:
        if client.backend is not None:
            client.backend.connections -= 1
            assert client.backend.connections >= 0
            client.backend = None
