"""One proxied connection: two flows of bytes that a cut holds back and a heal ends.

A cut flow stops reading, so the sender's kernel keeps what was not sent: as behind a real
partition, the sender sees no error, the receiver sees silence, and an end that closes is not heard
of across the cut. A connection that met a cut never carries another byte: it is reset on heal.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import cast

from chaos.live.links import Links
from chaos.live.network import Link

HELD_BYTES_MAX = 1 << 18
"""Bytes that a delayed flow holds before it stops reading."""
DIAL_TIMEOUT_S = 5.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """Close at once with a TCP reset; unsent bytes are dropped."""
    raw = transport.get_extra_info("socket")
    if raw is not None and not transport.is_closing():
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


class Flow:
    """Bytes in one direction of a tunnel, from the transport it reads to the one it writes."""

    def __init__(self, link: Link, links: Links) -> None:
        self.link = link
        self._links = links
        self._source: asyncio.Transport | None = None
        self._target: asyncio.Transport | None = None
        self._held: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._pauses: set[str] = {"unconnected"}

    def connect(self, source: asyncio.Transport, target: asyncio.Transport) -> None:
        """Let bytes through from now on."""
        self._source, self._target = source, target
        if self._held and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._held[0][0], self._release)
        self.resume("unconnected")

    def pause(self, reason: str) -> None:
        """Stop reading until every reason to is gone."""
        self._pauses.add(reason)
        if self._source is not None and not self._source.is_closing():
            self._source.pause_reading()

    def resume(self, reason: str) -> None:
        self._pauses.discard(reason)
        if not self._pauses and self._source is not None and not self._source.is_closing():
            self._source.resume_reading()

    def on_bytes(self, chunk: bytes) -> None:
        """Pass on, or hold for the link's delay. An empty chunk is the end of the stream.

        A transport may deliver bytes once after it was told to pause: those that come before the
        far end stands are held for it.
        """
        if "stopped" in self._pauses:
            return
        delay_s = self._links.delay_s(self.link)
        if not delay_s and not self._held and self._target is not None:
            self._write(chunk)
            return
        loop = asyncio.get_running_loop()
        self._held.append((loop.time() + delay_s, chunk))
        self._held_bytes += len(chunk)
        if self._held_bytes > HELD_BYTES_MAX:
            self.pause("held")
        if self._timer is None and self._target is not None:
            self._timer = loop.call_later(delay_s, self._release)

    def stop(self) -> None:
        """Drop what is held and pass nothing any more."""
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.pause("stopped")

    def _release(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._held and self._held[0][0] <= loop.time():
            _, chunk = self._held.popleft()
            self._held_bytes -= len(chunk)
            self._write(chunk)
        if self._held:
            self._timer = loop.call_at(self._held[0][0], self._release)
        if self._held_bytes <= HELD_BYTES_MAX:
            self.resume("held")

    def _write(self, chunk: bytes) -> None:
        if self._target is None or self._target.is_closing():
            return
        if chunk:
            self._target.write(chunk)
        elif self._target.can_write_eof():
            self._target.write_eof()


class Tunnel:
    """A connection from `source` to `target`, two nodes, and its way through the proxy."""

    def __init__(
        self, source: str, target: str, links: Links, on_closed: Callable[["Tunnel"], None]
    ) -> None:
        self.source, self.target = source, target
        self.flows = (Flow((source, target), links), Flow((target, source), links))
        self.ends: list[asyncio.Transport | None] = [None, None]
        self.met_cut = False
        self._links = links
        self._on_closed = on_closed
        self._lost = [False, False]

    async def dial(self, host: str, port: int, source_host: str) -> None:
        """Connect the far end, from the source's own address, unless a cut is in the way."""
        if self.on_links_changed():
            return
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                await loop.create_connection(
                    lambda: End(self, 1), host, port, local_addr=(source_host, 0)
                )
        except OSError:  # TimeoutError is one: the member is not there
            self.reset()
            return
        near, far = self.ends
        if near is None or far is None:
            self.reset()
        elif not self.on_links_changed():
            self._open(near, far)

    def on_links_changed(self) -> bool:
        """Hold back what a cut forbids; says whether the tunnel ever met a cut."""
        for flow in self.flows:
            if self._links.is_cut(flow.link):
                self.met_cut = True
                flow.stop()
        return self.met_cut

    def on_lost(self, end: int) -> None:
        """An end is gone; the other learns it unless the way there is cut."""
        self._lost[end] = True
        self.ends[end] = None
        other = self.ends[1 - end]
        if other is not None and not self._links.is_cut(self.flows[end].link):
            reset(other)
        if all(self._lost) or (self.ends == [None, None]):
            self._on_closed(self)

    def reset(self) -> None:
        """End it for both sides, visibly."""
        for flow in self.flows:
            flow.stop()
        for transport in self.ends:
            if transport is not None:
                reset(transport)

    def _open(self, near: asyncio.Transport, far: asyncio.Transport) -> None:
        self.flows[0].connect(near, far)
        self.flows[1].connect(far, near)


class End(asyncio.Protocol):
    """One transport of a tunnel: 0 is where the connection came from, 1 where it goes."""

    def __init__(self, tunnel: Tunnel, end: int) -> None:
        self._tunnel = tunnel
        self._end = end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        stream.pause_reading()
        self._tunnel.ends[self._end] = stream

    def data_received(self, data: bytes) -> None:
        self._tunnel.flows[self._end].on_bytes(data)

    def eof_received(self) -> bool:
        self._tunnel.flows[self._end].on_bytes(b"")
        return True

    def pause_writing(self) -> None:
        self._tunnel.flows[1 - self._end].pause("full")

    def resume_writing(self) -> None:
        self._tunnel.flows[1 - self._end].resume("full")

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.on_lost(self._end)
