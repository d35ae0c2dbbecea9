"""Server-side apply: a manager says what it wants, and owns exactly that.

`server_side_apply` merges a configuration into the live object, lets go of what the manager owned
and no longer names, and refuses to take fields whose other owners want something else, unless
forced. Source: Kubernetes documentation "Server-Side Apply"; structured-merge-diff
`merge/update.go` and apimachinery `util/managedfields` for the texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from apiserver.api.json_values import clone
from apiserver.patch.apply_merge import findings, merge, prune, without_nulls
from apiserver.patch.errors import PatchError
from apiserver.patch.managed_fields import (
    APPLY,
    BEFORE_FIRST_APPLY,
    UPDATE,
    Author,
    ManagedFields,
    ManagerKey,
    Owned,
    Scope,
    decode,
    difference_of,
    encode,
    key_for,
    put,
    stripped,
    updated,
)
from apiserver.patch.managed_fields_sets import (
    FieldSet,
    difference,
    intersection,
    paths,
    union,
    without,
)
from apiserver.patch.managed_fields_shapes import struct_shape
from apiserver.patch.managed_fields_walk import fields_in

Json = dict[str, Any]
Conflicts = dict[ManagerKey, FieldSet]

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL: Final = "kubectl"
"""The manager whose client-side applies are upgraded, and whose annotation is kept fresh."""

ANNOTATIONS_BYTES_MAX: Final = 256 * 1024
_NAME: Final[FieldSet] = {"f:metadata": {"f:name": {}}}
NO_MANAGED_FIELDS: Final = "metadata.managedFields must be nil"


class UntypedConfigurationError(ValueError):
    """The configuration does not fit the type; the text says where."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One field that another manager owns."""

    field: str
    message: str


class ApplyConflictError(Exception):
    """Others own what the configuration would change: 409. The text is the original's."""

    def __init__(self, conflicts: Conflicts) -> None:
        found = [
            (key, path)
            for key in sorted(conflicts, key=ManagerKey.sort_key)
            for path in paths(conflicts[key])
        ]
        self.causes = tuple(Cause(path, f"conflict with {key}") for key, path in found)
        super().__init__(_conflict_text(found))


def _conflict_text(found: list[tuple[ManagerKey, str]]) -> str:
    if len(found) == 1:
        key, path = found[0]
        return f"Apply failed with 1 conflict: conflict with {key}: {path}"
    lines: list[str] = []
    previous = None
    for key, path in found:
        if key != previous:
            lines.append(f"conflicts with {key}:")
            previous = key
        lines.append(f"- {path}")
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Applied:
    obj: Json
    managed: ManagedFields


def server_side_apply(
    scope: Scope, live: Json, config: Any, author: Author, *, force: bool = False
) -> Json:
    """The object that applying `config` to `live` makes; neither is changed.

    `live` is `{}` but for apiVersion, kind and an empty metadata when the object is to be created.
    Raises PatchError for a configuration that says more than it may (400), ApplyConflictError
    (409), UntypedConfigurationError where it does not fit the type (500).
    """
    config = _checked(scope, config)
    bare = {**live, "metadata": {k: v for k, v in live["metadata"].items() if k != "managedFields"}}
    managed = decode(live["metadata"].get("managedFields") or (), trusted=True)
    if not managed and live["metadata"].get("uid"):
        first = key_for(scope, Author(BEFORE_FIRST_APPLY, author.time), UPDATE)
        found = difference_of(scope, {}, bare)
        if found.changed:
            managed = {first: Owned(found.changed, scope.api_version, author.time)}
    try:
        applied = _apply(scope, _Applied(bare, managed), config, author, force=force)
    except _Conflict as error:
        allowed = _upgradable(scope, bare) if author.manager == KUBECTL else {}
        left = {key: difference(fields, allowed) for key, fields in error.conflicts.items()}
        left = {key: fields for key, fields in left.items() if fields}
        if left:
            raise ApplyConflictError(left) from None
        applied = _apply(scope, _Applied(bare, managed), config, author, force=True)
    result: Json = clone(applied.obj)
    if author.manager == KUBECTL:
        _refresh_last_applied(result, config)
    put(result, encode(applied.managed))
    return result


