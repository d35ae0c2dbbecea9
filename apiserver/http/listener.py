"""The TLS edge: connections with an identity each, requests handed to the chain one by one."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from apiserver.authn.user import ANONYMOUS, UserInfo
from apiserver.authn.x509 import user_of
from apiserver.http.context import RequestContext
from apiserver.http.reply import Reply, new_audit_id

HEADER_BYTES_MAX = 64 * 1024
KEEPALIVE_TIMEOUT_S = 180.0

Handle = Callable[[RequestContext], Awaitable[web.StreamResponse]]


class Connection(RequestHandler):
    """One client connection; who it is comes from its certificate, read once."""

    __slots__ = ("on_lost", "user")

    def __init__(self, manager: web.Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self.user: UserInfo = ANONYMOUS
        # Called when the client is gone, by whoever waits for something else meanwhile.
        self.on_lost: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the identity from the TLS layer, which has verified it."""
        super().connection_made(transport)
        self.user = user_of(transport.get_extra_info("peercert"))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the request in progress."""
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()


class Listener(web.Server):
    """aiohttp's server loop without its router, middlewares and access log."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(self._serve)
        self._handle = handle
        self.in_flight = 0
        self.draining = False
        self._all_closed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop_ = asyncio.get_running_loop()

    async def idle(self) -> None:
        """Return once no request is in progress."""
        await self._idle.wait()

    async def wait_closed(self, timeout_s: float) -> None:
        """Return once all connections are closed, or after `timeout_s`."""
        if not self.connections:
            return
        self._all_closed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._all_closed.wait()
        except TimeoutError:
            return

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        super().connection_lost(handler, exc)
        if self.draining and all(other is handler for other in self.connections):
            self._all_closed.set()

    def __call__(self) -> RequestHandler:
        """A protocol for a new connection."""
        return Connection(
            self,
            loop=self._loop_,
            access_log=None,
            keepalive_timeout=KEEPALIVE_TIMEOUT_S,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            lingering_time=1.0,
        )

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        ctx = RequestContext(request, new_audit_id())
        protocol = request.protocol
        assert isinstance(protocol, Connection)
        ctx.user = protocol.user
        self.in_flight += 1
        self._idle.clear()
        try:
            response = await self._handle(ctx)
        except ConnectionError:
            # The client is gone; there is nobody to answer, and nothing to log.
            response = Reply(b"", status=500, close=True)
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()
        if self.draining and isinstance(response, Reply):
            response.close = True
        return response


def server_tls(*, cert_file: str, key_file: str, client_ca_file: str | None) -> ssl.SSLContext:
    """TLS 1.2 or newer; client certificates are optional but never accepted unverified.

    Raises `OSError` (which `ssl.SSLError` is) when a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert_file, key_file)
    context.set_alpn_protocols(["http/1.1"])
    if client_ca_file:
        context.load_verify_locations(client_ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
