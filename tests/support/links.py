"""Links between members that a test can stall: bytes are swallowed, connections stay open.

One `Link` stands at each member's advertised address and forwards to where it listens. It knows the
source of a connection by its address (`--set-member-localaddr`).
"""

from __future__ import annotations

import asyncio
import contextlib

PIECE_BYTES = 65_536


class Link:
    """Forwards to one member. `stalled_from` holds the source hosts whose bytes go nowhere."""

    def __init__(self, host: str, port: int, target_port: int) -> None:
        self._host = host
        self._port = port
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self.stalled_from: frozenset[str] = frozenset()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, self._host, self._port)

    async def stall(self, sources: frozenset[str]) -> None:
        """Swallow what comes from these hosts from now on, and what goes back to them."""
        async with self._changed:
            self.stalled_from = sources
            self._changed.notify_all()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        source = writer.get_extra_info("peername")[0]
        target: asyncio.StreamWriter | None = None
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: source not in self.stalled_from)
            back, target = await asyncio.open_connection(self._host, self._target_port)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(source, reader, target))
                pumps.create_task(self._pump(source, back, writer))
        except (OSError, ExceptionGroup):
            pass  # either end went away: so does the connection
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self._tasks.discard(task)
            for end in (writer, target):
                if end is not None:
                    end.transport.abort()

    async def _pump(
        self, source: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(PIECE_BYTES):
            async with self._changed:
                await self._changed.wait_for(lambda: source not in self.stalled_from)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("closed by one end")


class Links:
    """All links of a cluster, by the host of the member they lead to."""

    def __init__(self, ports: dict[str, tuple[int, int]]) -> None:
        self._links = {host: Link(host, port, target) for host, (port, target) in ports.items()}

    async def start(self) -> None:
        for link in self._links.values():
            await link.start()

    async def cut_off(self, host: str) -> None:
        """Swallow everything to and from the member at `host`."""
        everyone = frozenset(self._links)
        for link_host, link in self._links.items():
            await link.stall(everyone if link_host == host else frozenset({host}))

    async def heal(self) -> None:
        for link in self._links.values():
            await link.stall(frozenset())

    async def stop(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            for link in self._links.values():
                await link.stop()
