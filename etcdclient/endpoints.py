"""Which endpoint to ask: the most preferred one that is connected, not set aside and not doubted.

Connecting happens beside the calls, never in their way: a preferred endpoint that comes back is
used again once its channel is ready, and until then the next one answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from etcdclient import errors
from etcdclient.connection import Connection

CONNECT_POLL_S = 0.004
HEAD_START_S = 0.1
"""How long a preferred endpoint may take to connect before the next one is tried beside it."""


class Endpoints:
    """Connections in order of preference, and the one task that waits for any to be ready."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._connections = connections
        self.size = len(connections)
        self._connecting: asyncio.Task[None] | None = None

    async def pick(self, deadline: float, tried: Collection[Connection] = ()) -> Connection:
        """A connection that is ready now, if possible none of `tried`.

        Raises EtcdError (definite) if none is by `deadline`, in the event loop's time.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            found = self._ready(loop.time(), tried)
            if found is not None:
                return found
            remaining_s = deadline - loop.time()
            if remaining_s <= 0:
                names = ", ".join(connection.endpoint for connection in self._connections)
                raise errors.unreachable(names, loop.time() - started)
            if self._connecting is None or self._connecting.done():
                self._connecting = loop.create_task(self._connect(), name="etcdclient connect")
            await asyncio.wait((self._connecting,), timeout=remaining_s)

    def _ready(self, now: float, tried: Collection[Connection]) -> Connection | None:
        """The first ready connection that nothing speaks against; else the least bad ready one."""
        spare: Connection | None = None
        least = (True, True, float("inf"))
        for place, connection in enumerate(self._connections):
            if not connection.is_ready():
                continue
            doubted = connection.is_doubted(now)
            bad = (doubted, connection in tried, connection.set_aside_until)
            if bad <= (False, False, now):
                for preferred in self._connections[:place]:
                    preferred.connect()
                return connection
            if spare is None or bad < least:
                spare, least = connection, bad
        if spare is not None:
            for connection in self._connections:
                connection.connect()
        return spare

    async def _connect(self) -> None:
        """Until one is ready: connect to the first, and to each next when those before it lag."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while not any(connection.is_ready() for connection in self._connections):
            for place, connection in enumerate(self._connections):
                hopeful = connection.connect()
                if hopeful and loop.time() - started < HEAD_START_S * (place + 1):
                    break
            await asyncio.sleep(CONNECT_POLL_S)

    async def close(self) -> None:
        """End the connecting task; the connections belong to the client."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait((self._connecting,))
