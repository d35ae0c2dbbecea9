"""The protobuf tables agree with the type tables, so that both forms of a body mean the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apiserver.api import types
from apiserver.api.protobuf.tables import all_types, fields_of, type_of
from apiserver.api.scheme import SCHEME
from tools.protobuf_newer_fields import NEWER_FIELDS, UNKNOWN_NUMBERS

# In the type tables these are any JSON, or a list of strings where protobuf has a message of them.
_FREE_FORMS = {"A", "B", "{S", "@apiextensions_v1.CustomResourceSubresourceStatus"}


def _json_fields(type_name: str) -> Iterator[tuple[str, str]]:
    """JSON names and kinds of a message, with those of the messages inlined in it."""
    for _, name, kind in fields_of(type_name):
        bare = kind.lstrip("?")
        if name:
            yield name, bare
        else:
            yield from _json_fields(bare[1:])


def _shared_types() -> list[str]:
    """The types in both tables: all but inlined messages and helpers."""
    found = []
    for type_name in all_types():
        try:
            types.fields_of(type_name)
        except KeyError:
            continue
        found.append(type_name)
    return found


@pytest.mark.parametrize("type_name", _shared_types())
def test_each_field_has_a_number_and_the_same_kind(type_name: str) -> None:
    expected = {name: kind.lstrip("!") for name, kind in types.fields_of(type_name).items()}
    found = dict(_json_fields(type_name))
    absent = {f"{type_name}.{name}" for name in expected.keys() - found.keys()}
    envelope = {f"{type_name}.apiVersion", f"{type_name}.kind"}
    assert absent - envelope <= UNKNOWN_NUMBERS
    assert found.keys() <= expected.keys()
    for name, kind in found.items():
        same = kind.replace("v", "[s") if kind in ("v", "{v") else kind
        assert kind in _FREE_FORMS or same == expected[name], name


@pytest.mark.parametrize("type_name", sorted(all_types()))
def test_numbers_and_names_are_unique_and_references_resolve(type_name: str) -> None:
    facts = fields_of(type_name)
    numbers = [number for number, _, _ in facts]
    assert numbers == sorted(set(numbers))
    assert all(0 < number < 1 << 29 for number in numbers)
    names = [name for name, _ in _json_fields(type_name)]
    assert len(names) == len(set(names))
    for _, _, kind in facts:
        inner = kind.lstrip("?[{")
        assert inner[0] != "@" or inner[1:] in all_types()


def test_every_served_resource_can_be_read() -> None:
    for resource in SCHEME:
        assert type_of(resource.api_version, resource.kind) == resource.type_name
        assert type_of(resource.api_version, resource.list_kind) == resource.type_name + "List"
        assert type_of(resource.api_version, "DeleteOptions") == "meta_v1.DeleteOptions"
        for sub in resource.subresources:
            api_version = f"{sub.group}/{sub.version}" if sub.group else sub.version
            assert type_of(api_version, sub.kind) == sub.type_name


def test_fields_added_by_hand_are_in_the_facts() -> None:
    for type_name, newer in NEWER_FIELDS.items():
        facts = [tuple(fact) for fact in fields_of(type_name)]
        assert set(newer) <= set(facts), type_name


@pytest.mark.parametrize(
    ("type_name", "fact"),
    [
        ("core_v1.ConfigMap", (2, "data", "{s")),
        ("core_v1.Volume", (2, "", "@core_v1.VolumeSource")),
        ("apps_v1.DeploymentSpec", (1, "replicas", "i")),
        ("apps_v1.DeploymentSpec", (5, "minReadySeconds", "?i")),
    ],
)
def test_known_numbers(type_name: str, fact: tuple[int, str, str]) -> None:
    assert fact in [tuple(known) for known in fields_of(type_name)]
