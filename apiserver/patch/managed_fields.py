"""Who owns which field of an object: `metadata.managedFields`, kept as kube-apiserver keeps it.

`ManagedFields` is what the entries say; `track` is what an update does to it. The object's
bookkeeping metadata belongs to nobody, nor do fields that a write to this resource or subresource
cannot change. Entries written through another version of the group are compared by field name.
Source: apimachinery `util/managedfields`, Kubernetes documentation "Server-Side Apply".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from apiserver.patch.managed_fields_sets import (
    FieldSet,
    check_fields,
    difference,
    in_order,
    union,
    without,
)
from apiserver.patch.managed_fields_shapes import struct_shape
from apiserver.patch.managed_fields_walk import Comparison, compare

Json = dict[str, Any]

APPLY: Final = "Apply"
UPDATE: Final = "Update"
FIELDS_V1: Final = "FieldsV1"

UPDATERS_MAX: Final = 10
"""So many entries may come from updates; older ones are merged."""

ANCIENT: Final = "ancient-changes"
BEFORE_FIRST_APPLY: Final = "before-first-apply"
UNKNOWN: Final = "unknown"
MANAGER_BYTES_MAX: Final = 128

BOOKKEEPING: Final = frozenset(
    {
        "creationTimestamp",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""What of the metadata belongs to nobody."""

_STRIPPED: Final[FieldSet] = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {".": {}, **{"f:" + name: {} for name in sorted(BOOKKEEPING)}},
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What is written: objects of a type, through a version, perhaps through a subresource.

    `ignored` are the fields that such a write cannot change (a main write never the status).
    """

    type_name: str
    api_version: str
    subresource: str = ""
    ignored: FieldSet = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, and when (RFC 3339, as it is stored)."""

    manager: str
    time: str


@dataclass(frozen=True, slots=True)
class ManagerKey:
    """What tells entries apart. Appliers are the same in all versions: theirs is ""."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    def __str__(self) -> str:
        """As texts of conflicts name it."""
        text = _quoted(self.manager)
        if self.subresource:
            text += f" with subresource {_quoted(self.subresource)}"
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text

    def sort_key(self) -> tuple[str, ...]:
        """The order in which conflicts are listed."""
        return (self.manager, self.operation, self.api_version, self.subresource)


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


@dataclass(frozen=True, slots=True)
class Owned:
    """One entry's fields; `time` is when it last took any."""

    fields: FieldSet
    api_version: str
    time: str


ManagedFields = dict[ManagerKey, Owned]


def key_for(scope: Scope, author: Author, operation: str) -> ManagerKey:
    """The entry of `author` for a write of `scope`."""
    version = "" if operation == APPLY else scope.api_version
    return ManagerKey(author.manager or UNKNOWN, operation, version, scope.subresource)


def decode(entries: Iterable[Any], *, trusted: bool) -> ManagedFields:
    """What entries say. Those in the store are trusted; raises ValueError for others if bad."""
    managed: ManagedFields = {}
    for entry in entries:
        if not trusted:
            _check_entry(entry)
        operation, version = entry.get("operation", ""), entry.get("apiVersion", "")
        key = ManagerKey(
            entry.get("manager", ""),
            operation,
            "" if operation == APPLY else version,
            entry.get("subresource", ""),
        )
        fields = entry.get("fieldsV1") or {}
        fields = fields if trusted else check_fields(fields)
        managed[key] = Owned(fields, version, entry.get("time") or "")
    return managed


def _check_entry(entry: Any) -> None:
    if not isinstance(entry, dict) or entry.get("operation") not in (APPLY, UPDATE):
        raise ValueError("operation must be Apply or Update")
    if not entry.get("apiVersion") or entry.get("fieldsType", FIELDS_V1) != FIELDS_V1:
        raise ValueError("an entry needs an apiVersion, and FieldsV1")


def encode(managed: ManagedFields) -> list[Json]:
    """The entries as clients see them: appliers first, then by time."""
    order = sorted(
        managed.items(),
        key=lambda item: (
            item[0].operation,
            item[1].time,
            item[0].manager,
            item[1].api_version,
            item[0].subresource,
        ),
    )
    return [_entry(key, owned) for key, owned in order]


def _entry(key: ManagerKey, owned: Owned) -> Json:
    entry: Json = {
        "manager": key.manager,
        "operation": key.operation,
        "apiVersion": owned.api_version,
    }
    if owned.time:
        entry["time"] = owned.time
    entry["fieldsType"] = FIELDS_V1
    entry["fieldsV1"] = in_order(owned.fields)
    if key.subresource:
        entry["subresource"] = key.subresource
    return entry


def put(obj: Json, entries: list[Json]) -> None:
    """Set the entries of an object, or have it without any."""
    metadata = obj["metadata"]
    metadata.pop("managedFields", None)
    if entries:
        metadata["managedFields"] = entries


