"""Write the checked-in facts about the protobuf form of Kubernetes' API types.

    python tools/generate_protobuf_facts.py KUBECTL [PROGRAM…]

The facts are read from the Go type tables inside real programs (see `tools.go_types`), where each
field has its public number, its JSON name, and whether it is a pointer. KUBECTL gives most types,
further programs those that it lacks (apiextensions). What is newer than the program stands in
the tables below, from the public `generated.proto` files of Kubernetes.

`protobuf/fields.json` is `{type: [[number, JSON name, kind], …]}` for all types that a served one
reaches. A kind has the letters of `tools.generate_scheme`, and besides: `v` a message of strings
that is a list in JSON (ExtraValue), `A` JSONSchemaPropsOrArray, `B` JSONSchemaPropsOrBool, `S`
JSONSchemaPropsOrStringArray. A leading `?` says that zero is left out in JSON. A field without JSON
name is a message whose fields stand in JSON among those of its parent.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.generate_scheme import FACTS, render
from tools.go_types import GoField, GoTypes, Kind
from tools.protobuf_newer_fields import COPIED_MODULES, NEWER_FIELDS

Fact = tuple[int, str, str]
Facts = dict[str, list[Fact]]

TARGET = FACTS / "protobuf" / "fields.json"

API_MACHINERY = "k8s.io/apimachinery/pkg/"
API_EXTENSIONS = "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

CHOICES = {
    "A": "JSONSchemaPropsOrArray",
    "B": "JSONSchemaPropsOrBool",
    "S": "JSONSchemaPropsOrStringArray",
}
"""Structs of which one field stands in JSON for the whole."""

SPECIAL = {
    (API_MACHINERY + "apis/meta/v1", "Time"): "t",
    (API_MACHINERY + "apis/meta/v1", "MicroTime"): "u",
    (API_MACHINERY + "apis/meta/v1", "FieldsV1"): "*",
    (API_MACHINERY + "api/resource", "Quantity"): "q",
    (API_MACHINERY + "util/intstr", "IntOrString"): "o",
    (API_MACHINERY + "runtime", "RawExtension"): "*",
    (API_EXTENSIONS, "JSON"): "*",
    **{(API_EXTENSIONS, name): letter for letter, name in CHOICES.items()},
}
"""Structs whose JSON form is not an object of their fields."""

LETTERS = {
    Kind.BOOL: "b",
    Kind.INT32: "i",
    Kind.INT64: "l",
    Kind.FLOAT64: "f",
    Kind.STRING: "s",
}

NOT_READ_GROUPS = frozenset({"apiregistration.k8s.io"})
"""Groups that we do not serve and no program at hand has."""

META_ROOTS = ("DeleteOptions", "Status", "WatchEvent", "PartialObjectMetadataList")

_JSON_TAG = re.compile(r'json:"([^"]*)"')
_PROTOBUF_NAME = re.compile(r"name=(\w+)")
_PROTOBUF_TAG = re.compile(r'protobuf:"[a-z0-9]+,(\d+),')


class Reader:
    """Turns the structs of one program into facts; types are named as in the type tables."""

    def __init__(self, types: GoTypes) -> None:
        self._types = types
        self._structs: dict[str, int] = {}
        for (package, name), address in types.structs.items():
            module = _module(package)
            if module:
                self._structs[f"{module}.{name}"] = address

    def message(self, type_name: str) -> list[Fact] | None:
        """The fields of a type by number, or None if the program does not have it."""
        address = self._structs.get(type_name)
        if address is None:
            return None
        return sorted(filter(None, map(self._fact, self._types.fields(address))))

    def _fact(self, field: GoField) -> Fact | None:
        number = _PROTOBUF_TAG.search(field.tag)
        if number is None:
            return None  # TypeMeta, which the envelope carries
        found = _JSON_TAG.search(field.tag) or _PROTOBUF_NAME.search(field.tag)
        assert found is not None, field
        json_name, *options = found[1].split(",")
        kind = self._kind(field.type_address)
        scalar = kind[0] in "sbilfy" and self._types.kind(field.type_address) != Kind.POINTER
        if scalar and options and not json_name.startswith("-"):
            kind = "?" + kind
        return int(number[1]), json_name, kind

    def _kind(self, address: int) -> str:
        kind = self._types.kind(address)
        if kind == Kind.POINTER:
            return self._kind(self._types.element(address))
        if kind == Kind.SLICE:
            if self._types.name(address) in ("ExtraValue", "Verbs"):
                return "v"
            element = self._types.element(address)
            return "y" if self._types.kind(element) == Kind.UINT8 else "[" + self._kind(element)
        if kind == Kind.MAP:
            return "{" + self._kind(self._types.element(address))
        if kind == Kind.STRUCT:
            key = self._types.package(address), self._types.name(address)
            return SPECIAL.get(key) or f"@{_module(key[0])}.{key[1]}"
        return LETTERS[Kind(kind)]


def _module(package: str) -> str:
    """The module of our type tables for an import path; "" for packages of no API."""
    if package == API_MACHINERY + "apis/meta/v1":
        return "meta_v1"
    if package == API_EXTENSIONS:
        return "apiextensions_v1"
    if package.startswith("k8s.io/api/"):
        return package.removeprefix("k8s.io/api/").replace("/", "_")
    return ""


def generate(readers: list[Reader], roots: Iterator[str]) -> tuple[Facts, list[str]]:
    """The facts of all types that the roots reach, and the names of those that nobody knows."""
    facts: Facts = {}
    missing: list[str] = []
    pending = list(roots)
    while pending:
        type_name = pending.pop()
        if type_name in facts or type_name in missing:
            continue
        message = _known(readers, type_name)
        if message is None:
            missing.append(type_name)
            continue
        facts[type_name] = message
        for _, _, kind in message:
            inner = kind.lstrip("?[{")
            if inner[0] == "@":
                pending.append(inner[1:])
            elif inner in CHOICES:
                pending.append(f"apiextensions_v1.{CHOICES[inner]}")
    return dict(sorted(facts.items())), sorted(missing)


def _known(readers: list[Reader], type_name: str) -> list[Fact] | None:
    newer = NEWER_FIELDS.get(type_name, [])
    module, _, name = type_name.partition(".")
    for candidate in (module, COPIED_MODULES.get(module, "")):
        for reader in readers:
            message = reader.message(f"{candidate}.{name}")
            if message is not None:
                renamed = [
                    (n, j, k.replace(f"@{candidate}.", f"@{module}.")) for n, j, k in message
                ]
                numbers = {number for number, _, _ in newer}
                return sorted([*(fact for fact in renamed if fact[0] not in numbers), *newer])
    return sorted(newer) or None


def roots() -> Iterator[str]:
    """The types of all bodies and answers: of resources, their lists and their subresources."""
    for resource in json.loads((FACTS / "resources.json").read_text(encoding="utf-8")):
        if resource["group"] in NOT_READ_GROUPS:
            continue
        yield resource["type"]
        if "list" in resource["verbs"]:
            yield resource["type"] + "List"
        yield from (subresource["type"] for subresource in resource["subresources"])
    yield from (f"meta_v1.{name}" for name in META_ROOTS)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("programs", nargs="+", type=Path, metavar="PROGRAM")
    arguments = parser.parse_args()
    try:
        readers = [Reader(GoTypes(program)) for program in arguments.programs]
    except (OSError, ValueError) as error:
        parser.error(str(error))
    facts, missing = generate(readers, roots())
    for type_name in missing:
        sys.stderr.write(f"{type_name}: in none of the programs\n")
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(render(facts), encoding="utf-8")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
