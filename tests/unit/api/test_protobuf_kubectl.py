"""Protobuf bodies as kubectl v1.33 sent them mean what its JSON says.

`data/kubectl_create.json` has, for arguments of `kubectl create`, the body that was sent and the
object that `--dry-run=client -o json` printed. Both must come out of our decoding alike.
"""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Any

import orjson
import pytest

from apiserver.api.decode import FieldValidation, Target, decode
from apiserver.api.errors import ApiError
from apiserver.api.protobuf import MAGIC, decode_protobuf
from apiserver.api.scheme import SCHEME

RECORDED: dict[str, dict[str, Any]] = orjson.loads(
    (Path(__file__).parent / "data" / "kubectl_create.json").read_bytes()
)


@pytest.mark.parametrize("arguments", RECORDED)
def test_protobuf_and_json_mean_the_same(arguments: str) -> None:
    recorded = RECORDED[arguments]
    found = decode_protobuf(b64decode(recorded["body"]))
    resource = SCHEME.by_kind(found["apiVersion"], found["kind"])
    assert resource is not None
    target = Target.of(resource)
    from_protobuf = decode(target, found, validation=FieldValidation.STRICT)
    from_json = decode(
        target, orjson.loads(orjson.dumps(recorded["object"])), validation=FieldValidation.STRICT
    )
    assert from_protobuf == from_json


@pytest.mark.parametrize("arguments", RECORDED)
def test_a_body_cut_short_is_refused_or_means_less(arguments: str) -> None:
    body = b64decode(RECORDED[arguments]["body"])
    whole = decode_protobuf(body)
    for length in range(len(MAGIC), len(body)):
        status, kind = 200, whole["kind"]
        try:
            kind = decode_protobuf(body[:length])["kind"]
        except ApiError as error:
            status = error.status_code
        assert status in (200, 400, 415)
        assert kind == whole["kind"]