class _Conflict(Exception):  # noqa: N818  not an error until nothing allows it
    def __init__(self, conflicts: Conflicts) -> None:
        super().__init__()
        self.conflicts = conflicts


def _checked(scope: Scope, config: Any) -> Json:
    if not isinstance(config, dict):
        raise PatchError("error decoding YAML: the configuration must be an object")
    try:
        orjson.dumps(config)
    except TypeError as error:
        raise PatchError(f"error decoding YAML: {error}") from error
    version = config.get("apiVersion")
    if version != scope.api_version:
        raise PatchError(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {version or ''}, expected: {scope.api_version}"
        )
    metadata = config.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    if metadata.get("managedFields") is not None:
        raise PatchError(NO_MANAGED_FIELDS)
    found = list(findings(struct_shape(scope.type_name), config))
    if found:
        _, _, kind = scope.type_name.rpartition(".")
        raise UntypedConfigurationError(
            f"failed to create typed patch object ({metadata.get('namespace', '')}/"
            f"{metadata.get('name', '')}; {version}, Kind={config.get('kind', kind)}): "
            + (found[0] if len(found) == 1 else "\n  ".join(["errors:", *found]))
        )
    return config


def _apply(
    scope: Scope, before: _Applied, config: Json, author: Author, *, force: bool
) -> _Applied:
    """One apply. Raises `_Conflict` unless forced."""
    shape = struct_shape(scope.type_name)
    key = key_for(scope, author, APPLY)
    last = before.managed.get(key)
    named = without(fields_in(shape, config), scope.ignored)
    wanted = stripped(named, scope)
    others = {k: owned for k, owned in before.managed.items() if k != key}
    # Every object keeps its name, though nobody owns that.
    owned = union(named, _NAME)
    for other in others.values():
        owned = union(owned, other.fields)
    merged = merge(shape, before.obj, config)
    pruned = without_nulls(prune(shape, merged, last.fields if last else {}, owned))
    obj: Json = {**pruned, "metadata": pruned.get("metadata") or {}}
    found = difference_of(scope, before.obj, obj)
    conflicts = {k: intersection(o.fields, found.changed) for k, o in others.items()}
    conflicts = {k: fields for k, fields in conflicts.items() if fields}
    if conflicts and not force:
        raise _Conflict(conflicts)
    managed = updated(others, key, found, scope)
    managed.pop(key, None)
    if wanted:
        managed[key] = Owned(wanted, scope.api_version, author.time)
    return _Applied(obj, managed)


def _upgradable(scope: Scope, live: Json) -> FieldSet:
    """What client-side apply set last and nobody has changed since: kubectl may take it over."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        last = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(last, dict) or last.get("apiVersion") != scope.api_version:
        return {}
    if not isinstance(last.get("metadata", {}), dict):
        return {}
    found = difference_of(scope, last, live)
    fields = fields_in(struct_shape(scope.type_name), last)
    return difference(difference(fields, found.changed), found.removed)


def _refresh_last_applied(obj: Json, config: Json) -> None:
    """Keep the annotation of client-side apply, if there is one, in step with server-side apply."""
    annotations = obj["metadata"].get("annotations") or {}
    if LAST_APPLIED not in annotations:
        return
    kept = clone(config)
    own = (kept.get("metadata") or {}).get("annotations")
    if isinstance(own, dict):
        own.pop(LAST_APPLIED, None)
    text = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    size = sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items())
    if size - len(annotations[LAST_APPLIED].encode()) + len(text.encode()) > ANNOTATIONS_BYTES_MAX:
        text = ""
    annotations[LAST_APPLIED] = text
