"""From objects to sets of fields: what an object holds, and in what two of them differ.

Source: structured-merge-diff `typed/compare.go` and `typed/tofieldset.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apiserver.patch.managed_fields_sets import (
    MEMBER,
    FieldSet,
    key_element,
    value_element,
    with_self,
)
from apiserver.patch.managed_fields_shapes import (
    ABSENT,
    FieldsShape,
    KeyedShape,
    SetShape,
    Shape,
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """In what a new value differs from an old one: fields added or modified, and removed."""

    changed: FieldSet
    removed: FieldSet


def compare(shape: FieldsShape, old: Json, new: Json) -> Comparison:
    """In what `new` differs from `old`, both of the same shape."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    for name, value in new.items():
        before = old.get(name, ABSENT)
        if before is ABSENT:
            before = shape.implied(name)
            if before is ABSENT:
                changed["f:" + name] = every(shape.child(name), value)
                continue
            if before is None and not value:
                continue
        if type(before) is type(value) and before == value:
            continue
        _compare_part("f:" + name, shape.child(name), (before, value), (changed, removed))
    for name, before in old.items():
        if name not in new:
            value = shape.implied(name)
            if isinstance(value, dict):
                _compare_part("f:" + name, shape.child(name), (before, value), (changed, removed))
            else:
                removed["f:" + name] = every(shape.child(name), before)
    return Comparison(changed, removed)


def _compare_part(
    element: str, shape: Shape, values: tuple[Any, Any], into: tuple[FieldSet, FieldSet]
) -> None:
    """Note in `into` (changed, removed) in what two values of one field differ."""
    before, value = values
    if not before and not value:
        if type(before) is not type(value):
            into[0][element] = MEMBER
        return
    found: Comparison | None = None
    if isinstance(shape, FieldsShape) and _both(dict, before, value):
        found = compare(shape, before or {}, value or {})
    elif isinstance(shape, KeyedShape | SetShape) and _both(list, before, value):
        found = _compare_items(shape, before or [], value or [])
    if found is None:
        if type(before) is not type(value) or before != value:
            into[0][element] = MEMBER
        return
    if found.changed:
        into[0][element] = found.changed
    if found.removed:
        into[1][element] = found.removed


def _both(kind: type, before: Any, value: Any) -> bool:
    return all(item is None or isinstance(item, kind) for item in (before, value))


def _compare_items(shape: KeyedShape | SetShape, old: list[Any], new: list[Any]) -> Comparison:
    changed: FieldSet = {}
    removed: FieldSet = {}
    before, after = by_element(shape, old), by_element(shape, new)
    for element, items in after.items():
        if element not in before:
            changed[element] = _every_of(shape, items)
        elif items != before[element]:
            found = before[element]
            if len(items) == len(found) == 1 and isinstance(shape, KeyedShape):
                _compare_part(element, shape.item, (found[0], items[0]), (changed, removed))
            else:
                changed[element] = _every_of(shape, items)
    for element, items in before.items():
        if element not in after:
            removed[element] = _every_of(shape, items)
    return Comparison(changed, removed)


def by_element(shape: KeyedShape | SetShape, items: list[Any]) -> dict[str, list[Any]]:
    """The items of a list by their elements; more than one of a kind are duplicates."""
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(element_of(shape, item), []).append(item)
    return found


def element_of(shape: KeyedShape | SetShape, item: Any) -> str:
    """The path element of one item."""
    if isinstance(shape, KeyedShape):
        return key_element(shape, item if isinstance(item, dict) else {})
    return value_element(item)


def _every_of(shape: KeyedShape | SetShape, items: list[Any]) -> FieldSet:
    """Duplicates are owned whole."""
    return every(shape.item, items[0]) if isinstance(shape, KeyedShape) and len(items) == 1 else {}


def every(shape: Shape, value: Any) -> FieldSet:
    """The field that has this value, and everything in it."""
    if not value:
        return MEMBER
    if isinstance(shape, FieldsShape) and isinstance(value, dict):
        below: FieldSet = {".": MEMBER}
        for name, item in value.items():
            below["f:" + name] = every(shape.child(name), item) if item else MEMBER
        return below
    if isinstance(shape, KeyedShape | SetShape) and isinstance(value, list):
        parts = {e: _every_of(shape, items) for e, items in by_element(shape, value).items()}
        return {".": MEMBER, **parts}
    return MEMBER


def fields_in(shape: Shape, value: Any) -> FieldSet:
    """The fields that whoever applies `value` owns: leaves, map entries, list items."""
    if isinstance(shape, FieldsShape) and isinstance(value, dict):
        return _fields_of(shape, value)
    if isinstance(shape, KeyedShape | SetShape) and isinstance(value, list):
        item = shape.item if isinstance(shape, KeyedShape) else shape
        return {
            element: with_self(fields_in(item, items[0])) if len(items) == 1 else MEMBER
            for element, items in by_element(shape, value).items()
        }
    return MEMBER


def _fields_of(shape: FieldsShape, value: Json) -> FieldSet:
    found: FieldSet = {}
    for name, item in value.items():
        child = shape.child(name)
        below = fields_in(child, item)
        if item is None or item == {}:
            found["f:" + name] = MEMBER
        elif not shape.declares(name):
            found["f:" + name] = with_self(below)
        elif below or not _falls_apart(child, item):
            found["f:" + name] = below
    return found


def _falls_apart(shape: Shape, value: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(shape, FieldsShape)
    return isinstance(value, list) and isinstance(shape, KeyedShape | SetShape)
