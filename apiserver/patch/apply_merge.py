"""The merge behind server-side apply: a configuration into an object, and what is let go of out.

No function alters what it is given; results share parts with it. Source: structured-merge-diff
`typed/merge.go` (the order of merged lists), `typed/remove.go` and `merge/update.go` (pruning).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver.patch.managed_fields_sets import (
    FieldSet,
    difference,
    ensure_named,
    intersection,
    is_member,
    render,
    union,
)
from apiserver.patch.managed_fields_shapes import (
    FieldsShape,
    FreeFormShape,
    KeyedShape,
    SetShape,
    Shape,
)
from apiserver.patch.managed_fields_walk import by_element, element_of, fields_in

Json = dict[str, Any]


def findings(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """What is wrong with a configuration, as `<path>: <why>`."""
    if isinstance(shape, FieldsShape):
        if isinstance(value, dict):
            yield from _field_findings(shape, value, path)
        elif value is not None and not isinstance(shape, FreeFormShape):
            yield f"{path}: expected map, got &{{{value}}}"
    elif isinstance(shape, KeyedShape | SetShape):
        if isinstance(value, list):
            yield from _item_findings(shape, value, path)
        elif value is not None:
            yield f"{path}: expected list, got &{{{value}}}"


def _field_findings(shape: FieldsShape, value: Json, path: str) -> Iterator[str]:
    for name, item in value.items():
        if not shape.accepts(name):
            yield f"{path}.{name}: field not declared in schema"
        else:
            yield from findings(shape.child(name), item, f"{path}.{name}")


def _item_findings(shape: KeyedShape | SetShape, value: list[Any], path: str) -> Iterator[str]:
    if isinstance(shape, KeyedShape):
        for index, item in enumerate(value):
            yield from _key_findings(shape, item, f"{path}: element {index}")
    for element, items in by_element(shape, value).items():
        if len(items) > 1:
            yield f"{path}: duplicate entries for key {render(element)}"
        elif isinstance(shape, KeyedShape):
            yield from findings(shape.item, items[0], path + render(element))


def _key_findings(shape: KeyedShape, item: Any, where: str) -> Iterator[str]:
    if not isinstance(item, dict):
        yield f"{where}: associative list with keys may not have non-map elements"
        return
    present = [key for key in shape.keys if item.get(key, shape.defaults.get(key)) is not None]
    if not present:
        listed = ", ".join(f'"{key}"' for key in shape.keys)
        omitted = f"key field {listed}" if len(shape.keys) == 1 else f"all key fields {listed}"
        yield (
            f"{where}: associative list with keys has an element that omits {omitted} "
            "(and doesn't have default value)"
        )


def merge(shape: Shape, live: Any, config: Any) -> Any:
    """`live` with `config` merged in; what the configuration says wins."""
    if isinstance(shape, FieldsShape) and isinstance(live, dict) and isinstance(config, dict):
        merged = dict(live)
        for name, value in config.items():
            merged[name] = merge(shape.child(name), live[name], value) if name in live else value
        return merged
    lists = isinstance(live, list) and isinstance(config, list)
    if lists and isinstance(shape, KeyedShape | SetShape):
        return _merge_items(shape, live, config)
    return config


def _merge_items(shape: KeyedShape | SetShape, live: list[Any], config: list[Any]) -> list[Any]:
    """Items of both, shared ones in the configuration's order, others where they stand."""
    left = [element_of(shape, item) for item in live]
    right = [element_of(shape, item) for item in config]
    there, wanted = dict(zip(left, live, strict=True)), set(right)
    shared = iter([element for element in right if element in there])
    next_shared = next(shared, None)
    merged: list[Any] = []
    at, r = 0, 0
    while at < len(left) or r < len(right):
        if at < len(left) and left[at] not in wanted:
            merged.append(live[at])
            at += 1
        elif at < len(left) and (r == len(right) or left[at] not in (right[r], next_shared)):
            at += 1
        else:
            element, item = right[r], config[r]
            if element in there and isinstance(shape, KeyedShape):
                item = merge(shape.item, there[element], item)
            merged.append(item)
            at += at < len(left) and left[at] == element
            r += 1
            if element == next_shared:
                next_shared = next(shared, None)
    return merged


def removed(shape: Shape, value: Any, fields: FieldSet) -> Any:
    """`value` without `fields`; what is left empty by that is null."""
    if not value:
        return value
    if isinstance(shape, FieldsShape) and isinstance(value, dict):
        kept: Json = {}
        for name, item in value.items():
            below = fields.get("f:" + name)
            if below is None:
                kept[name] = item
            elif not is_member(below):
                kept[name] = removed(shape.child(name), item, below)
        return kept or None
    if isinstance(shape, KeyedShape | SetShape) and isinstance(value, list):
        items = [_kept(shape, item, fields) for item in value]
        return [item for there, item in items if there] or None
    return value


def _kept(shape: KeyedShape | SetShape, item: Any, fields: FieldSet) -> tuple[bool, Any]:
    below = fields.get(element_of(shape, item))
    if below is None:
        return True, item
    if is_member(below) or isinstance(shape, SetShape):
        return False, None
    return True, removed(shape.item, item, below)


def prune(shape: FieldsShape, merged: Json, last: FieldSet, owned: FieldSet) -> Json:
    """`merged` without what the applier owned (`last`) and nobody owns any more.

    `owned` is what is owned after the apply, by the applier or others.
    """
    if not last:
        return merged
    last = ensure_named(shape, last)
    everything = ensure_named(shape, fields_in(shape, merged))
    pruned = removed(shape, merged, last) or {}
    claimed = union(_named(shape, pruned), ensure_named(shape, owned))
    pruned = removed(shape, merged, difference(everything, claimed)) or {}
    gone = intersection(difference(everything, _named(shape, pruned)), last)
    result: Json = removed(shape, merged, gone) or {}
    return result


def _named(shape: FieldsShape, value: Json) -> FieldSet:
    return ensure_named(shape, fields_in(shape, value))


def without_nulls(value: Any) -> Any:
    """What pruning left empty is gone; free-form JSON has no nulls of its own in built-in types."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return value
