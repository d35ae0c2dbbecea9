"""The end of the filter chain: which endpoint answers a request.

Resource requests go to a verb; the few paths that are no resources are listed here. What is not
served is told in the original's two ways: a Status below a served group and version, plain text
elsewhere.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from apiserver.api import errors
from apiserver.endpoints.api import Api
from apiserver.endpoints.create import create
from apiserver.endpoints.delete import delete
from apiserver.endpoints.deletecollection import deletecollection
from apiserver.endpoints.get import get
from apiserver.endpoints.list import list_
from apiserver.endpoints.patch import patch
from apiserver.endpoints.scale import get_scale, patch_scale, update_scale
from apiserver.endpoints.target import Target, target_of
from apiserver.endpoints.update import update
from apiserver.endpoints.watch import watch
from apiserver.http.context import RequestContext
from apiserver.http.discovery import Discovery
from apiserver.http.health import Health
from apiserver.http.openapi import OpenApi
from apiserver.http.status import object_reply, text_reply
from apiserver.http.version import version_info

Endpoint = Callable[[Api, RequestContext, Target], Awaitable[web.StreamResponse]]

_VERBS: Final[dict[str, Endpoint]] = {
    "get": get,
    "list": list_,
    "watch": watch,
    "create": create,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": deletecollection,
}


_SCALE_VERBS: Final[dict[str, Endpoint]] = {
    "get": get_scale,
    "update": update_scale,
    "patch": patch_scale,
}


class Dispatcher:
    """Hands a request, authenticated and authorized, to who answers it."""

    def __init__(self, api: Api, health: Health, discovery: Discovery) -> None:
        self._api = api
        self._health = health
        self._discovery = discovery
        self._openapi = OpenApi(api.scheme)
        self._version = version_info()

    async def __call__(self, ctx: RequestContext) -> web.StreamResponse:
        """Answer the request; raises `ApiError` for what is not served."""
        if ctx.info.is_resource:
            return await self._resource(ctx)
        if ctx.http.method not in ("GET", "HEAD"):
            return text_reply(ctx, "404 page not found\n", status=404)
        path = ctx.path.rstrip("/")
        if path == "/version":
            return object_reply(ctx, self._version)
        answer = self._health.answer(ctx) or self._discovery.answer(ctx, path)
        answer = answer or await self._openapi.answer(ctx, path)
        return answer or text_reply(ctx, "404 page not found\n", status=404)

    async def _resource(self, ctx: RequestContext) -> web.StreamResponse:
        info = ctx.info
        if not self._discovery.serves(info.group, info.api_version):
            return text_reply(ctx, "404 page not found\n", status=404)
        target = target_of(self._api.scheme, info)
        verbs = _SCALE_VERBS if target.subresource == "scale" else _VERBS
        endpoint = verbs.get(info.verb)
        if endpoint is None or info.verb not in _allowed(target):
            raise errors.method_not_allowed()
        return await endpoint(self._api, ctx, target)


def _allowed(target: Target) -> tuple[str, ...]:
    """The verbs that this very path takes; raises `ApiError` 404 when there is no such path."""
    resource = target.resource
    if target.subresource:
        subresource = resource.subresource(target.subresource)
        if subresource is None:
            raise errors.no_such_resource()
        return subresource.verbs
    if not target.name and resource.namespaced and not target.namespace:
        return tuple(verb for verb in resource.verbs if verb in ("list", "watch"))
    return resource.verbs