def track(scope: Scope, new: Json, old: Json | None, author: Author) -> None:
    """Set `managedFields` of `new`, which takes the place of `old`, or is created.

    The client may have edited the entries: `[{}]` resets them, an empty or broken list leaves
    those of `old`. An object without any entries does not get its first by an update.
    """
    before: list[Json] = (old["metadata"].get("managedFields") or []) if old is not None else []
    sent = new["metadata"].get("managedFields")
    managed: ManagedFields | None = None
    if sent and sent != before and not scope.subresource:
        managed = {} if sent == [{}] else _sent(sent)
    edited = managed is not None
    if managed is None:
        managed = decode(before, trusted=True)
    if managed or old is None:
        found = difference_of(scope, old or {}, new)
        if found.changed or found.removed:
            edited = True
            key = key_for(scope, author, UPDATE)
            managed = _timed(updated(managed, key, found, scope), key, author, found)
            managed = capped(managed)
    put(new, encode(managed) if edited else before)


def _sent(entries: list[Any]) -> ManagedFields | None:
    """What a client's entries say; None when they are to be ignored."""
    try:
        return decode(entries, trusted=False) or None
    except ValueError:
        return None


def _timed(
    managed: ManagedFields, key: ManagerKey, author: Author, found: Comparison
) -> ManagedFields:
    """The author's entry is as old as the last change that gave it a field."""
    owned = managed.get(key)
    if owned is None or not found.changed:
        return managed
    return {**managed, key: Owned(owned.fields, owned.api_version, author.time)}


def difference_of(scope: Scope, old: Json, new: Json) -> Comparison:
    """In what two objects differ, but for what belongs to nobody."""
    whole = [name for name, below in scope.ignored.items() if not below]
    dropped = {"apiVersion", "kind", *(name[2:] for name in whole)}
    found = compare(struct_shape(scope.type_name), _seen(old, dropped), _seen(new, dropped))
    if len(whole) == len(scope.ignored):
        return found
    return Comparison(without(found.changed, scope.ignored), without(found.removed, scope.ignored))


def _seen(obj: Json, dropped: set[str]) -> Json:
    seen = {name: value for name, value in obj.items() if name not in dropped}
    metadata = obj.get("metadata") or {}
    seen["metadata"] = {n: value for n, value in metadata.items() if n not in BOOKKEEPING}
    return seen


def updated(
    managed: ManagedFields, author: ManagerKey, found: Comparison, scope: Scope
) -> ManagedFields:
    """The entries after a change that nobody could object to: what changed is the author's."""
    rest: ManagedFields = {}
    for key, owned in managed.items():
        fields = difference(owned.fields, found.removed)
        if key == author:
            fields = union(fields, found.changed)
        else:
            fields = difference(fields, found.changed)
        if fields:
            rest[key] = Owned(fields, owned.api_version, owned.time)
    if author not in managed and found.changed:
        rest[author] = Owned(found.changed, scope.api_version, "")
    return rest


def stripped(fields: FieldSet, scope: Scope) -> FieldSet:
    """The fields but for what belongs to nobody and what `scope` cannot change."""
    return difference(without(fields, scope.ignored), _STRIPPED)


def capped(managed: ManagedFields) -> ManagedFields:
    """At most UPDATERS_MAX entries from updates: the oldest of a version become one."""
    updaters = [key for key in managed if key.operation == UPDATE]
    if len(updaters) <= UPDATERS_MAX:
        return managed
    updaters.sort(key=lambda key: (managed[key].time, key.sort_key()))
    rest, left = dict(managed), len(updaters)
    first: dict[str, ManagerKey] = {}
    for key in updaters:
        if left <= UPDATERS_MAX:
            break
        version = key.api_version
        bucket = ManagerKey(ANCIENT, UPDATE, version, "")
        if version not in first:
            first[version] = key
            continue
        if bucket not in rest:
            rest[bucket] = rest.pop(first[version])
        if key != bucket:
            merged = rest.pop(key)
            fields = union(merged.fields, rest[bucket].fields)
            rest[bucket] = Owned(fields, version, merged.time)
            left -= 1
    return rest


def settle_times(new: Json, old: Json) -> None:
    """If nothing but times of entries differs between the two, let `new` have those of `old`."""
    after, before = new["metadata"].get("managedFields"), old["metadata"].get("managedFields")
    if not after or not before or after == before:
        return
    if _timeless(after) == _timeless(before) and _without_entries(new) == _without_entries(old):
        new["metadata"]["managedFields"] = before


def _timeless(entries: list[Json]) -> list[Json]:
    """Entries without their times, in an order that does not depend on these."""
    bare = [{name: value for name, value in e.items() if name != "time"} for e in entries]
    return sorted(
        bare,
        key=lambda e: (e["operation"], e["manager"], e["apiVersion"], e.get("subresource", "")),
    )


def _without_entries(obj: Json) -> Json:
    dropped = ("managedFields", "resourceVersion")
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k not in dropped}}


def manager_of(field_manager: str, user_agent: str) -> str:
    """The manager's name: what the client says, else the first part of its User-Agent."""
    if field_manager:
        return field_manager
    first = "".join(c for c in user_agent.partition("/")[0] if c.isprintable())
    return first.encode()[:MANAGER_BYTES_MAX].decode(errors="ignore")
