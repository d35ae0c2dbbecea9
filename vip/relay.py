"""One relayed connection: bytes both ways with backpressure and half-close.

The backend is dialled when the client's first bytes arrive: probes and silent clients cost one
socket and nothing of the API servers. `data_received` and `write` copy each chunk once, from
uvloop's own read buffer; a BufferedProtocol would have to copy too, since uvloop writes at the end
of the loop's turn. TCP_NODELAY is set on both sides by the event loop.
"""

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from vip.backends import Backend
    from vip.balancer import Balancer

BUFFER_BYTES_MAX = 1 << 18
"""Bytes that wait for a slow reader before its sender is paused."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Half(asyncio.Protocol):
    """One side of a relay: what it reads, its peer writes."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: Half | None = None
        self._eof = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX)

    @property
    def open_transport(self) -> asyncio.Transport | None:
        """The transport, unless it is closed or closing."""
        transport = self.transport
        return None if transport is None or transport.is_closing() else transport

    def data_received(self, data: bytes) -> None:
        target = self._peer_transport()
        if target is not None:
            target.write(data)

    def eof_received(self) -> bool:
        """Half-close: the other direction stays open until it ends too."""
        self._eof = True
        target = self._peer_transport()
        if target is None or (self.peer is not None and self.peer._eof):
            return False
        target.write_eof()
        return True

    def pause_writing(self) -> None:
        source = self._peer_transport()
        if source is not None:
            source.pause_reading()

    def resume_writing(self) -> None:
        source = self._peer_transport()
        if source is not None:
            source.resume_reading()

    def _peer_transport(self) -> asyncio.Transport | None:
        return None if self.peer is None else self.peer.open_transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        peer, self.peer = self.peer, None
        if peer is not None and peer.transport is not None:
            peer.peer = None
            if exc is None and self._eof:
                peer.transport.close()  # what is buffered still goes out
            else:
                reset(peer.transport)

    def reset(self) -> None:
        """End this side, and with it the other, at once; the client sees a reset, not an end."""
        if self.transport is not None:
            reset(self.transport)


class ClientHalf(Half):
    """The client's side, from accept on; the relay as the balancer knows it."""

    def __init__(self, balancer: "Balancer") -> None:
        super().__init__()
        self.backend: Backend | None = None
        self._balancer = balancer
        self._early = bytearray()
        self._dialling = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._balancer.on_accepted(self)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            super().data_received(data)
            return
        # uvloop may deliver once more after it was told to pause: keep all, in order.
        self._early += data
        if not self._dialling and self.transport is not None:
            self._dialling = True
            self.transport.pause_reading()
            self._balancer.on_first_bytes(self)

    def eof_received(self) -> bool:
        if self._dialling and self.peer is None:
            self._eof = True  # passed on once the backend stands
            return True
        return super().eof_received()

    def connect(self, backend: Half) -> None:
        """Relay to `backend` from now on, beginning with what the client sent so far."""
        assert self.transport is not None
        assert backend.transport is not None
        self.peer, backend.peer = backend, self
        backend.transport.write(bytes(self._early))
        self._early.clear()
        if self._eof:
            backend.transport.write_eof()
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._balancer.on_closed(self)


def reset(transport: asyncio.Transport) -> None:
    """Close at once with a TCP reset; unsent bytes are dropped."""
    raw = transport.get_extra_info("socket")
    if raw is not None and not transport.is_closing():
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
