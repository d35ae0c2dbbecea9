"""The filter chain in kube-apiserver's order (DefaultBuildHandlerChain).

panic recovery → request info → timeout → authentication → impersonation → authorization →
dispatch. A filter takes the next handler and returns one; audit and flow control take their places
on either side of impersonation when they come.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web

from apiserver.api import errors
from apiserver.api.errors import ApiError
from apiserver.authn.impersonation import parse_impersonation
from apiserver.authn.user import ANONYMOUS, UserInfo
from apiserver.authz.masters import authorize
from apiserver.http.context import RequestContext
from apiserver.http.request_info import RequestInfo, parse_request_info, split_target
from apiserver.http.status import status_reply

log = logging.getLogger("apiserver.http")

Handler = Callable[[RequestContext], Awaitable[web.StreamResponse]]
Filter = Callable[[Handler], Handler]

REQUEST_TIMEOUT_S: Final = 60.0


def build_chain(filters: Sequence[Filter], handler: Handler) -> Handler:
    """Wrap `handler` so that the first filter sees a request first."""
    for filter_ in reversed(filters):
        handler = filter_(handler)
    return handler


def with_panic_recovery(next_: Handler) -> Handler:
    """Answer every failure with a Status; our own mistakes are logged and told as 500."""

    async def handle(ctx: RequestContext) -> web.StreamResponse:
        try:
            return await next_(ctx)
        except ApiError as error:
            return status_reply(ctx, error)
        except ConnectionError:
            raise
        except Exception:
            log.exception("panic: %s %s (audit-id %s)", ctx.http.method, ctx.path, ctx.audit_id)
            why = "This request caused apiserver to panic. Look in the logs for details."
            return status_reply(ctx, ApiError(500, "InternalError", why))

    return handle


def with_request_info(next_: Handler) -> Handler:
    """Read path, query and attributes once for all that follow."""

    async def handle(ctx: RequestContext) -> web.StreamResponse:
        try:
            ctx.path, ctx.query = split_target(ctx.http.raw_path)
        except ValueError as error:
            raise errors.bad_request(f"invalid query: {error}") from error
        ctx.info = parse_request_info(ctx.http.method, ctx.path, ctx.query)
        return await next_(ctx)

    return handle


def with_timeout(next_: Handler) -> Handler:
    """Bound every request but watches, which have a bound of their own."""

    async def handle(ctx: RequestContext) -> web.StreamResponse:
        if ctx.info.verb == "watch":
            return await next_(ctx)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                return await next_(ctx)
        except TimeoutError as error:
            why = "request did not complete within requested timeout - context deadline exceeded"
            raise errors.timeout(why) from error

    return handle


def identity(ctx: RequestContext) -> UserInfo:
    """Who asks: the connection's certificate says. Raises 401 for a token that nobody knows."""
    if ctx.user is ANONYMOUS and "Authorization" in ctx.http.headers:
        raise errors.unauthorized()
    return ctx.user


def with_authentication(user_of: Callable[[RequestContext], UserInfo]) -> Filter:
    """Set the user; raises 401 for credentials that identify nobody."""

    def wrap(next_: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            ctx.user = user_of(ctx)
            return await next_(ctx)

        return handle

    return wrap


def with_impersonation(next_: Handler) -> Handler:
    """Let who may act as another user be that user from here on; 403 for the rest."""

    async def handle(ctx: RequestContext) -> web.StreamResponse:
        meant = parse_impersonation(ctx.http.headers)
        if meant is not None:
            for group, resource, name in meant.asked:
                wish = RequestInfo(
                    "impersonate",
                    ctx.path,
                    is_resource=True,
                    group=group,
                    resource=resource,
                    name=name,
                )
                authorize(ctx.user, wish)
            ctx.user = meant.user
        return await next_(ctx)

    return handle


def with_authorization(next_: Handler) -> Handler:
    """Refuse with 403 what the user may not do."""

    async def handle(ctx: RequestContext) -> web.StreamResponse:
        authorize(ctx.user, ctx.info)
        return await next_(ctx)

    return handle
