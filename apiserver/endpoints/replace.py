"""How a new state of an object takes the place of the old one: the rules of PUT and PATCH. PURE."""

from apiserver.api import errors
from apiserver.api.field_errors import invalid
from apiserver.api.json_values import same
from apiserver.endpoints.ownership import Ownership
from apiserver.endpoints.removal import is_finished
from apiserver.endpoints.target import Target
from apiserver.patch.managed_fields import settle_times
from apiserver.registry import strategy_for
from apiserver.registry.convert import to_storage
from apiserver.store.etcd3 import KEEP, Decision, Put, Remove
from apiserver.store.objects import JsonObject


def check_update_preconditions(target: Target, new: JsonObject, old: JsonObject) -> None:
    """Raise 409 unless `new` builds on `old`; 422 when it must say so and does not."""
    wanted = new["metadata"].get("resourceVersion", "")
    if wanted in ("", "0"):
        if not strategy_for(target.resource).allow_unconditional_update:
            finding = invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise errors.invalid(
                target.resource.group, target.resource.kind, target.name, [finding]
            )
    elif wanted != old["metadata"]["resourceVersion"]:
        raise target.conflict()
    uid, found = new["metadata"].get("uid"), old["metadata"].get("uid", "")
    if uid and uid != found:
        raise target.conflict(
            f"StorageError: invalid object, Code: 4, Key: {target.key}, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, "
            f"UID in object meta: {found}"
        )


def decide_replacement(
    target: Target, new: JsonObject, old: JsonObject, owner: Ownership | None
) -> Decision:
    """Replace `old` by `new` (both in the served version), or remove what `new` sets free.

    Owns `new`. What it changes will belong to `owner`; None says that the `managedFields` of `new`
    tell already. Raises `ApiError` 422 for what is not allowed.
    """
    strategy = strategy_for(target.resource)
    new["metadata"].pop("resourceVersion", None)
    if target.subresource == "finalize":
        new = _finalized(new, old)
    if owner is not None:
        owner.track(new, old)
    if target.subresource == "finalize":
        findings = []
    elif target.subresource in ("status", "approval"):
        strategy.prepare_status_update(new, old)
        findings = strategy.validate_status_update(new, old)
    else:
        strategy.prepare_for_update(new, old)
        findings = strategy.validate_update(new, old)
    if findings:
        raise errors.invalid(target.resource.group, target.resource.kind, target.name, findings)
    settle_times(new, old)
    if is_finished(new):
        return Remove()
    return KEEP if _is_same(new, old) else Put(to_storage(target.resource, new))


def _is_same(new: JsonObject, old: JsonObject) -> bool:
    """Whether nothing changes; the order of keys means nothing."""
    before = {**old, "metadata": {**old["metadata"]}}
    before["metadata"].pop("resourceVersion", None)
    return new == before and same(new, before)


def _finalized(new: JsonObject, old: JsonObject) -> JsonObject:
    """`/finalize` sets the finalizers of the spec and nothing else."""
    finalizers = (new.get("spec") or {}).get("finalizers") or []
    spec = {**(old.get("spec") or {}), "finalizers": finalizers}
    if not finalizers:
        del spec["finalizers"]
    return {**old, "metadata": dict(old["metadata"]), "spec": spec}
