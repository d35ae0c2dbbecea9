"""The address as a listening socket on this machine: all agents share one kernel.

`listen` is exclusive: SO_REUSEADDR lets us listen beside connections that a dead holder left in
TIME_WAIT, never beside another listener (socket(7), tcp(7)). A refused connection therefore proves
that nobody holds the address.
"""

import asyncio
import errno
import socket
from typing import Protocol

BACKLOG = 1024
PROBE_TIMEOUT_S = 0.3


class AddressError(Exception):
    """The address cannot be taken now; the text says why and what to do."""


class OwnedAddress(Protocol):
    """How an agent takes and gives up the address."""

    has_witness: bool

    async def take(self, deadline: float) -> socket.socket:
        """A listening socket at the address, ours until `deadline` on the agent's clock.

        Raises AddressError if another holds it.
        """

    async def extend(self, deadline: float) -> None:
        """The address may be held until this deadline. Raises AddressError."""

    def let_go(self) -> None:
        """Give up everything but the socket, which its user closes. Never raises."""

    async def is_refused(self) -> bool:
        """Whether the witness saw that nobody holds the address."""


class LoopbackAddress:
    """Every node's agent can bind the address; whoever listens holds it."""

    has_witness = True

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def take(self, deadline: float) -> socket.socket:
        """Bind and listen. AddressError if somebody else listens there."""
        return listen(self._host, self._port)

    async def extend(self, deadline: float) -> None:
        """Nothing: the kernel frees the address when the process ends, the agent when it must."""

    def let_go(self) -> None:
        """Nothing: the address goes with its listening socket."""

    async def is_refused(self) -> bool:
        """Connect and reset. The kernel answers for a busy or a stopped holder too."""
        loop = asyncio.get_running_loop()
        with _socket(self._host) as probe:
            probe.setblocking(False)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    await loop.sock_connect(probe, (self._host, self._port))
            except ConnectionRefusedError:
                return True
            except OSError:  # TimeoutError is one: a full backlog is a holder's
                return False
        return False


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises AddressError with cause and remedy."""
    listener = _socket(host)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressError(_explain(host, port, error)) from error
    listener.setblocking(False)
    return listener


def check_bindable(host: str) -> None:
    """Raise AddressError unless this machine has the address."""
    with _socket(host) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise AddressError(_explain(host, 0, error)) from error


def _explain(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"{host}:{port} is held by another process; it ends by itself if that is an "
                f"agent, else end what listens there (`ss -ltnp 'sport = :{port}'`)"
            )
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine; add it, or give --interface"
        case errno.EACCES:
            return f"no permission to listen on {host}:{port}; choose a port above 1023"
        case _:
            return f"cannot listen on {host}:{port}: {error.strerror}"


def _socket(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM)
