"""One TLS connection that carries frames: an asyncio protocol without stream objects in between.

Owns the socket. Whoever holds a connection sets `on_frame`, and awaits `closed` to learn its end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, cast

from google.protobuf.message import DecodeError

from raftstore.transport.wire import FrameError, FrameKind, FrameParser, encode_frame

log = logging.getLogger(__name__)

OnFrame = Callable[[FrameKind, bytes], None]
TCP_USER_TIMEOUT_MS = 1_000
WRITE_HIGH_WATER_BYTES = 1 << 20


class FrameConnection(asyncio.Protocol):
    """Frames in by `on_frame`, frames out by `send`. A broken frame ends the connection."""

    def __init__(
        self,
        *,
        frame_bytes_max: int,
        on_frame: OnFrame,
        on_made: Callable[[FrameConnection], None] | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.on_frame = on_frame
        self.closed: asyncio.Future[None] = loop.create_future()
        self.received_bytes = 0
        """Grows with every byte received: whoever watches for silence compares two readings."""
        self._on_made = on_made
        self._parser = FrameParser(frame_bytes_max)
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)
        _tune(transport.get_extra_info("socket"))
        if self._on_made is not None:
            self._on_made(self)

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        try:
            for kind, body in self._parser.feed(data):
                self.on_frame(kind, body)
        except (FrameError, DecodeError) as error:
            log.warning("peer %s: %s; connection closed", self.remote, error)
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._writable.set()
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def pause_reading(self) -> None:
        """Take no more bytes from the peer until `resume_reading`."""
        if self._transport is not None and not self.closed.done():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on after `pause_reading`."""
        if self._transport is not None and not self.closed.done():
            self._transport.resume_reading()

    @property
    def remote(self) -> str:
        """The peer's address, for logs."""
        address = self.extra("peername")
        return f"{address[0]}:{address[1]}" if address else "unknown"

    @property
    def queued_bytes(self) -> int:
        """Bytes accepted by `send` that the kernel has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def extra(self, name: str) -> Any:
        """What the TLS transport knows, such as "peercert"."""
        return None if self._transport is None else self._transport.get_extra_info(name)

    def send(self, kind: FrameKind, body: bytes = b"") -> None:
        """Queue one frame. A connection that has ended swallows it."""
        if self._transport is not None and not self.closed.done():
            self._transport.write(encode_frame(kind, body))

    async def drain(self) -> None:
        """Wait until the peer takes what was sent; no wait once the connection has ended."""
        await self._writable.wait()

    def abort(self) -> None:
        """End the connection now; whatever is queued is lost."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the connection after what is queued."""
        if self._transport is not None:
            self._transport.close()


def _tune(sock: Any) -> None:
    if sock is None:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    user_timeout = getattr(socket, "TCP_USER_TIMEOUT", None)
    if user_timeout is not None:
        sock.setsockopt(socket.IPPROTO_TCP, user_timeout, TCP_USER_TIMEOUT_MS)
