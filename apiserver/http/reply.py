"""Answers as ready bytes: one head, one body, one write.

aiohttp's own responses build a header map per answer; at thousands of small answers a second that
is most of the work. A `Reply` is what aiohttp's server loop asks of a response and no more.
"""

import gzip
import os
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from apiserver.http.negotiate import JSON

GZIP_BYTES_MIN: Final = 128 * 1024
# As the original: above this level the gain is small and the cost is not.
GZIP_LEVEL: Final = 1

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus
}


class _HttpDate:
    """The Date header, made once per second of the loop's clock."""

    def __init__(self) -> None:
        self._until = 0.0
        self._text = ""

    def text(self, now: float) -> str:
        if now >= self._until:
            self._text = format_datetime(datetime.now(UTC), usegmt=True)
            self._until = now + 1.0
        return self._text


_date: Final = _HttpDate()


def new_audit_id() -> str:
    """A random UUID in text, for the Audit-Id header."""
    raw = os.urandom(16).hex()
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"


class Reply(web.StreamResponse):
    """A complete answer, written in one piece."""

    def __init__(
        self,
        body: bytes,
        *,
        status: int = 200,
        content_type: str = JSON,
        headers: str = "",
        close: bool = False,
    ) -> None:
        # The base class is left uninitialised: its header map is what we avoid. `headers` holds
        # complete lines, each ended by CRLF.
        self.body = body
        self.code = status
        self.content_type_text = content_type
        self.header_lines = headers
        self.close = close
        self.audit_id = ""
        self.cache_control = "no-cache, private"

    @property
    def status(self) -> int:
        """The HTTP status code."""
        return self.code

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection may serve another request."""
        return not self.close

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write head and body."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("client is gone")
        if not request.keep_alive:
            self.close = True
        body = self.body
        headers = self.header_lines
        encoded = "Content-Encoding:" in headers
        if (
            len(body) >= GZIP_BYTES_MIN
            and not encoded
            and "gzip" in request.headers.get("Accept-Encoding", "")
        ):
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers += "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
        if self.close:
            headers += "Connection: close\r\n"
        head = (
            f"{_STATUS_LINES[self.code]}Audit-Id: {self.audit_id or new_audit_id()}\r\n"
            f"Cache-Control: {self.cache_control}\r\n"
            f"Content-Type: {self.content_type_text}\r\n"
            f"{headers}Date: {_date.text(request.loop.time())}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode("latin-1", "replace")
        if request.method == "HEAD":
            body = b""
        if len(body) < GZIP_BYTES_MIN:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
            await request.writer.drain()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""

    def __eq__(self, other: Any) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<Reply {self.code} {len(self.body)} bytes>"
