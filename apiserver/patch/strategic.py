"""Strategic merge patch: a merge patch that knows the types it patches.

Lists with a merge key merge item by item, in a stable order; directives in the patch say the rest:
`$patch: replace|delete|merge`, `$retainKeys`, `$deleteFromPrimitiveList/<field>`,
`$setElementOrder/<field>`. Source: Kubernetes documentation "Strategic merge patch", and
apimachinery's `strategicpatch` for the order of items and the texts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver.api import types
from apiserver.api.json_values import clone
from apiserver.api.tables_patch import PLAIN, PatchMeta, patch_meta
from apiserver.patch.errors import PatchConflictError, PatchError

Json = dict[str, Any]

PATCH = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM = "$deleteFromPrimitiveList/"
SET_ORDER = "$setElementOrder/"

BAD_JSON = "invalid JSON document"
BAD_DELETE_LIST = "invalid patch format of primitive list"
BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
BAD_ORDER = "invalid patch format of setElementOrder list"
LIST_OF_LISTS = "lists of lists are not supported"

Identity = tuple[type, Any]
"""What tells items of a list apart: a scalar with its type, for true is not 1."""

IdentityOf = Callable[[Any], Identity]


def apply_strategic_patch(document: Json, patch: Any, type_name: str) -> Json:
    """The document of the named type with `patch` merged in; neither argument is changed.

    Raises PatchError for a malformed patch, PatchConflictError where it does not fit the type.
    """
    if not isinstance(patch, dict):
        raise PatchError(BAD_JSON)
    copied: Json = clone(document)
    return _merge_map(copied, patch, "@" + type_name)


def _field(kind: str, field: str) -> tuple[str, PatchMeta]:
    """The kind of a field of a value of `kind`, and how it merges."""
    if kind[0] == "@":
        found = types.field_kind(kind[1:], field)
        return found or "*", patch_meta(kind[1:], field)
    return (kind[1:] if kind[0] == "{" else "*"), PLAIN


def _merge_map(original: Json, patch: Json, kind: str) -> Json:
    """Merge `patch` into `original`, which belongs to the result."""
    directive = patch.get(PATCH)
    if directive == "replace":
        return {key: _fresh(value) for key, value in patch.items() if key != PATCH}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchError(f"unknown patch type: {directive} in map: {patch}")
    _retain_keys(original, patch)
    ordered = _set_element_order(original, patch, kind)
    for key, value in patch.items():
        if key in (PATCH, RETAIN_KEYS) or key.startswith(SET_ORDER) or key in ordered:
            continue
        if key.startswith(DELETE_FROM):
            _delete_from(original, key.removeprefix(DELETE_FROM), value)
        elif value is None:
            original.pop(key, None)
        else:
            original[key] = _merge_value(original.get(key), value, *_field(kind, key))
    return original


def _merge_value(original: Any, value: Any, kind: str, meta: PatchMeta) -> Any:
    if isinstance(value, dict) and isinstance(original, dict) and not meta.replace:
        return _merge_map(original, value, kind)
    if isinstance(value, list) and meta.merge:
        return _merge_list(original if isinstance(original, list) else [], value, kind, meta)
    return _fresh(value)


def _fresh(value: Any) -> Any:
    """A copy of a part of a patch without what only means something to a merge."""
    if isinstance(value, dict):
        return {
            key: _fresh(item)
            for key, item in value.items()
            if item is not None and not key.startswith("$")
        }
    if isinstance(value, list):
        return [_fresh(item) for item in value if not _is_directive(item)]
    return value


def _is_directive(item: Any) -> bool:
    return isinstance(item, dict) and item.get(PATCH) in ("replace", "delete")


def _retain_keys(original: Json, patch: Json) -> None:
    if RETAIN_KEYS not in patch:
        return
    retained = patch[RETAIN_KEYS]
    if not isinstance(retained, list):
        raise PatchError(BAD_RETAIN_KEYS)
    named = (key for key, value in patch.items() if value is not None and key[0:1] != "$")
    if any(key not in retained for key in named):
        raise PatchError(BAD_RETAIN_KEYS)
    for key in [key for key in original if key not in retained]:
        del original[key]


def _delete_from(original: Json, field: str, values: Any) -> None:
    if not isinstance(values, list):
        raise PatchError(BAD_DELETE_LIST)
    found = original.get(field)
    if isinstance(found, list):
        deleted = {_scalar(value) for value in values}
        original[field] = [item for item in found if _scalar(item) not in deleted]


def _merge_list(original: list[Any], patch: list[Any], kind: str, meta: PatchMeta) -> list[Any]:
    """Merge two lists; `original` belongs to the result."""
    if any(isinstance(item, list) for item in patch):
        raise PatchConflictError(LIST_OF_LISTS)
    if not meta.merge_key:
        merged = list({_scalar(item): item for item in original + patch}.values())
        return _in_order(merged, patch, original, _scalar)
    by_key = _identity_by(meta.merge_key)
    if any(isinstance(item, dict) and item.get(PATCH) == "replace" for item in patch):
        return [_fresh(item) for item in patch if not _is_directive(item)]
    deleted = {by_key(item) for item in patch if _is_directive(item)}
    served = {by_key(item): item for item in original if by_key(item) not in deleted}
    server_order = list(served.values())
    plain = [item for item in patch if not _is_directive(item)]
    item_kind = kind[1:] if kind[0] == "[" else "*"
    for item in plain:
        identity = by_key(item)
        found = served.get(identity)
        served[identity] = _fresh(item) if found is None else _merge_map(found, item, item_kind)
    return _in_order(list(served.values()), plain, server_order, by_key)


def _scalar(item: Any) -> Identity:
    if isinstance(item, dict | list):
        raise PatchConflictError("list element types are not identical")
    return (type(item), item)


def _identity_by(merge_key: str) -> IdentityOf:
    def identity_of(item: Any) -> Identity:
        if not isinstance(item, dict):
            raise PatchConflictError("list element types are not identical")
        if merge_key not in item:
            raise PatchError(f"map: {item} does not contain declared merge key: {merge_key}")
        return _scalar(item[merge_key])

    return identity_of


def _places(items: list[Any], identity_of: IdentityOf) -> dict[Identity, int]:
    places: dict[Identity, int] = {}
    for place, item in enumerate(items):
        places.setdefault(identity_of(item), place)
    return places


def _in_order(
    merged: list[Any], patch_order: list[Any], server_order: list[Any], identity_of: IdentityOf
) -> list[Any]:
    """Items that the patch names in its order, woven into the others in the server's order."""
    wanted = _places(patch_order, identity_of)
    served = _places(server_order, identity_of)
    named = [item for item in merged if identity_of(item) in wanted]
    named.sort(key=lambda item: wanted[identity_of(item)])
    others = [item for item in merged if identity_of(item) not in wanted]
    woven: list[Any] = []
    left = right = 0
    while left < len(others) and right < len(named):
        left_place = served.get(identity_of(others[left]))
        right_place = served.get(identity_of(named[right]))
        if left_place is not None and right_place is not None and left_place < right_place:
            woven.append(others[left])
            left += 1
        else:
            woven.append(named[right])
            right += 1
    return woven + others[left:] + named[right:]


