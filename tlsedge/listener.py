"""Accepts TLS connections for a protocol, and logs why one never came to be.

`loop.create_server(ssl=…)` drops a failed handshake without a word, so that a wrong CA, a client
that speaks plain text and a port probe all look like silence. Here each gets one line with its
address and cause, as kube-apiserver's "http: TLS handshake error from …". Handshakes in progress
are bounded in number and time: clients that connect and say nothing cannot use the server up.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

log = logging.getLogger(__name__)

HANDSHAKES_MAX: Final = 512
"""In progress at once; further clients wait in the kernel's backlog."""
HANDSHAKE_TIMEOUT_S: Final = 10.0
ACCEPT_RETRY_S: Final = 0.1
"""How long to wait when the process is out of file descriptors."""
LINES_PER_PERIOD_MAX: Final = 20
PERIOD_S: Final = 10.0
"""At most so many failures are logged in a period; how many more there were is said at its end."""


class TlsListener:
    """Serves one bound socket until `close`. An async context manager; belongs to one loop.

    `on_connection` makes the protocol of each connection whose handshake succeeded. Connections
    outlive the listener; their owner ends them.
    """

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext,
        on_connection: Callable[[], asyncio.BaseProtocol],
        *,
        backlog: int = 1024,
    ) -> None:
        listening.setblocking(False)
        listening.listen(backlog)
        self._listening = listening
        self._context = context
        self._on_connection = on_connection
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(HANDSHAKES_MAX)
        self._handshakes: set[asyncio.Task[None]] = set()
        self._lines = _Lines(self._loop.time)
        self._accepting = self._loop.create_task(self._accept_for_ever(), name="tls-accept")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close, and give up handshakes in progress."""
        self.close()
        for handshake in self._handshakes:
            handshake.cancel()
        await asyncio.gather(self._accepting, *self._handshakes, return_exceptions=True)

    @property
    def handshakes(self) -> int:
        """How many are in progress."""
        return len(self._handshakes)

    def close(self) -> None:
        """Take no more connections. Handshakes in progress go on. May be called again."""
        self._accepting.cancel()
        self._listening.close()

    async def wait_handshakes(self, timeout_s: float) -> None:
        """Return when no handshake is in progress, or after `timeout_s`.

        A client of TLS 1.3 sends its request before it knows whether we took its handshake: to
        drain without dropping a request, wait here between `close` and waiting for connections.
        """
        if self._handshakes:
            await asyncio.wait(self._handshakes, timeout=timeout_s)

    async def _accept_for_ever(self) -> None:
        while True:
            await self._room.acquire()
            try:
                connection, address = await self._loop.sock_accept(self._listening)
            except OSError as error:
                self._room.release()
                log.warning("cannot accept a connection: %s", error)
                await asyncio.sleep(ACCEPT_RETRY_S)
                continue
            task = self._loop.create_task(
                self._shake_hands(connection, address), name="tls-handshake"
            )
            self._handshakes.add(task)
            task.add_done_callback(self._on_handshake_done)

    def _on_handshake_done(self, task: asyncio.Task[None]) -> None:
        self._handshakes.discard(task)
        self._room.release()

    async def _shake_hands(self, connection: socket.socket, address: tuple[str, int]) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                self._on_connection,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            )
        except OSError as error:  # ssl.SSLError among them
            connection.close()
            self._lines.warn(f"{address[0]}:{address[1]}", explain(error))
        except asyncio.CancelledError:
            connection.close()
            raise


def explain(error: OSError) -> str:
    """Why a handshake failed and what to look at, in one line."""
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is refused: {error.verify_message}; is it of this cluster's CA?"
            )
        case ssl.SSLError(reason=str(reason)):
            return _REASONS.get(reason, reason.replace("_", " ").lower())
        case ConnectionAbortedError() | TimeoutError():
            return f"no complete TLS hello within {HANDSHAKE_TIMEOUT_S:g} s"
        case ConnectionError():
            return _CLOSED
        case _:
            return str(error)


_CLOSED: Final = (
    "it closed the connection before the handshake was complete; "
    "does it speak TLS and trust our CA?"
)
_REASONS: Final = {
    "HTTP_REQUEST": "it speaks plain HTTP; this port speaks TLS only (use https://)",
    "WRONG_VERSION_NUMBER": "it does not speak TLS, or a version of it older than 1.2",
    "UNSUPPORTED_PROTOCOL": "it speaks a TLS version older than 1.2",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it sent no client certificate; one is required here",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust our certificate's CA",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it refuses our certificate",
    "UNEXPECTED_EOF_WHILE_READING": _CLOSED,
}


class _Lines:
    """Logs failures, but not a flood of them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._period_end = 0.0
        self._logged = 0

    def warn(self, address: str, cause: str) -> None:
        now = self._now()
        if now >= self._period_end:
            suppressed = self._logged - LINES_PER_PERIOD_MAX
            if suppressed > 0:
                log.warning("%d more TLS handshakes failed", suppressed)
            self._period_end = now + PERIOD_S
            self._logged = 0
        self._logged += 1
        if self._logged <= LINES_PER_PERIOD_MAX:
            log.warning("TLS handshake error from %s: %s", address, cause)
