"""Messages whose JSON form is not an object of their fields: times, quantities, raw JSON. PURE.

Each reader takes the buffer, where the message starts and ends in it, and how deep it lies; it
gives the JSON value, None for the zero that JSON leaves out. Source: the marshallers in
k8s.io/apimachinery.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from apiserver.api.protobuf import wire
from apiserver.api.times import render_micro_time, render_time

Reader = Callable[[bytes, int, int, int], Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _string(buffer: bytes, at: int, end: int, depth: int) -> str:
    return wire.text(buffer[at:end])


def _bytes(buffer: bytes, at: int, end: int, depth: int) -> str:
    return b64encode(buffer[at:end]).decode()


def _time(buffer: bytes, at: int, end: int, depth: int) -> str | None:
    if at == end:
        return None
    return render_time(_moment(wire.Parts(buffer, at, end).number(1), 0))


def _micro_time(buffer: bytes, at: int, end: int, depth: int) -> str | None:
    if at == end:
        return None
    parts = wire.Parts(buffer, at, end)
    return render_micro_time(_moment(parts.number(1), parts.number(2) // 1000))


def _moment(seconds: int, microseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=microseconds)
    except OverflowError:
        raise wire.WireError("Time.MarshalJSON: year outside of range [0,9999]") from None


def _quantity(buffer: bytes, at: int, end: int, depth: int) -> str:
    return wire.Parts(buffer, at, end).text(1) or "0"


def _int_or_string(buffer: bytes, at: int, end: int, depth: int) -> int | str:
    parts = wire.Parts(buffer, at, end)
    kind = parts.number(1)
    if kind not in (0, 1):
        raise wire.WireError("impossible IntOrString.Type")
    return parts.text(3) if kind else parts.number(2)


def _raw_json(buffer: bytes, at: int, end: int, depth: int) -> Any:
    raw = wire.Parts(buffer, at, end).raw(1)
    if not raw:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise wire.WireError(f"raw JSON in a protobuf message: {error}") from None


def _strings(buffer: bytes, at: int, end: int, depth: int) -> list[str]:
    items = []
    for number, value in wire.fields(buffer, at, end):
        if number == 1:
            if isinstance(value, int):
                raise wire.wrong_wire_type(wire.VARINT, "Items")
            items.append(wire.text(value))
    return items


READERS: Final[dict[str, Reader]] = {
    "s": _string,
    "y": _bytes,
    "t": _time,
    "u": _micro_time,
    "q": _quantity,
    "o": _int_or_string,
    "*": _raw_json,
    "v": _strings,
}
"""By the letter of a kind."""
