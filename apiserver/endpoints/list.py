"""LIST a collection: the join of cached bytes, whole or in pages of one revision."""

from apiserver.endpoints.api import Api
from apiserver.endpoints.options import EXACT, CollectionOptions, parse_options
from apiserver.endpoints.presenter import presenter_for
from apiserver.endpoints.target import Target
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import require
from apiserver.http.reply import Reply
from apiserver.http.status import bytes_reply
from apiserver.store.storage import ListOptions


async def list_(api: Api, ctx: RequestContext, target: Target) -> Reply:
    """Answer with the objects that the selectors select, in key order."""
    media = require(ctx.accept)
    options = parse_options(target.resource, ctx.query, watch=False)
    page = await api.storage.list_(target.prefix, list_options(options))
    presenter = presenter_for(target.resource, media, ctx.query, api.now)
    return bytes_reply(ctx, presenter.page(page), media)


def list_options(options: CollectionOptions) -> ListOptions:
    """The store's side of the options."""
    # A limit with a resourceVersion but no match asks for exactly that version, as the original's
    # (Kubernetes API concepts, "Semantics for get and list").
    exact = options.resource_version_match == EXACT or (
        options.limit > 0
        and not options.resource_version_match
        and options.resource_version not in ("", "0")
    )
    return ListOptions(
        resource_version=options.resource_version,
        exact=exact,
        limit=options.limit,
        continue_=options.continue_,
        matches=options.matches(),
    )
