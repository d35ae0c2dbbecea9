"""Whatever fits its type is answered: with an object, or with findings; never with a crash.

Objects are drawn from the type tables by a seeded generator, valid and invalid alike.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from apiserver.api import errors, types
from apiserver.api.decode import Target, decode
from apiserver.api.json_values import clone
from apiserver.api.scheme import SCHEME, Resource
from apiserver.api.table import table
from apiserver.patch.errors import PatchError
from apiserver.patch.strategic import apply_strategic_patch
from apiserver.registry import strategy_for
from apiserver.registry.convert import from_storage, to_storage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEPTH_MAX = 9
ROUNDS = 8

Json = dict[str, Any]

SCALARS: dict[str, list[Any]] = {
    "s": ["", "a", "A b", "x.y", "Always", "In", "None", "ClusterIP", "v1"],
    "b": [True, False],
    "i": [0, 1, -1, 80, 2**31 - 1],
    "l": [0, 1, -1, 2**60],
    "f": [1.5],
    "q": ["1", "1Gi", "-5", "0"],
    "t": ["2026-01-01T00:00:00Z"],
    "u": ["2026-01-01T00:00:00.000000Z"],
    "y": ["AA=="],
    "o": [1, "a"],
    "*": [{}, {"a": 1}, "x", []],
}


class TypedChance:
    """Draws values of kinds; the same seed draws the same."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def value(self, kind: str, depth: int = 0) -> Any:
        kind = kind.lstrip("!")
        draw = self._random
        if kind[0] == "[":
            return [self.value(kind[1:], depth + 1) for _ in range(draw.choice((0, 1, 2)))]
        if kind[0] == "{":
            keys = [draw.choice(("a", "cpu", "x/y")) for _ in range(draw.choice((0, 1, 2)))]
            return {key: self.value(kind[1:], depth + 1) for key in keys}
        if kind[0] != "@":
            return clone(draw.choice(SCALARS[kind[0]]))
        if depth > DEPTH_MAX:
            return {}
        return {
            name: self.value(item, depth + 1)
            for name, item in types.fields_of(kind[1:]).items()
            if draw.random() < (0.85 if item[0] == "!" else 0.5)
        }

    def document(self, resource: Resource) -> Json:
        document: Json = self.value("@" + resource.type_name)
        return {key: document[key] for key in document if key not in ("apiVersion", "kind")}


RESOURCES = pytest.mark.parametrize(
    "resource", list(SCHEME), ids=lambda resource: f"{resource.api_version}-{resource.kind}"
)


@RESOURCES
def test_every_step_of_a_write_holds(resource: Resource) -> None:
    chance = TypedChance(f"{resource.api_version} {resource.kind}")
    strategy = strategy_for(resource)
    for _ in range(ROUNDS):
        old, new = (decode(Target.of(resource), chance.document(resource)).obj for _ in range(2))
        for obj in (old, new):
            strategy.prepare_for_create(obj)
            findings = strategy.validate_create(obj)
            status = errors.invalid(resource.group, resource.kind, "x", findings).to_status()
            assert orjson.loads(orjson.dumps(status)) == status
            assert all(isinstance(text, str) for text in strategy.warnings(obj))
        updated, reported = clone(new), clone(new)
        strategy.prepare_for_update(updated, old)
        assert all(finding.field for finding in strategy.validate_update(updated, old))
        strategy.prepare_status_update(reported, old)
        assert reported.get("spec") == old.get("spec")
        shown = from_storage(resource, to_storage(resource, new))
        assert shown["apiVersion"] == resource.api_version
        assert len(table(resource, [old, shown], {}, now=NOW)["rows"]) == 2


@RESOURCES
def test_decoding_twice_changes_nothing(resource: Resource) -> None:
    chance = TypedChance(f"again {resource.api_version} {resource.kind}")
    for _ in range(ROUNDS):
        once = decode(Target.of(resource), chance.document(resource)).obj
        again = decode(Target.of(resource), clone(once))
        assert again.warnings == ()
        assert again.obj == once


@RESOURCES
def test_strategic_patches_apply_or_are_refused(resource: Resource) -> None:
    chance = TypedChance(f"patch {resource.api_version} {resource.kind}")
    for _ in range(ROUNDS):
        document, patch = chance.document(resource), chance.document(resource)
        before = clone(document), clone(patch)
        try:
            patched = apply_strategic_patch(document, patch, resource.type_name)
        except PatchError:
            patched = decode(Target.of(resource), clone(document)).obj
        assert (document, patch) == before
        assert decode(Target.of(resource), patched).warnings == ()
