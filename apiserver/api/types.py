"""The type tables: for every built-in type its fields and their kinds, loaded when first asked.

Owns parsing `facts/types_*.json`, one file per group and version, and nothing else. The letters of
a kind are explained in `tools/generate_scheme.py`, which writes these files.
"""

from __future__ import annotations

from functools import cache

import orjson

from apiserver.api.scheme import FACTS

Fields = dict[str, str]
"""A type's kinds by JSON field name, such as `{"name": "!s", "ports": "[@core_v1.Port"}`."""

_GO_NAMES = {
    "s": "string",
    "b": "bool",
    "i": "int32",
    "l": "int64",
    "f": "float64",
    "q": "resource.Quantity",
    "t": "v1.Time",
    "u": "v1.MicroTime",
    "y": "[]uint8",
    "o": "intstr.IntOrString",
    "*": "runtime.RawExtension",
}


@cache
def _module(name: str) -> dict[str, Fields]:
    module: dict[str, Fields] = orjson.loads((FACTS / f"types_{name}.json").read_bytes())
    return module


def fields_of(type_name: str) -> Fields:
    """The fields of a type such as `core_v1.Pod`. Raises KeyError if there is no such type."""
    module, _, name = type_name.partition(".")
    return _module(module)[name]


def field_kind(type_name: str, field: str) -> str | None:
    """The kind of one field without its `!`, or None if the type has no such field."""
    kind = fields_of(type_name).get(field)
    return None if kind is None else kind.lstrip("!")


def go_name(kind: str) -> str:
    """How Go names the type of a kind, for error texts: `[]v1.Container`, `map[string]string`."""
    kind = kind.lstrip("!")
    if kind[0] == "[":
        return "[]" + go_name(kind[1:])
    if kind[0] == "{":
        return "map[string]" + go_name(kind[1:])
    if kind[0] == "@":
        module, _, name = kind[1:].partition(".")
        return f"{module.rpartition('_')[2]}.{name}"
    return _GO_NAMES[kind]
