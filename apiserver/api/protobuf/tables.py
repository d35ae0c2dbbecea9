"""Which types there are, and the number, JSON name and kind of each of their fields. PURE.

Owns parsing `facts/protobuf/fields.json`, which `tools/generate_protobuf_facts.py` writes and
explains, when a protobuf body first comes in.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson

from apiserver.api.scheme import FACTS

Fact = tuple[int, str, str]
"""Number, JSON name (empty: the message's fields are its parent's in JSON), kind."""


@cache
def all_types() -> dict[str, list[Fact]]:
    """The facts of every known type, by names such as `core_v1.Pod`."""
    types: dict[str, list[Fact]] = orjson.loads((FACTS / "protobuf" / "fields.json").read_bytes())
    return types


def fields_of(type_name: str) -> list[Fact]:
    """The fields of a type by number. Raises `KeyError` for a type that is not listed."""
    return all_types()[type_name]


def type_of(api_version: str, kind: str) -> str | None:
    """The type of objects with that apiVersion and kind, or None if their fields are unknown."""
    return _types_by_kind().get((api_version, kind))


@cache
def _types_by_kind() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for resource in orjson.loads((FACTS / "resources.json").read_bytes()):
        api_version = _api_version(resource)
        found[api_version, resource["kind"]] = resource["type"]
        found[api_version, resource["kind"] + "List"] = resource["type"] + "List"
        for sub in resource["subresources"]:
            found[_api_version(sub), sub["kind"]] = sub["type"]
        # Every group has the kinds of meta.k8s.io that clients send to it.
        for owner in (api_version, "meta.k8s.io/v1"):
            found[owner, "DeleteOptions"] = "meta_v1.DeleteOptions"
            found[owner, "Status"] = "meta_v1.Status"
    known = all_types()
    return {key: type_name for key, type_name in found.items() if type_name in known}


def _api_version(fact: dict[str, Any]) -> str:
    return f"{fact['group']}/{fact['version']}" if fact["group"] else str(fact["version"])
