"""Protobuf bodies: read in full, or refused; never read in part."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api.errors import ApiError
from apiserver.api.protobuf import MAGIC, decode_protobuf


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


def _body(api_version: str, kind: str, raw: bytes) -> bytes:
    type_meta = _field(1, api_version) + _field(2, kind)
    return MAGIC + _field(1, type_meta) + _field(2, raw)


def test_a_config_map() -> None:
    metadata = _field(1, "x") + _field(2, "") + _field(7, 0) + _field(8, b"")
    metadata += _field(11, _field(1, "app") + _field(2, "web"))
    binary = _field(1, "b") + _field(2, b"\x00\xff")
    raw = _field(1, metadata) + _field(2, _field(1, "k") + _field(2, "v"))
    raw += _field(3, binary) + _field(4, 0)
    assert decode_protobuf(_body("v1", "ConfigMap", raw)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x", "labels": {"app": "web"}},
        "data": {"k": "v"},
        "binaryData": {"b": base64.b64encode(b"\x00\xff").decode()},
        "immutable": False,
    }


def test_delete_options_keep_a_zero_that_was_set() -> None:
    raw = _field(1, 0) + _field(2, _field(1, "uid")) + _field(4, "Orphan") + _field(5, "All")
    assert decode_protobuf(_body("v1", "DeleteOptions", raw)) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "uid"},
        "propagationPolicy": "Orphan",
        "dryRun": ["All"],
    }


def test_times_and_ports() -> None:
    moment = _field(1, 1_700_000_000) + _field(2, 123_456_000)
    lease = decode_protobuf(
        _body("coordination.k8s.io/v1", "Lease", _field(2, _field(4, moment) + _field(2, -1)))
    )
    assert lease["spec"] == {
        "renewTime": "2023-11-14T22:13:20.123456Z",
        "leaseDurationSeconds": -1,
    }
    ports = _field(1, _field(3, 80) + _field(4, _field(1, 1) + _field(3, "http")))
    ports += _field(1, _field(3, 81) + _field(4, _field(2, 8081)))
    service = decode_protobuf(_body("v1", "Service", _field(2, ports)))
    assert service["spec"]["ports"] == [
        {"port": 80, "targetPort": "http"},
        {"port": 81, "targetPort": 8081},
    ]


def test_fields_without_a_known_number_are_passed_over() -> None:
    group = _varint(200 << 3 | 3) + _field(1, "in a group") + _varint(200 << 3 | 4)
    fixed = _varint(201 << 3 | 1) + b"8" * 8 + _varint(202 << 3 | 5) + b"4" * 4
    raw = _field(1, _field(1, "x") + group) + fixed + _field(99, "y") + _field(98, 7)
    assert decode_protobuf(_body("v1", "ConfigMap", raw))["metadata"] == {"name": "x"}


@pytest.mark.parametrize(
    "body",
    [
        _body("example.org/v1", "Ingress", b""),
        _body("v1", "Ingress", b""),
        _body("", "", b""),
        MAGIC,
    ],
)
def test_what_is_not_known_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        decode_protobuf(body)
    assert refused.value.status_code == 415


@pytest.mark.parametrize("body", [b"", b"{}", MAGIC + b"\x0a\xff", MAGIC + b"\xff" * 12])
def test_what_is_no_message_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        decode_protobuf(body)
    assert refused.value.status_code == 400


_KINDS = [
    ("v1", "Pod"),
    ("apps/v1", "DeploymentList"),
    ("coordination.k8s.io/v1", "Lease"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("authentication.k8s.io/v1", "TokenReview"),
]


@given(st.sampled_from(_KINDS), st.binary(max_size=200))
def test_garbage_never_gets_past(kind: tuple[str, str], raw: bytes) -> None:
    status = 200
    try:
        decode_protobuf(_body(*kind, raw))
    except ApiError as error:
        status = error.status_code
    assert status in (200, 400)
