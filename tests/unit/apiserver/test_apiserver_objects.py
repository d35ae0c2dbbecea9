"""Bytes encoded once: splicing the version in, and out again."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.store.objects import (
    Event,
    EventType,
    StoredObject,
    UndecodableError,
    encode_value,
)

KEY = "/registry/configmaps/default/x"


def _object(**extra: Any) -> dict[str, Any]:
    metadata = {"name": "x", "resourceVersion": "3"}
    return {"metadata": metadata, "apiVersion": "v1", "kind": "ConfigMap", **extra}


def test_the_version_goes_in_and_out() -> None:
    value = encode_value(_object(data={"metadata": "{}"}))
    assert b"resourceVersion" not in value
    stored = StoredObject(KEY, value, 42)
    assert stored.decoded["metadata"] == {"name": "x", "resourceVersion": "42"}
    assert stored.decoded["data"] == {"metadata": "{}"}
    assert stored.value() == value


@given(
    st.dictionaries(st.text(), st.text() | st.dictionaries(st.text(), st.integers(0, 9))),
    st.integers(1, 2**62),
)
def test_any_content_survives(data: dict[str, Any], revision: int) -> None:
    value = encode_value(_object(data=data))
    stored = StoredObject(KEY, value, revision)
    assert stored.value() == value
    assert stored.decoded["data"] == data
    assert orjson.loads(stored.encoded_as("v1", 7))["metadata"]["resourceVersion"] == "7"


def test_foreign_json_is_put_in_canonical_form() -> None:
    value = (
        b'{ "metadata": {"name":"x","resourceVersion":"1"}, "apiVersion":"v1", "kind":"Secret"}\n'
    )
    stored = StoredObject(KEY, value, 5)
    assert stored.decoded["metadata"]["resourceVersion"] == "5"
    assert stored.encoded.startswith(b'{"kind":"Secret","apiVersion":"v1","metadata":{')


@pytest.mark.parametrize("value", [b"", b"k8s\x00\n", b"[]", b'{"kind":"A"}', b'{"metadata":{}}'])
def test_what_is_no_object_names_its_key(value: bytes) -> None:
    with pytest.raises(UndecodableError, match=KEY):
        StoredObject(KEY, value, 1)


def test_a_deleted_event_carries_the_last_state_at_the_deletions_version() -> None:
    last = StoredObject(KEY, encode_value(_object(data={"k": "v"})), 5)
    event = Event(9, KEY, None, last)
    assert event.type is EventType.DELETED
    frame = orjson.loads(event.frame(EventType.DELETED, "v1"))
    assert frame["type"] == "DELETED"
    assert frame["object"]["metadata"]["resourceVersion"] == "9"
    assert frame["object"]["data"] == {"k": "v"}


def test_frames_are_shared() -> None:
    event = Event(5, KEY, StoredObject(KEY, encode_value(_object()), 5), None)
    assert event.frame(EventType.ADDED, "v1") is event.frame(EventType.ADDED, "v1")
