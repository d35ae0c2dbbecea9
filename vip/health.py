"""Asks each backend's /readyz over verified TLS, on a connection that it keeps.

A kept connection makes a check cost one small request, and a killed backend known at once: the
kernel closes the connection, and the next dial is refused.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from vip.backends import Backend, BackendAddress, Health, Pool

log = logging.getLogger(__name__)

HEAD_BYTES_MAX = 16 << 10
BODY_BYTES_MAX = 64 << 10


@dataclass(frozen=True, slots=True)
class CheckTiming:
    """Seconds between checks (at least, if there is reason to hurry), until a check counts as
    unanswered, and until silence is death.
    """

    every_s: float = 0.25
    every_at_least_s: float = 0.05
    timeout_s: float = 0.6
    dead_after_s: float = 3.0


class CheckError(Exception):
    """The backend refused, closed, spoke no HTTP, or is not who it should be."""


class Probe:
    """A kept HTTPS connection to one backend."""

    def __init__(self, address: BackendAddress, context: ssl.SSLContext) -> None:
        self._address = address
        self._context = context
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str) -> int:
        """The HTTP status of GET `path`. Raises CheckError; on any error the connection is gone."""
        reused = self._streams is not None
        try:
            try:
                return await self._ask(path)
            except (OSError, EOFError, ValueError):
                # The server may have ended an idle connection in good order: ask once more.
                if not reused:
                    raise
                self.close()
                return await self._ask(path)
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise CheckError(str(error) or type(error).__name__) from error
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    @property
    def is_open(self) -> bool:
        return self._streams is not None

    async def wait_closed(self) -> None:
        """Returns when the backend ends the open connection."""
        assert self._streams is not None
        with contextlib.suppress(OSError):
            await self._streams[0].read(1)

    async def _ask(self, path: str) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                self._address.host, self._address.port, ssl=self._context, limit=HEAD_BYTES_MAX
            )
        reader, writer = self._streams
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {self._address}\r\nUser-Agent: triplane-vip\r\n"
            "Accept: text/plain, */*\r\n\r\n".encode()
        )
        await writer.drain()
        status, length = _parse_head(await reader.readuntil(b"\r\n\r\n"))
        if length is None:
            self.close()
        else:
            await reader.readexactly(length)
        return status


def _parse_head(head: bytes) -> tuple[int, int | None]:
    """Status and Content-Length; None if the connection cannot be used again."""
    first, *lines = head.decode("latin-1").split("\r\n")
    protocol, _, rest = first.partition(" ")
    if not protocol.startswith("HTTP/1."):
        raise ValueError(f"no HTTP response: {first[:80]!r}")
    status = int(rest[:3])
    fields = {name.strip().lower(): value.strip() for name, _, value in _fields(lines)}
    keeps = fields.get("connection", "").lower() != "close" and "transfer-encoding" not in fields
    length = fields.get("content-length", "")
    if not keeps or not length.isdecimal() or int(length) > BODY_BYTES_MAX:
        return status, None
    return status, int(length)


def _fields(lines: list[str]) -> list[tuple[str, str, str]]:
    return [line.partition(":") for line in lines if line]


class HealthChecker:
    """Keeps a pool's knowledge fresh while started; `run`, until cancelled, is where it works."""

    def __init__(
        self,
        pool: Pool,
        context: ssl.SSLContext,
        *,
        on_dead: Callable[[Backend], None],
        timing: CheckTiming = CheckTiming(),
    ) -> None:
        self._pool = pool
        self._context = context
        self._on_dead = on_dead
        self._timing = timing
        self._started = asyncio.Event()
        self._wake = {backend: asyncio.Event() for backend in pool.backends}

    def start(self) -> None:
        """Begin, knowing nothing."""
        self._pool.forget()
        self._started.set()

    def stop(self) -> None:
        """Ask nobody any more, soon."""
        self._started.clear()

    def check_soon(self, backend: Backend) -> None:
        """Something went wrong with it: do not wait for the next check."""
        self._wake[backend].set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for backend in self._pool.backends:
                group.create_task(self._watch(backend), name=f"health of {backend.address}")

    async def _watch(self, backend: Backend) -> None:
        probe = Probe(backend.address, self._context)
        try:
            while True:
                if not self._started.is_set():
                    probe.close()
                    await self._started.wait()
                await self._check(backend, probe)
                await self._pause(backend, probe)
        finally:
            probe.close()

    async def _check(self, backend: Backend, probe: Probe) -> None:
        before = backend.health
        reason = ""
        try:
            async with asyncio.timeout(self._timing.timeout_s):
                status = await probe.ask("/readyz")
            self._pool.on_answer(backend, ready=status == 200)
            reason = f"HTTP {status}"
        except TimeoutError:
            self._pool.on_silence(backend, now=asyncio.get_running_loop().time())
            reason = f"no answer within {self._timing.timeout_s} s"
        except CheckError as error:
            self._pool.on_refused(backend)
            reason = str(error)
        if backend.health is not before:
            log.info("backend %s is %s: %s", backend.address, backend.health.value, reason)
        if backend.health is Health.DEAD:
            self._on_dead(backend)

    async def _pause(self, backend: Backend, probe: Probe) -> None:
        """Until the next check is due, or the backend ends the connection, or somebody asks."""
        await asyncio.sleep(self._timing.every_at_least_s)
        wake = self._wake[backend]
        waits: list[asyncio.Task[object]] = [asyncio.create_task(wake.wait(), name="wake")]
        if probe.is_open:
            waits.append(asyncio.create_task(probe.wait_closed(), name="closed"))
        try:
            await asyncio.wait(
                waits, timeout=self._timing.every_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            wake.clear()
