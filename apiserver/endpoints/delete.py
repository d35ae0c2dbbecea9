"""DELETE one object: at once, or marked as going while finalizers and grace hold it."""

import logging
from typing import Any

from apiserver.api import errors
from apiserver.api.scheme import Resource
from apiserver.endpoints.api import Api
from apiserver.endpoints.delete_options import DeleteOptions, parse_delete_options
from apiserver.endpoints.presenter import presenter_for
from apiserver.endpoints.removal import RETURNS_OBJECT, decide_removal
from apiserver.endpoints.target import Target, is_namespace, is_service
from apiserver.http.body import object_media_type, parse, read_body
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import MediaType, require
from apiserver.http.reply import Reply
from apiserver.http.status import bytes_reply, object_reply
from apiserver.store.etcd3 import Changed, KeyGoneError
from apiserver.store.objects import StoredObject

log = logging.getLogger("apiserver.delete")


async def delete(api: Api, ctx: RequestContext, target: Target) -> Reply:
    """Answer with a Status, or with the object where the original does or where it lives on."""
    media = require(ctx.accept)
    options = await read_delete_options(ctx)
    if is_namespace(target.resource):
        api.namespaces.admit_delete(target.name)
    changed = await delete_object(api, target, options, api.storage.cached(target.key))
    if changed.removed and target.resource.kind not in RETURNS_OBJECT:
        return object_reply(
            ctx, _success(target.resource, changed.stored), MediaType(media.content_type)
        )
    presenter = presenter_for(target.resource, media, ctx.query, api.now)
    revision = changed.revision if changed.removed else None
    pending = not changed.removed and options.orphan_dependents is False
    encoded = presenter.one(changed.stored, revision)
    return bytes_reply(ctx, encoded, media, status=202 if pending else 200)


async def read_delete_options(ctx: RequestContext) -> DeleteOptions:
    """The options in body and query."""
    body: dict[str, Any] | None = None
    raw = await read_body(ctx.http)
    if raw:
        body = parse(raw, object_media_type(ctx.http))
        if not isinstance(body, dict):
            raise errors.bad_request("couldn't get version/kind; the body is not an object")
    return parse_delete_options(body, ctx.query)


async def delete_object(
    api: Api, target: Target, options: DeleteOptions, cached: StoredObject | None
) -> Changed:
    """Delete one object by compare-and-swap. Raises `ApiError` 404 when there is none."""
    now = api.now()
    try:
        changed = await api.storage.writes.guaranteed_change(
            target.key,
            lambda obj: decide_removal(target, obj, options, now),
            cached,
            dry_run=options.dry_run,
        )
    except KeyGoneError as error:
        raise target.not_found() from error
    if is_namespace(target.resource) and changed.written:
        api.namespace_deleted(target.name)
    if is_service(target.resource) and changed.removed and not options.dry_run:
        await _release_address(api, changed.stored)
    return changed


async def _release_address(api: Api, service: StoredObject) -> None:
    """Give the address back; if the store fails meanwhile it stays held by the Service's name."""
    if api.addresses is None:
        return
    try:
        await api.addresses.release(service.fresh())
    except errors.ApiError as error:
        log.warning("address of %s is not released: %s", service.key, error)


def _success(resource: Resource, stored: StoredObject) -> dict[str, Any]:
    metadata = stored.decoded["metadata"]
    details = {
        "name": metadata["name"],
        "group": resource.group,
        "kind": resource.plural,
        "uid": metadata.get("uid", ""),
    }
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }
