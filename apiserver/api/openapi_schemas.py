"""Schemas of built-in types for OpenAPI documents, and of all types that they refer to. PURE.

Made from the type tables, read anew for each document and gone with it: what stays in the process
are the encoded documents. Field descriptions are left out, as the type tables have none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from apiserver.api import openapi_tables as tables
from apiserver.api.scheme import FACTS
from apiserver.api.types import Fields

Json = dict[str, Any]

_REF_PREFIXES: Final = {2: "#/definitions/", 3: "#/components/schemas/"}

_SCALARS: Final[dict[str, Json]] = {
    "s": {"type": "string"},
    "b": {"type": "boolean"},
    "i": {"type": "integer", "format": "int32"},
    "l": {"type": "integer", "format": "int64"},
    "f": {"type": "number", "format": "double"},
    "y": {"type": "string", "format": "byte"},
}
_ZEROS: Final[dict[str, Any]] = {"s": "", "b": False, "i": 0, "l": 0, "f": 0}


class Schemas:
    """The schemas of one document: ask for references, then take `all()` that they lead to.

    `openapi_version` is 2 or 3. Version 2 has no defaults, as in the original.
    """

    def __init__(self, openapi_version: int) -> None:
        self.openapi_version = openapi_version
        self._prefix = _REF_PREFIXES[openapi_version]
        self._modules: dict[str, dict[str, Fields]] = {}
        self._made: dict[str, Json] = {}
        self._pending: list[str] = []

    def ref(self, type_name: str) -> Json:
        """A reference to a type of the tables, such as `core_v1.Pod`."""
        name = tables.published_name(type_name)
        if name not in self._made:
            self._made[name] = {}
            self._pending.append(type_name)
        return {"$ref": self._prefix + name}

    def leaf(self, name: str) -> Json:
        """A reference to a published type that is no struct, such as `tables.PATCH`."""
        if name not in self._made:
            self._made[name] = tables.leaf_schema(name, self.openapi_version)
        return {"$ref": self._prefix + name}

    def all(self) -> dict[str, Json]:
        """Every schema that was referred to, directly or not, by published name."""
        while self._pending:
            type_name = self._pending.pop()
            self._made[tables.published_name(type_name)].update(self._struct(type_name))
        return dict(sorted(self._made.items()))

    def mark_kinds(self, kinds: Iterable[tuple[str, Json]]) -> None:
        """Say which group, version and kind a type is: `(type name, gvk)`; once for each."""
        for type_name, gvk in kinds:
            schema = self._made.get(tables.published_name(type_name))
            if schema is not None:
                listed = schema.setdefault("x-kubernetes-group-version-kind", [])
                if gvk not in listed:
                    listed.append(gvk)

    def _module(self, module: str) -> dict[str, Fields]:
        found = self._modules.get(module)
        if found is None:
            raw = (FACTS / f"types_{module}.json").read_bytes()
            found = self._modules[module] = orjson.loads(raw)
        return found

    def _struct(self, type_name: str) -> Json:
        module, _, name = type_name.partition(".")
        fields = self._module(module)[name]
        schema: Json = {"type": "object"}
        if fields:
            schema["properties"] = {
                field: self._field(type_name, field, kind) for field, kind in fields.items()
            }
        required = [field for field, kind in fields.items() if kind[0] == "!"]
        if required:
            schema["required"] = required
        if type_name in tables.ATOMIC_STRUCTS:
            schema["x-kubernetes-map-type"] = "atomic"
        return schema

    def _field(self, type_name: str, field: str, kind: str) -> Json:
        required, kind = kind[0] == "!", kind.lstrip("!")
        schema = self._kind(type_name, field, kind)
        extra: Json = {}
        if kind[0] == "[":
            extra = tables.list_extensions(type_name, field)
        elif (type_name, field) in tables.ATOMIC_MAPS:
            extra = {"x-kubernetes-map-type": "atomic"}
        extra |= tables.patch_extensions(type_name, field)
        default = self._default(type_name, field, kind, required=required)
        return self._with(schema, {**default, **extra})

    def _default(self, type_name: str, field: str, kind: str, *, required: bool) -> Json:
        if self.openapi_version == 2:
            return {}
        explicit = tables.DEFAULTS.get(type_name, {})
        if field in explicit:
            return {"default": explicit[field]}
        if kind[0] == "@":
            return {"default": {}} if required or field == "metadata" else {}
        return {"default": _ZEROS[kind]} if required and kind in _ZEROS else {}

    def _kind(self, type_name: str, field: str, kind: str) -> Json:
        letter = kind[0]
        if letter in _SCALARS:
            return dict(_SCALARS[letter])
        if letter == "@":
            return self.ref(kind[1:])
        if letter in "[{":
            member = self._kind(type_name, field, kind[1:])
            if self.openapi_version == 3 and kind[1] in _ZEROS:
                member["default"] = _ZEROS[kind[1]]
            elif self.openapi_version == 3 and kind[1] == "@":
                member = self._with(member, {"default": {}})
            if letter == "[":
                return {"type": "array", "items": member}
            return {"type": "object", "additionalProperties": member}
        if letter == "*":
            return self.leaf(tables.FREE_FORM.get((type_name, field), tables.RAW_EXTENSION))
        return self.leaf(tables.LEAF_NAMES[letter])

    def _with(self, schema: Json, extra: Json) -> Json:
        """Version 3 ignores what stands beside a `$ref`, so there the reference is wrapped."""
        if extra and self.openapi_version == 3 and "$ref" in schema:
            return {"allOf": [schema], **extra}
        return schema | extra
