"""PUT one object: replace what the client has seen, and only that."""

import orjson

from apiserver.endpoints.api import Api
from apiserver.endpoints.create import create_object
from apiserver.endpoints.ownership import ownership_of, request_manager
from apiserver.endpoints.replace import check_update_preconditions, decide_replacement
from apiserver.endpoints.target import Target
from apiserver.endpoints.write import (
    fit_update_to_target,
    parse_write_options,
    read_object,
    written_reply,
)
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import require
from apiserver.http.reply import Reply
from apiserver.registry import strategy_for
from apiserver.registry.convert import from_storage
from apiserver.store.etcd3 import Decision, KeyGoneError
from apiserver.store.objects import JsonObject


async def update(api: Api, ctx: RequestContext, target: Target) -> Reply:
    """Answer 200 with the object as it is now; 409 when it has changed since the client read it."""
    media = require(ctx.accept)
    dry_run, validation = parse_write_options(ctx, "UpdateOptions")
    decoded = await read_object(ctx, target, validation)
    fit_update_to_target(target, decoded.obj)
    pristine = orjson.dumps(decoded.obj)
    owner = ownership_of(api, ctx, target.resource, target.subresource)

    def decide(stored: JsonObject) -> Decision:
        new: JsonObject = orjson.loads(pristine)
        old = from_storage(target.resource, stored)
        check_update_preconditions(target, new, old)
        return decide_replacement(target, new, old, owner)

    try:
        changed = await api.storage.writes.guaranteed_change(
            target.key, decide, api.storage.cached(target.key), dry_run=dry_run
        )
    except KeyGoneError as error:
        if not _may_create(target, decoded.obj):
            raise target.not_found() from error
        created = await create_object(
            api, target, decoded.obj, dry_run=dry_run, manager=request_manager(ctx)
        )
        return written_reply(
            api, ctx, target, created, media, status=201, warnings=decoded.warnings
        )
    return written_reply(
        api, ctx, target, changed.stored, media, status=200, warnings=decoded.warnings
    )


def _may_create(target: Target, obj: JsonObject) -> bool:
    metadata = obj["metadata"]
    return (
        not target.subresource
        and strategy_for(target.resource).allow_create_on_update
        and not metadata.get("resourceVersion")
        and not metadata.get("uid")
    )
