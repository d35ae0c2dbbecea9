"""Sets of fields, in the very form in which clients see them: `fieldsV1`.

A set is a nested dict of path elements: `f:<field>`, `k:<keys of an item in JSON>`, `v:<scalar in
JSON>`, `i:<index>`. Below the root, an empty dict says "this is in the set"; one with parts says so
by a `.`. So `{"f:data": {".": {}, "f:a": {}}}` holds `data` and `data.a`, and what was parsed from
an object needs no conversion. Every function returns a new set that may share parts with its
arguments; nobody ever alters a set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from apiserver.api.quoting import quote
from apiserver.patch.managed_fields_shapes import FieldsShape, KeyedShape, Shape, StructShape

FieldSet = dict[str, Any]

MEMBER: Final[FieldSet] = {}
"""What stands below an element that is in the set and has no parts in it."""

_SELF: Final[FieldSet] = {".": {}}
DEPTH_MAX: Final = 200


def key_element(shape: KeyedShape, item: Mapping[str, Any]) -> str:
    """The element of an item of a keyed list; an omitted key has its default, or is left out."""
    defaults = shape.defaults
    keys = {key: item[key] if key in item else defaults.get(key) for key in shape.keys}
    present = {key: value for key, value in keys.items() if value is not None}
    return "k:" + orjson.dumps(present).decode()


def value_element(value: Any) -> str:
    """The element of an item of a set."""
    return "v:" + orjson.dumps(value).decode()


def is_member(below: FieldSet) -> bool:
    """Whether the element above `below` is itself in the set."""
    return not below or "." in below


def with_self(below: FieldSet) -> FieldSet:
    """`below`, with the element above it in the set."""
    return below if is_member(below) else {".": {}, **below}


def _tidy(below: FieldSet) -> FieldSet:
    return MEMBER if below == _SELF else below


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in either."""
    if not left or not right:
        return left or right
    merged = dict(left)
    for element, below in right.items():
        found = merged.get(element)
        if found is None:
            merged[element] = below
        elif found != below:
            merged[element] = _tidy(union(found or _SELF, below or _SELF))
    return merged


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in `left` but not in `right`; parts of what is in `right` stay."""
    if not right:
        return left
    rest: FieldSet = {}
    for element, below in left.items():
        other = right.get(element)
        if other is None:
            rest[element] = below
        elif element != ".":
            kept = difference(below or _SELF, other or _SELF)
            if kept:
                rest[element] = _tidy(kept)
    return rest


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in both."""
    common: FieldSet = {}
    for element, below in left.items():
        other = right.get(element)
        if other is None:
            continue
        if element == ".":
            common["."] = {}
            continue
        kept = intersection(below or _SELF, other or _SELF)
        if kept:
            common[element] = _tidy(kept)
    return common


def without(fields: FieldSet, ignored: FieldSet) -> FieldSet:
    """The set without what is in `ignored`, and without all parts of that."""
    rest: FieldSet = {}
    for element, below in fields.items():
        other = ignored.get(element)
        if other is None:
            rest[element] = below
        elif not is_member(other):
            kept = without(below or _SELF, other)
            if kept:
                rest[element] = _tidy(kept)
    return rest


def ensure_named(shape: Shape, fields: FieldSet) -> FieldSet:
    """The set, and with each field of a struct that has parts in the set the field itself."""
    ensured: FieldSet = {}
    for element, below in fields.items():
        if not below or element == ".":
            ensured[element] = below
            continue
        inner = ensure_named(_below(shape, element), below)
        named = element[:2] == "f:" and isinstance(shape, StructShape)
        if named and shape.declares(element[2:]):  # type: ignore[attr-defined]
            inner = with_self(inner)
        ensured[element] = inner
    return ensured


def _below(shape: Shape, element: str) -> Shape:
    if isinstance(shape, FieldsShape):
        return shape.child(element[2:])
    return shape.item if isinstance(shape, KeyedShape) else shape


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """Each field as `.spec.containers[name="a"].image`: at each level members first, then parts."""
    elements = sorted((e for e in fields if e != "."), key=_rank)
    for element in elements:
        if is_member(fields[element]):
            yield prefix + render(element)
    for element in elements:
        yield from paths(fields[element], prefix + render(element))


def render(element: str) -> str:
    """One element as it stands in texts for people."""
    content = element[2:]
    match element[0]:
        case "f":
            return "." + content
        case "k":
            keys = orjson.loads(content)
            return "[" + ",".join(f"{k}={_scalar(v)}" for k, v in sorted(keys.items())) + "]"
        case "v":
            return f"[={_scalar(orjson.loads(content))}]"
        case _:
            return f"[{content}]"


def _scalar(value: Any) -> str:
    return quote(value) if isinstance(value, str) else orjson.dumps(value).decode()


_KINDS: Final = {".": 0, "f": 1, "k": 2, "v": 3, "i": 4}


def _rank(element: str) -> tuple[Any, ...]:
    """Where an element stands among others: fields, keys, values, indices; numbers by size."""
    kind = _KINDS[element[0]]
    if kind < 2:
        return (kind, element)
    value = orjson.loads(element[2:])
    if kind == 2:
        return (kind, *[(key, *_comparable(item)) for key, item in sorted(value.items())])
    return (kind, *_comparable(value))


def _comparable(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return (3, value)
    if isinstance(value, int | float):
        return (1, value)
    return (2, value) if isinstance(value, str) else (4, str(value))


def in_order(fields: FieldSet) -> FieldSet:
    """The set with its elements in the order in which they are printed."""
    names = [*fields]
    if len(names) > 1:
        names.sort() if all(n[0] in ".f" for n in names) else names.sort(key=_rank)
    return {name: in_order(fields[name]) for name in names}


def check_fields(fields: Any, depth: int = 0) -> FieldSet:
    """What a client sent as `fieldsV1`, if that is a set. Raises ValueError."""
    if not isinstance(fields, dict) or depth > DEPTH_MAX:
        raise ValueError("fieldsV1 is not a set of fields")
    return {
        _check_element(element, depth): MEMBER if element == "." else _checked(below, depth)
        for element, below in fields.items()
    }


def _checked(below: Any, depth: int) -> FieldSet:
    return _tidy(check_fields(below, depth + 1))


def _check_element(element: str, depth: int) -> str:
    kind, content = element[:2], element[2:]
    if kind == "f:" or (element == "." and depth):
        return element
    if kind not in ("k:", "v:", "i:"):
        raise ValueError(f"{element} is not a path element")
    value = orjson.loads(content)
    if kind == "k:":
        if not isinstance(value, dict) or any(isinstance(v, dict | list) for v in value.values()):
            raise ValueError(f"{element} is not a path element")
        return kind + orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    if isinstance(value, dict | list) or (kind == "i:" and type(value) is not int):
        raise ValueError(f"{element} is not a path element")
    return kind + orjson.dumps(value).decode()
