"""What a delete does to an object: remove it, or mark it and let finalizers have their time. PURE.

Source: k8s.io/apiserver/pkg/registry/rest/delete.go and generic/registry/store.go.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from apiserver.api.times import render_time
from apiserver.endpoints.delete_options import DeleteOptions
from apiserver.endpoints.target import Target, is_namespace
from apiserver.registry.objectmeta import FINALIZER_FOREGROUND, FINALIZER_ORPHAN
from apiserver.store.etcd3 import KEEP, Decision, Put, Remove
from apiserver.store.objects import JsonObject

# Kinds whose storage in the original returns the deleted object rather than a Status.
RETURNS_OBJECT: Final = frozenset(
    {
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "PodTemplate",
        "ResourceQuota",
        "Service",
        "ServiceAccount",
    }
)


def check_preconditions(target: Target, obj: JsonObject, options: DeleteOptions) -> None:
    """Raise 409 unless the object is the one, at the version, that the client means."""
    metadata = obj["metadata"]
    uid, version = metadata.get("uid", ""), metadata["resourceVersion"]
    if options.uid and options.uid != uid:
        raise target.conflict(
            f"the UID in the precondition ({options.uid}) does not match the UID in record "
            f"({uid}). The object might have been deleted and then recreated"
        )
    if options.resource_version and options.resource_version != version:
        raise target.conflict(
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match "
            f"the ResourceVersion in record ({version}). The object might have been modified"
        )


def decide_removal(
    target: Target, obj: JsonObject, options: DeleteOptions, now: datetime
) -> Decision:
    """Remove the object, mark it as going, or leave one that is going already as it is."""
    check_preconditions(target, obj, options)
    metadata = obj["metadata"]
    wanted = _finalizers(metadata.get("finalizers") or [], options)
    grace_s = _grace_period_s(target, obj, options)
    namespace = is_namespace(target.resource)
    held = bool(wanted) or (namespace and bool(obj.get("spec", {}).get("finalizers")))
    if not held and grace_s == 0:
        return Remove()
    if "deletionTimestamp" in metadata and not _shortens(metadata, grace_s):
        if wanted == (metadata.get("finalizers") or []):
            return KEEP
    else:
        _mark(metadata, grace_s, now)
        if namespace:
            obj.setdefault("status", {})["phase"] = "Terminating"
    if wanted:
        metadata["finalizers"] = wanted
    else:
        metadata.pop("finalizers", None)
    return Put(obj)


def is_finished(obj: JsonObject) -> bool:
    """Whether an object marked as going has nothing left that holds it."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if obj["kind"] == "Namespace" and obj["apiVersion"] == "v1":
        return not obj.get("spec", {}).get("finalizers")
    return not metadata.get("deletionGracePeriodSeconds")


def _mark(metadata: dict[str, Any], grace_s: int, now: datetime) -> None:
    if metadata.get("generation"):
        metadata["generation"] += 1
    metadata["deletionTimestamp"] = render_time(now + timedelta(seconds=grace_s))
    metadata["deletionGracePeriodSeconds"] = grace_s


def _shortens(metadata: dict[str, Any], grace_s: int) -> bool:
    return grace_s < int(metadata.get("deletionGracePeriodSeconds") or 0)


def _grace_period_s(target: Target, obj: JsonObject, options: DeleteOptions) -> int:
    """Only pods go gracefully, and only those that a node has and that still run."""
    if target.resource.kind != "Pod":
        return 0
    spec = obj.get("spec", {})
    if not spec.get("nodeName"):
        return 0
    if obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    if options.grace_period_s is not None:
        return max(0, options.grace_period_s)
    if "deletionTimestamp" in obj["metadata"]:
        return int(obj["metadata"].get("deletionGracePeriodSeconds") or 0)
    grace = spec.get("terminationGracePeriodSeconds")
    return 30 if grace is None else max(0, int(grace))


def _finalizers(existing: list[str], options: DeleteOptions) -> list[str]:
    """The finalizers after the garbage collector's two are set as the client wants them."""
    orphans = FINALIZER_ORPHAN in existing if options.orphans is None else options.orphans
    foreground = (
        FINALIZER_FOREGROUND in existing if options.foreground is None else options.foreground
    )
    kept = [f for f in existing if f not in (FINALIZER_ORPHAN, FINALIZER_FOREGROUND)]
    if orphans:
        kept.append(FINALIZER_ORPHAN)
    if foreground:
        kept.append(FINALIZER_FOREGROUND)
    return existing if set(kept) == set(existing) else kept
