"""Where protobuf and JSON differ: inlined structs, choices, zeroes, raw JSON, depth."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from apiserver.api.protobuf import wire
from apiserver.api.protobuf.messages import message


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: bytes | int | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _read(type_name: str, raw: bytes) -> dict[str, Any]:
    obj: dict[str, Any] = {}
    message(type_name).read(obj, raw, 0, len(raw), 0)
    return obj


def test_inlined_structs_stand_among_the_fields_of_their_parent() -> None:
    secret = _field(6, _field(1, "token") + _field(3, 0o644))
    assert _read("core_v1.Volume", _field(1, "v") + _field(2, secret)) == {
        "name": "v",
        "secret": {"secretName": "token", "defaultMode": 420},
    }
    http = _field(2, _field(1, "/ready") + _field(2, _field(1, 0) + _field(2, 8080)))
    assert _read("core_v1.Probe", _field(1, http) + _field(2, 0) + _field(3, 7)) == {
        "httpGet": {"path": "/ready", "port": 8080},
        "timeoutSeconds": 7,
    }


def test_a_pointer_to_zero_stays_and_an_empty_value_goes() -> None:
    raw = _field(1, 0) + _field(5, 0) + _field(7, 0) + _field(4, b"")
    assert _read("apps_v1.DeploymentSpec", raw) == {"replicas": 0, "strategy": {}}


def test_a_field_given_twice_counts_as_given_last_and_messages_merge() -> None:
    raw = _field(3, _field(1, _field(1, "a"))) + _field(3, _field(1, _field(3, "b")))
    assert _read("apps_v1.DeploymentSpec", raw + _field(5, 3) + _field(5, 0)) == {
        "template": {"metadata": {"name": "a", "namespace": "b"}}
    }


@pytest.mark.parametrize(
    "raw",
    [
        _field(4, 1000) + _field(4, -1),
        _field(4, _varint(1000) + _varint(-1)),
    ],
)
def test_numbers_repeat_packed_or_not(raw: bytes) -> None:
    assert _read("core_v1.PodSecurityContext", raw) == {"supplementalGroups": [1000, -1]}


def test_extra_values_are_lists() -> None:
    entry = _field(1, "scopes") + _field(2, _field(1, "a") + _field(1, "b"))
    assert _read("authentication_v1.UserInfo", _field(4, entry)) == {
        "extra": {"scopes": ["a", "b"]}
    }


def test_schemas_of_custom_resources() -> None:
    text = _field(5, "string")
    raw = b"".join(
        (
            _field(8, _field(1, '{"a":[1]}')),
            _varint(9 << 3 | 1) + struct.pack("<d", 2.5),
            _varint(11 << 3 | 1) + struct.pack("<d", 2.0),
            _field(20, _field(1, '"x"')),
            _field(24, _field(1, text)),
            _field(29, _field(1, "p") + _field(2, _field(30, _field(1, 1)))),
            _field(29, _field(1, "q") + _field(2, _field(30, _field(1, 1) + _field(2, text)))),
            _field(32, _field(1, "d") + _field(2, _field(2, "e") + _field(2, "f"))),
            _field(33, _field(1, 0)),
            _field(38, 1),
        )
    )
    assert _read("apiextensions_v1.JSONSchemaProps", raw) == {
        "default": {"a": [1]},
        "maximum": 2.5,
        "minimum": 2,
        "enum": ["x"],
        "items": {"type": "string"},
        "properties": {
            "p": {"additionalProperties": True},
            "q": {"additionalProperties": {"type": "string"}},
        },
        "dependencies": {"d": ["e", "f"]},
        "additionalItems": False,
        "x-kubernetes-preserve-unknown-fields": True,
    }


def _nested(levels: int) -> bytes:
    raw = b""
    for _ in range(levels):
        raw = _field(28, raw)
    return raw


def test_depth_is_bounded() -> None:
    assert _read("apiextensions_v1.JSONSchemaProps", _nested(wire.DEPTH_MAX))
    with pytest.raises(wire.WireError, match="nested too deep"):
        _read("apiextensions_v1.JSONSchemaProps", _nested(wire.DEPTH_MAX + 1))
    groups = _varint(200 << 3 | 3) * (wire.DEPTH_MAX + 1)
    with pytest.raises(wire.WireError, match="nested too deep"):
        _read("core_v1.ConfigMap", groups)


@pytest.mark.parametrize(
    ("type_name", "raw", "text"),
    [
        ("core_v1.ConfigMap", _field(2, 1), "proto: wrong wireType = 0 for field data"),
        ("core_v1.ConfigMap", _field(4, b"\1"), "proto: wrong wireType = 2 for field immutable"),
        ("core_v1.ConfigMap", b"\x12\x05a", "unexpected EOF"),
        ("core_v1.ConfigMap", b"\x20\xff", "unexpected EOF"),
        ("core_v1.ConfigMap", b"\x20" + b"\xff" * 10, "proto: integer overflow"),
        ("core_v1.ConfigMap", b"\x00\x01", "proto: illegal tag 0 (wire type 0)"),
        ("core_v1.ConfigMap", b"\x9f\x06", "proto: illegal wireType 7"),
        ("core_v1.Binding", _field(2, _field(1, b"\xff")), "invalid UTF-8"),
        ("core_v1.ServicePort", _field(4, _field(1, 2)), "impossible IntOrString.Type"),
        ("meta_v1.ObjectMeta", _field(8, _field(1, 1 << 60)), "year outside of range"),
        ("meta_v1.ManagedFieldsEntry", _field(7, _field(1, "{")), "raw JSON"),
        (
            "apiextensions_v1.JSONSchemaProps",
            _varint(9 << 3 | 1) + struct.pack("<d", float("nan")),
            "unsupported value",
        ),
    ],
)
def test_what_is_malformed_is_named(type_name: str, raw: bytes, text: str) -> None:
    with pytest.raises(wire.WireError) as refused:
        _read(type_name, raw)
    assert text in str(refused.value)
