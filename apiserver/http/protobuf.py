"""Bodies in `application/vnd.kubernetes.protobuf`, turned into the JSON objects they stand for.

PURE. The envelope is `k8s\\0` and a `runtime.Unknown`; the types are `protobuf_types`'. What they
do not name is refused unless it is zero, never dropped: a client must not lose what it sent.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from apiserver.api.errors import ApiError, bad_request
from apiserver.api.times import render_micro_time, render_time
from apiserver.http.protobuf_types import KNOWN, fields_of

PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
MAGIC: Final = b"k8s\0"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DEPTH_MAX: Final = 32

JsonObject = dict[str, Any]
# A varint, or the bytes of a string or message.
Value = int | bytes


class _UnreadableError(Exception):
    """The body is no message, or has fields that we do not know; the text says which."""


def decode_protobuf(body: bytes) -> JsonObject:
    """The object in a protobuf body. Raises `ApiError` 400, or 415 for types not known here."""
    if not body.startswith(MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message, expected prefix")
    try:
        api_version, kind, raw = _envelope(body[len(MAGIC) :])
        if (api_version, kind) not in KNOWN:
            raise _unsupported(f"{kind} of {api_version}")
        obj = _message(kind, raw, 0)
    except (_UnreadableError, UnicodeDecodeError, OverflowError, orjson.JSONDecodeError) as error:
        raise bad_request(f"protobuf body: {error}") from error
    return {"apiVersion": api_version, "kind": kind, **obj}


def _envelope(unknown: bytes) -> tuple[str, str, bytes]:
    type_meta = raw = b""
    for number, value in _fields(unknown):
        if number == 1 and isinstance(value, bytes):
            type_meta = value
        elif number == 2 and isinstance(value, bytes):
            raw = value
    names = {number: value for number, value in _fields(type_meta) if isinstance(value, bytes)}
    return names.get(1, b"").decode(), names.get(2, b"").decode(), raw


def _fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """Field numbers and values of a message in order; groups and floats are in no type of ours."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, at = _varint(message, at)
            yield number, value
        elif wire_type == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise _UnreadableError("unexpected EOF")
            yield number, message[at : at + length]
            at += length
        else:
            raise _UnreadableError(f"field {number} has wire type {wire_type}")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise _UnreadableError("unexpected EOF" if shift <= 63 else "integer overflow")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _message(type_name: str, message: bytes, depth: int) -> JsonObject:
    if depth > DEPTH_MAX:
        raise _UnreadableError("nested too deep")
    known = fields_of(type_name)
    obj: JsonObject = {}
    for number, value in _fields(message):
        field = known.get(number)
        if field is None:
            if not _is_zero(value):
                raise _unsupported(f"field {number} of {type_name}")
            continue
        name, kind = field
        if kind[0] == "[":
            obj.setdefault(name, []).append(_value(kind[1:], value, depth))
        elif kind[0] == "{":
            key, item = _entry(kind[1:], value, depth)
            obj.setdefault(name, {})[key] = item
        else:
            decoded = _value(kind, value, depth)
            if decoded is not None and (decoded or not kind.islower()):
                obj[name] = decoded
    return obj


def _is_zero(value: Value) -> bool:
    """Whether a field says nothing: zero, empty, or a message all of whose fields say nothing."""
    if not value:
        return True
    if isinstance(value, int):
        return False
    try:
        return all(_is_zero(inner) for _, inner in _fields(value))
    except _UnreadableError:
        return False


def _entry(kind: str, value: Value, depth: int) -> tuple[str, Any]:
    entry = dict(_fields(_bytes(value)))
    item = _value(kind, entry.get(2, b""), depth)
    return _bytes(entry.get(1, b"")).decode(), item


def _bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise _UnreadableError("a number stands where bytes are expected")
    return value


def _integer(value: Value) -> int:
    if isinstance(value, bytes):
        raise _UnreadableError("bytes stand where a number is expected")
    return value - (1 << 64) if value >= 1 << 63 else value


def _value(kind: str, value: Value, depth: int) -> Any:
    letter = kind[0].lower()
    if letter == "i":
        return _integer(value)
    if letter == "b":
        return bool(_integer(value))
    raw = _bytes(value)
    if letter == "@":
        return _message(kind[1:], raw, depth + 1)
    if letter == "y":
        return base64.b64encode(raw).decode()
    if letter in "tu":
        return _moment(raw, micro=letter == "u")
    if letter == "o":
        return _int_or_string(raw)
    if letter == "q":
        return _bytes(dict(_fields(raw)).get(1, b"")).decode()
    if letter == "j":
        return orjson.loads(_bytes(dict(_fields(raw)).get(1, b"")) or b"null")
    return raw.decode()


def _moment(raw: bytes, *, micro: bool) -> str | None:
    parts = dict(_fields(raw))
    if not parts:
        return None
    moment = _EPOCH + timedelta(
        seconds=_integer(parts.get(1, 0)), microseconds=_integer(parts.get(2, 0)) // 1000
    )
    return render_micro_time(moment) if micro else render_time(moment)


def _int_or_string(raw: bytes) -> int | str:
    parts = dict(_fields(raw))
    if parts.get(1, 0):
        return _bytes(parts.get(3, b"")).decode()
    return _integer(parts.get(2, 0))


def _unsupported(what: str) -> ApiError:
    return ApiError(
        415,
        "UnsupportedMediaType",
        f"this server does not read {what} in protobuf yet - accepted media types include: "
        "application/json, application/yaml",
    )