def _set_element_order(original: Json, patch: Json, kind: str) -> set[str]:
    """Merge and order the lists that have a `$setElementOrder`; gives the fields that are done."""
    done: set[str] = set()
    for key, order in patch.items():
        if not key.startswith(SET_ORDER):
            continue
        field = key.removeprefix(SET_ORDER)
        if not isinstance(order, list):
            raise PatchError(BAD_ORDER)
        field_kind, meta = _field(kind, field)
        served = original.get(field)
        changes = patch.get(field)
        if not meta.merge or not isinstance(served, list | None):
            continue
        if changes is None and field in patch:
            continue
        identity_of = _identity_by(meta.merge_key) if meta.merge_key else _scalar
        _check_order(changes, order, identity_of)
        done.add(field)
        before = list(served or [])
        if isinstance(changes, list):
            merged = _merge_list(list(before), changes, field_kind, meta)
        else:
            merged = before
        if merged or served is not None or changes is not None:
            original[field] = _in_order(merged, order, before, identity_of)
    return done


def _check_order(changes: Any, order: list[Any], identity_of: IdentityOf) -> None:
    """What the patch merges must stand in the order list, in the same sequence."""
    listed = _places(order, identity_of)
    named = [identity_of(item) for item in changes or [] if not _is_directive(item)]
    places = [listed.get(identity, -1) for identity in named]
    if -1 in places or places != sorted(places):
        raise PatchError(BAD_ORDER)
