"""GET one object: linearizable by default, from the cache at once with `resourceVersion=0`."""

from apiserver.endpoints.api import Api
from apiserver.endpoints.presenter import presenter_for
from apiserver.endpoints.target import Target
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import require
from apiserver.http.reply import Reply
from apiserver.http.status import bytes_reply


async def get(api: Api, ctx: RequestContext, target: Target) -> Reply:
    """Answer with the object, or 404."""
    media = require(ctx.accept)
    stored = await api.storage.get(target.key, ctx.query.get("resourceVersion", ""))
    if stored is None:
        raise target.not_found()
    presenter = presenter_for(target.resource, media, ctx.query, api.now)
    return bytes_reply(ctx, presenter.one(stored), media)
