"""What create, update and patch have in common: options, identity, the answer. PURE but for ids."""

import uuid
from collections.abc import Iterator
from typing import Any, Final

from apiserver.api import decode, errors
from apiserver.api.decode import FieldValidation
from apiserver.api.field_errors import (
    FieldError,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from apiserver.api.protobuf import PROTOBUF, decode_protobuf
from apiserver.endpoints.api import Api
from apiserver.endpoints.presenter import presenter_for
from apiserver.endpoints.target import Target
from apiserver.http.body import media_type, object_media_type, read_body
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import MediaType
from apiserver.http.reply import Reply
from apiserver.http.status import bytes_reply
from apiserver.patch.managed_fields import MANAGER_BYTES_MAX
from apiserver.store.objects import JsonObject, StoredObject

WARNINGS_BYTES_MAX = 4096

APPLY_PATCH: Final = "application/apply-patch+yaml"


def new_uid() -> str:
    """A random uid; nobody else ever makes the same one."""
    return str(uuid.uuid4())


def parse_write_options(ctx: RequestContext, kind: str) -> tuple[bool, FieldValidation]:
    """Whether it is a dry run, and what to do about unknown fields. Raises 400 or 422."""
    dry_run = ctx.query.get("dryRun", "")
    findings = list(_manager_findings(ctx, kind))
    if dry_run not in ("", "All"):
        findings.append(not_supported("dryRun", [dry_run], ["All"]))
    if findings:
        raise errors.invalid("meta.k8s.io", kind, "", findings)
    return bool(dry_run), FieldValidation.of(ctx.query.get("fieldValidation", ""), kind)


def _manager_findings(ctx: RequestContext, kind: str) -> Iterator[FieldError]:
    """What is wrong with `fieldManager` and `force`."""
    manager = ctx.query.get("fieldManager", "")
    if kind == "PatchOptions":
        applies = media_type(ctx.http) == APPLY_PATCH
        if applies and not manager:
            yield required("fieldManager", "is required for apply patch")
        if not applies and "force" in ctx.query:
            yield forbidden("force", "may not be specified for non-apply patch")
    if len(manager.encode()) > MANAGER_BYTES_MAX:
        yield too_long("fieldManager", MANAGER_BYTES_MAX)
    if not manager.isprintable():
        yield invalid("fieldManager", manager, "should only contain printable characters")


def fit_to_target(target: Target, obj: JsonObject) -> None:
    """Give a new object the namespace of the request. Raises 400 when it names another."""
    metadata = obj["metadata"]
    if not target.resource.namespaced:
        return
    if metadata.setdefault("namespace", target.namespace) != target.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def fit_update_to_target(target: Target, obj: JsonObject) -> None:
    """Check that an updated object is the one on the URL. Raises 400."""
    metadata: dict[str, Any] = obj["metadata"]
    name = metadata.get("name", "")
    if not name:
        raise errors.bad_request(
            f"the name of the object ({target.name} based on URL) was undeterminable: "
            "name must be provided"
        )
    if name != target.name:
        raise errors.bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )
    if target.resource.namespaced:
        namespace = metadata.setdefault("namespace", target.namespace)
        if namespace != target.namespace:
            raise errors.bad_request(
                f"the namespace of the object ({namespace}) does not match the namespace on the "
                f"request ({target.namespace})"
            )


def object_type(target: Target) -> decode.Target:
    """The type that a body written to `target` must have: a Scale's is not its resource's."""
    subresource = target.resource.subresource(target.subresource)
    if subresource is None or subresource.kind == target.resource.kind:
        return decode.Target.of(target.resource)
    return decode.Target(
        subresource.group, subresource.version, subresource.kind, subresource.type_name
    )


async def read_object(
    ctx: RequestContext, target: Target, validation: FieldValidation
) -> decode.Decoded:
    """The object in the body, typed and defaulted. Raises `ApiError` 400, 413 or 415."""
    content_type = object_media_type(ctx.http)
    body = await read_body(ctx.http)
    wanted = object_type(target)
    if content_type == PROTOBUF:
        return decode.decode(wanted, decode_protobuf(body), validation=validation)
    return decode.decode_body(wanted, body, media_type=content_type, validation=validation)


def written_reply(
    api: Api,
    ctx: RequestContext,
    target: Target,
    stored: StoredObject,
    media: MediaType,
    *,
    status: int,
    warnings: tuple[str, ...] = (),
) -> Reply:
    """The written object, with a Warning header for each warning."""
    presenter = presenter_for(target.resource, media, ctx.query, api.now)
    reply = bytes_reply(ctx, presenter.one(stored), media, status=status)
    reply.header_lines = warning_headers(warnings)
    return reply


def warning_headers(warnings: tuple[str, ...]) -> str:
    """`Warning: 299 - "…"` lines (RFC 7234), bounded as the original bounds them."""
    lines = ""
    for text in warnings:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        printable = "".join(c for c in escaped if c.isprintable())
        line = f'Warning: 299 - "{printable}"\r\n'
        if len(lines) + len(line) > WARNINGS_BYTES_MAX:
            break
        lines += line
    return lines
