"""GET, PUT, PATCH of `/scale`: the wanted replicas of a workload, whatever its kind."""

from collections.abc import Callable
from typing import Any

import orjson

from apiserver.api import errors
from apiserver.endpoints.api import Api
from apiserver.endpoints.ownership import ownership_of
from apiserver.endpoints.patch import patched, read_patch
from apiserver.endpoints.replace import check_update_preconditions, decide_replacement
from apiserver.endpoints.target import Target
from apiserver.endpoints.write import (
    fit_update_to_target,
    object_type,
    parse_write_options,
    read_object,
)
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import MediaType, require
from apiserver.http.reply import Reply
from apiserver.http.status import object_reply
from apiserver.registry.convert import from_storage
from apiserver.registry.scale import to_scale, validate_scale, with_scale
from apiserver.store.etcd3 import Decision, KeyGoneError
from apiserver.store.objects import JsonObject

Scaled = Callable[[JsonObject], JsonObject]


async def get_scale(api: Api, ctx: RequestContext, target: Target) -> Reply:
    """Answer with the Scale of the object, or 404."""
    media = require(ctx.accept)
    stored = await api.storage.get(target.key, ctx.query.get("resourceVersion", ""))
    if stored is None:
        raise target.not_found()
    shown = to_scale(from_storage(target.resource, stored.fresh()))
    return object_reply(ctx, shown, MediaType(media.content_type))


async def update_scale(api: Api, ctx: RequestContext, target: Target) -> Reply:
    """Take over a Scale that the client has read."""
    dry_run, validation = parse_write_options(ctx, "UpdateOptions")
    decoded = await read_object(ctx, target, validation)
    fit_update_to_target(target, decoded.obj)
    pristine = orjson.dumps(decoded.obj)
    return await _change(api, ctx, target, lambda old: _copy(pristine), dry_run=dry_run)


async def patch_scale(api: Api, ctx: RequestContext, target: Target) -> Reply:
    """Patch the Scale as it is now."""
    dry_run, validation = parse_write_options(ctx, "PatchOptions")
    apply = await read_patch(ctx, object_type(target).type_name)

    def scaled(old: JsonObject) -> JsonObject:
        return patched(target, apply, to_scale(old), validation).obj

    return await _change(api, ctx, target, scaled, dry_run=dry_run)


def _copy(pristine: bytes) -> JsonObject:
    copied: JsonObject = orjson.loads(pristine)
    return copied


async def _change(
    api: Api, ctx: RequestContext, target: Target, scaled: Scaled, *, dry_run: bool
) -> Reply:
    media = require(ctx.accept)
    owner = ownership_of(api, ctx, target.resource, "scale")
    whole = Target(target.resource, target.namespace, target.name)

    def decide(stored: JsonObject) -> Decision:
        old = from_storage(target.resource, stored)
        scale = scaled(old)
        check_update_preconditions(whole, scale, old)
        findings = validate_scale(scale)
        if findings:
            raise errors.invalid("autoscaling", "Scale", target.name, findings)
        return decide_replacement(whole, _with_own_metadata(old, scale), old, owner)

    try:
        changed = await api.storage.writes.guaranteed_change(
            target.key, decide, api.storage.cached(target.key), dry_run=dry_run
        )
    except KeyGoneError as error:
        raise target.not_found() from error
    shown = to_scale(from_storage(target.resource, changed.stored.fresh()))
    return object_reply(ctx, shown, MediaType(media.content_type))


def _with_own_metadata(old: JsonObject, scale: JsonObject) -> dict[str, Any]:
    return {**with_scale(old, scale), "metadata": dict(old["metadata"])}
