"""PATCH one object: the client's change on the latest state, tried again when that has moved on.

Texts as in k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
"""

from collections.abc import Callable
from typing import Any, Final

from apiserver.api import decode, errors
from apiserver.api.decode import FieldValidation
from apiserver.endpoints.api import Api
from apiserver.endpoints.apply import apply_configuration
from apiserver.endpoints.ownership import ownership_of
from apiserver.endpoints.replace import check_update_preconditions, decide_replacement
from apiserver.endpoints.target import Target
from apiserver.endpoints.write import (
    APPLY_PATCH,
    fit_update_to_target,
    object_type,
    parse_write_options,
    written_reply,
)
from apiserver.http.body import media_type, parse, read_body
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import JSON, require
from apiserver.http.reply import Reply
from apiserver.patch.errors import PatchConflictError, PatchError, PatchTooLargeError
from apiserver.patch.json_patch import apply_json_patch
from apiserver.patch.merge import apply_merge_patch
from apiserver.patch.strategic import apply_strategic_patch
from apiserver.registry.convert import from_storage
from apiserver.store.etcd3 import Decision, KeyGoneError
from apiserver.store.objects import JsonObject

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
PATCH_TYPES: Final = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)

Apply = Callable[[JsonObject], Any]


async def patch(api: Api, ctx: RequestContext, target: Target) -> Reply:
    """Answer 200 with the object as it is now."""
    if media_type(ctx.http) == APPLY_PATCH:
        return await apply_configuration(api, ctx, target)
    media = require(ctx.accept)
    dry_run, validation = parse_write_options(ctx, "PatchOptions")
    apply = await read_patch(ctx, target.resource.type_name)
    owner = ownership_of(api, ctx, target.resource, target.subresource)
    warnings: tuple[str, ...] = ()

    def decide(stored: JsonObject) -> Decision:
        nonlocal warnings
        old = from_storage(target.resource, stored)
        decoded = patched(target, apply, old, validation)
        new, warnings = decoded.obj, decoded.warnings
        check_update_preconditions(target, new, old)
        return decide_replacement(target, new, old, owner)

    try:
        changed = await api.storage.writes.guaranteed_change(
            target.key, decide, api.storage.cached(target.key), dry_run=dry_run
        )
    except KeyGoneError as error:
        raise target.not_found() from error
    return written_reply(api, ctx, target, changed.stored, media, status=200, warnings=warnings)


async def read_patch(ctx: RequestContext, type_name: str) -> Apply:
    """The patch in the body, for documents of the type. Raises `ApiError` 400, 413 or 415.

    A configuration is no such patch: whoever takes those looks for them first.
    """
    patch_type = media_type(ctx.http)
    if patch_type == APPLY_PATCH:
        raise errors.unsupported_media_type(PATCH_TYPES[:-1])
    if patch_type not in PATCH_TYPES:
        raise errors.unsupported_media_type(PATCH_TYPES)
    return _applier(type_name, patch_type, parse(await read_body(ctx.http), JSON))


def _applier(type_name: str, patch_type: str, document: Any) -> Apply:
    if patch_type == JSON_PATCH:
        return lambda old: apply_json_patch(old, document)
    if patch_type == MERGE_PATCH:
        return lambda old: apply_merge_patch(old, document)
    return lambda old: apply_strategic_patch(old, document, type_name)


def patched(
    target: Target, apply: Apply, old: JsonObject, validation: FieldValidation
) -> decode.Decoded:
    """The new object, typed and defaulted; leaves `old` as it is. Raises 400, 413 or 422."""
    resource = target.resource
    try:
        document = apply(old)
    except PatchTooLargeError as error:
        raise errors.request_entity_too_large(str(error)) from error
    except PatchConflictError as error:
        raise errors.ApiError(
            422,
            "Invalid",
            f"the server rejected our request due to an error in our request: {error}",
            errors.Details(),
        ) from error
    except PatchError as error:
        raise errors.bad_request(str(error)) from error
    if not isinstance(document, dict):
        raise errors.bad_request(f"the patch does not leave a {resource.kind}")
    decoded = decode.decode(object_type(target), document, validation=validation)
    fit_update_to_target(target, decoded.obj)
    return decoded
