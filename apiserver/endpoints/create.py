"""POST to a collection: decode, admit, prepare, validate, and write if there is none yet."""

from dataclasses import dataclass

from apiserver.api import errors
from apiserver.api.metadata import GENERATE_ATTEMPTS, generate_name, stamp_new
from apiserver.endpoints.api import Api
from apiserver.endpoints.ownership import SERVER, ownership, request_manager
from apiserver.endpoints.target import Target, is_namespace, is_service
from apiserver.endpoints.write import (
    fit_to_target,
    new_uid,
    parse_write_options,
    read_object,
    written_reply,
)
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import require
from apiserver.http.reply import Reply
from apiserver.patch.managed_fields import put
from apiserver.registry import strategy_for
from apiserver.registry.convert import to_storage
from apiserver.store.etcd3 import Guard, GuardLostError, KeyExistsError
from apiserver.store.objects import JsonObject, StoredObject, encode_value

# How often a create starts over because its namespace was changed in the meantime.
GUARD_ATTEMPTS_MAX = 16


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a new object goes: the namespace's guard, if it has a namespace."""

    target: Target
    guard: Guard | None


async def create(api: Api, ctx: RequestContext, target: Target) -> Reply:
    """Answer 201 with the object, or say what is wrong with it."""
    media = require(ctx.accept)
    dry_run, validation = parse_write_options(ctx, "CreateOptions")
    decoded = await read_object(ctx, target, validation)
    manager = request_manager(ctx)
    stored = await create_object(api, target, decoded.obj, dry_run=dry_run, manager=manager)
    warnings = decoded.warnings + tuple(strategy_for(target.resource).warnings(decoded.obj))
    return written_reply(api, ctx, target, stored, media, status=201, warnings=warnings)


async def create_object(
    api: Api,
    target: Target,
    obj: JsonObject,
    *,
    dry_run: bool = False,
    manager: str | None = SERVER,
) -> StoredObject:
    """Create a decoded object, durable on return unless it is a dry run. Owns `obj`.

    Its fields will belong to `manager`; None says that its `managedFields` tell already.
    Raises `ApiError`: 403, 404, 409, 422, and 504 when the outcome is unknown.
    """
    resource = target.resource
    metadata = obj["metadata"]
    fit_to_target(target, obj)
    guard = await _guard(api, target, metadata.get("name", ""), fresh=False)
    if metadata.get("resourceVersion"):
        text = "resourceVersion should not be set on objects to be created"
        raise errors.ApiError(500, "", text)
    stamp_new(obj, uid=new_uid(), now=api.now())
    if manager is None:
        put(obj, metadata.get("managedFields") or [])
    else:
        ownership(api, resource, "", manager).track(obj, None)
    base = "" if metadata.get("name") else metadata.get("generateName", "")
    attempts = GENERATE_ATTEMPTS if base else 1
    for _ in range(attempts):
        if base:
            metadata["name"] = generate_name(base, api.chance)
        strategy_for(resource).prepare_for_create(obj)
        _validate(target, obj)
        named = target.named(metadata["name"])
        try:
            stored = await _write_addressed(api, _Slot(named, guard), obj, dry_run=dry_run)
        except KeyExistsError:
            continue
        if is_namespace(resource) and not dry_run:
            api.namespace_created(named.name)
        return stored
    name = metadata["name"]
    if base:
        raise errors.generate_name_conflict(resource.group, resource.plural, name)
    raise errors.already_exists(resource.group, resource.plural, name)


def _validate(target: Target, obj: JsonObject) -> None:
    findings = strategy_for(target.resource).validate_create(obj)
    if findings:
        name = obj["metadata"].get("name", "")
        raise errors.invalid(target.resource.group, target.resource.kind, name, findings)


async def _guard(api: Api, target: Target, name: str, *, fresh: bool) -> Guard | None:
    if not target.resource.namespaced:
        return None
    return await api.namespaces.admit_create(
        target.namespace,
        group=target.resource.group,
        plural=target.resource.plural,
        name=name,
        fresh=fresh,
    )


async def _write_addressed(
    api: Api, slot: _Slot, obj: JsonObject, *, dry_run: bool
) -> StoredObject:
    """Write; a Service with an address, which is given back when it surely was not written."""
    addresses = api.addresses
    if addresses is None or dry_run or not is_service(slot.target.resource):
        return await _write(api, slot, obj, dry_run=dry_run)
    taken = await addresses.assign(obj, api.chance, obj["metadata"]["creationTimestamp"])
    try:
        return await _write(api, slot, obj, dry_run=dry_run)
    except (KeyExistsError, errors.ApiError) as error:
        unknown = isinstance(error, errors.ApiError) and error.status_code == 504
        if taken and not unknown:
            await addresses.release(obj)
            for field in ("clusterIP", "clusterIPs"):
                obj["spec"].pop(field, None)
        raise


async def _write(api: Api, slot: _Slot, obj: JsonObject, *, dry_run: bool) -> StoredObject:
    target, guard = slot.target, slot.guard
    value = to_storage(target.resource, obj)
    if dry_run:
        if await api.storage.get(target.key) is not None:
            raise KeyExistsError(target.key)
        return _unwritten(target, value)
    for _ in range(GUARD_ATTEMPTS_MAX):
        try:
            return await api.storage.writes.create(target.key, value, guard)
        except GuardLostError:
            guard = await _guard(api, target, target.name, fresh=True)
    raise errors.server_timeout(target.resource.group, target.resource.plural, "create")


def _unwritten(target: Target, value: JsonObject) -> StoredObject:
    return StoredObject(target.key, encode_value(value), 0)
