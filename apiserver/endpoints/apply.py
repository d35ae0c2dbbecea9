"""Server-side apply: PATCH with a configuration, which creates what is not there.

Order and texts as in k8s.io/apiserver/pkg/endpoints/handlers/patch.go (`applyPatcher`).
"""

from dataclasses import dataclass

from apiserver.api import decode, documents, errors
from apiserver.api.decode import FieldValidation
from apiserver.api.errors import ApiError
from apiserver.endpoints.api import Api
from apiserver.endpoints.create import create_object
from apiserver.endpoints.ownership import Ownership, ownership_of
from apiserver.endpoints.replace import check_update_preconditions, decide_replacement
from apiserver.endpoints.target import Target
from apiserver.endpoints.write import (
    fit_update_to_target,
    parse_write_options,
    written_reply,
)
from apiserver.http.body import read_body
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import require
from apiserver.http.reply import Reply
from apiserver.http.request_info import is_true
from apiserver.patch.apply import (
    ApplyConflictError,
    UntypedConfigurationError,
    server_side_apply,
)
from apiserver.patch.errors import PatchError
from apiserver.registry.convert import from_storage
from apiserver.store.etcd3 import Decision, KeyGoneError
from apiserver.store.objects import JsonObject, StoredObject

# How often an apply starts over because the object comes and goes under it.
ATTEMPTS_MAX = 8


@dataclass(frozen=True, slots=True)
class _Application:
    """One configuration, applied to whatever is there."""

    target: Target
    owner: Ownership
    config: object
    force: bool

    def to(self, live: JsonObject) -> JsonObject:
        """What applying to `live` makes, typed and defaulted. Raises `ApiError`."""
        obj = self._merged(live)
        resource = self.target.resource
        decoded = decode.decode(
            decode.Target.of(resource), obj, validation=FieldValidation.IGNORE
        ).obj
        fit_update_to_target(self.target, decoded)
        return decoded

    def _merged(self, live: JsonObject) -> JsonObject:
        owner = self.owner
        try:
            return server_side_apply(owner.scope, live, self.config, owner.author, force=self.force)
        except PatchError as error:
            raise errors.bad_request(str(error)) from error
        except UntypedConfigurationError as error:
            raise ApiError(500, "", str(error)) from error
        except ApplyConflictError as error:
            causes = tuple(
                {"reason": "FieldManagerConflict", "message": cause.message, "field": cause.field}
                for cause in error.causes
            )
            details = errors.Details(causes=causes)
            raise ApiError(409, "Conflict", str(error), details) from error

    def to_nothing(self) -> JsonObject:
        """The object to create. Raises `ApiError`."""
        resource = self.target.resource
        empty = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {}}
        obj = self.to(empty)
        if uid := obj["metadata"].get("uid"):
            raise self.target.conflict(
                f"uid mismatch: the provided object specified uid {uid}, "
                "and no existing object was found"
            )
        return obj


async def apply_configuration(api: Api, ctx: RequestContext, target: Target) -> Reply:
    """Answer 200 with the object as it is now, or 201 when there was none."""
    media = require(ctx.accept)
    dry_run, validation = parse_write_options(ctx, "PatchOptions")
    config, warnings = _configuration(await read_body(ctx.http), validation)
    owner = ownership_of(api, ctx, target.resource, target.subresource)
    application = _Application(target, owner, config, is_true(ctx.query, "force"))
    stored, created = await _change_or_create(api, application, dry_run=dry_run)
    status = 201 if created else 200
    return written_reply(api, ctx, target, stored, media, status=status, warnings=warnings)


def _configuration(body: bytes, validation: FieldValidation) -> tuple[object, tuple[str, ...]]:
    """The configuration and warnings about it. Raises `ApiError` 400."""
    try:
        document = documents.parse_yaml(body)
    except documents.DocumentError as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from error
    if not document.yaml_findings or validation is FieldValidation.IGNORE:
        return document.value, ()
    text = "error converting YAML to JSON: " + "; ".join(document.yaml_findings)
    if validation is FieldValidation.STRICT:
        raise errors.bad_request(f"error strict decoding YAML: {text}")
    return document.value, (text,)


async def _change_or_create(
    api: Api, application: _Application, *, dry_run: bool
) -> tuple[StoredObject, bool]:
    """The object as it is now, and whether it was created."""
    target = application.target
    for _ in range(ATTEMPTS_MAX):
        try:
            changed = await api.storage.writes.guaranteed_change(
                target.key,
                lambda stored: _decide(application, stored),
                api.storage.cached(target.key),
                dry_run=dry_run,
            )
            return changed.stored, False
        except KeyGoneError as error:
            if target.subresource:
                raise target.not_found() from error
        try:
            obj = application.to_nothing()
            return await create_object(api, target, obj, dry_run=dry_run, manager=None), True
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
    raise target.conflict()


def _decide(application: _Application, stored: JsonObject) -> Decision:
    target = application.target
    old = from_storage(target.resource, stored)
    new = application.to(old)
    check_update_preconditions(target, new, old)
    return decide_replacement(target, new, old, None)
