"""Typed decoding: checks a JSON document against a type and puts its values into canonical form.

A kind (see `apiserver.api.types`) is compiled once into a closure; decoding then changes the
document in place. What it does is what Go's decoder and encoder do together: null means absent,
unknown fields are dropped, empty optional strings, lists and maps vanish, quantities and times
become canonical. Source: Kubernetes API conventions; error texts are Go's `encoding/json`.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import Any

from apiserver.api import quantity, times, types
from apiserver.api.documents import Pairs
from apiserver.api.tables_pointers import kept_when_empty

Json = dict[str, Any]


class DecodeError(ValueError):
    """The document does not fit the type; the text is Go's."""


class UnknownFieldError(Exception):
    """A field that the type does not have was met, before anything was dropped."""


class Mode:
    """How one decoding run treats unknown fields: drop them, or stop at the first."""

    __slots__ = ("stop_at_unknown",)

    def __init__(self, *, stop_at_unknown: bool) -> None:
        self.stop_at_unknown = stop_at_unknown


Decoder = Callable[[Any, Mode], Any]


class MismatchError(Exception):
    """A value of the wrong JSON type; collects its path while the decoders unwind."""

    def __init__(self, value: Any, go_type: str) -> None:
        super().__init__()
        self.value = value
        self.go_type = go_type
        self.struct = ""
        self.path: list[str] = []

    def text(self) -> str:
        """Go's text: `json: cannot unmarshal number into Go struct field …`."""
        found = _json_type(self.value, self.go_type)
        if not self.path:
            return f"json: cannot unmarshal {found} into Go value of type {self.go_type}"
        path = ".".join(reversed(self.path))
        return (
            f"json: cannot unmarshal {found} into Go struct field {self.struct}.{path} "
            f"of type {self.go_type}"
        )


def _json_type(value: Any, go_type: str) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {value}" if go_type in ("int32", "int64") else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def decode_type(type_name: str, document: Any, *, stop_at_unknown: bool) -> Any:
    """Decode `document` as the named type, in place; it belongs to the result from here.

    Raises DecodeError, and UnknownFieldError if asked to stop there.
    """
    try:
        return decoder("@" + type_name)(document, Mode(stop_at_unknown=stop_at_unknown))
    except MismatchError as error:
        raise DecodeError(error.text()) from None


@cache
def decoder(kind: str) -> Decoder:
    """The compiled decoder of a kind without `!`."""
    letter = kind[0]
    if letter == "[":
        return _list_decoder(kind)
    if letter == "{":
        return _map_decoder(kind)
    if letter == "@":
        return _struct_decoder(kind)
    return _SCALARS[letter]


def _struct_decoder(kind: str) -> Decoder:
    type_name = kind[1:]
    fields = types.fields_of(type_name)
    struct = type_name.rpartition(".")[2]
    go_type = types.go_name(kind)
    strings = frozenset(name for name, item in fields.items() if item in ("s", "!s"))
    optional = frozenset(name for name, item in fields.items() if item == "s")
    omit_empty_strings = optional - kept_when_empty(type_name)
    omit_empty = frozenset(name for name, item in fields.items() if item[0] in "[{")
    kinds = {name: item.lstrip("!") for name, item in fields.items()}
    compiled: dict[str, Decoder] = {}

    def field_decoder(key: str) -> Decoder | None:
        item_kind = kinds.get(key)
        if item_kind is None:
            return None
        compiled[key] = found = decoder(item_kind)
        return found

    def decode(value: Any, mode: Mode) -> Any:
        if type(value) is not dict:
            raise MismatchError(value, go_type)
        dropped: list[str] = []
        key = ""
        try:
            for key, item in value.items():
                if type(item) is str and key in strings:
                    if not item and key in omit_empty_strings:
                        dropped.append(key)
                    continue
                if not item and (item is None or (key in omit_empty and item in ([], {}))):
                    if key not in kinds and mode.stop_at_unknown:
                        raise UnknownFieldError
                    dropped.append(key)
                    continue
                decode_field = compiled.get(key) or field_decoder(key)
                if decode_field is None:
                    if mode.stop_at_unknown:
                        raise UnknownFieldError
                    dropped.append(key)
                    continue
                decoded = decode_field(item, mode)
                if decoded is not item:
                    value[key] = decoded
        except MismatchError as error:
            error.struct = error.struct or struct
            error.path.append(key)
            raise
        for key in dropped:
            del value[key]
        return value

    return decode


def _list_decoder(kind: str) -> Decoder:
    decode_item = decoder(kind[1:])
    go_type = types.go_name(kind)

    def decode(value: Any, mode: Mode) -> Any:
        if type(value) is not list:
            raise MismatchError(value, go_type)
        for index, item in enumerate(value):
            decoded = decode_item(_zero(kind[1:]) if item is None else item, mode)
            if decoded is not item:
                value[index] = decoded
        return value

    return decode


def _map_decoder(kind: str) -> Decoder:
    decode_item = decoder(kind[1:])
    go_type = types.go_name(kind)

    def decode(value: Any, mode: Mode) -> Any:
        if type(value) is not dict:
            raise MismatchError(value, go_type)
        for key, item in value.items():
            decoded = decode_item(_zero(kind[1:]) if item is None else item, mode)
            if decoded is not item:
                value[key] = decoded
        return value

    def decode_strings(value: Any, mode: Mode) -> Any:
        if type(value) is not dict:
            raise MismatchError(value, go_type)
        for key, item in value.items():
            if type(item) is not str:
                if item is not None:
                    raise MismatchError(item, "string")
                value[key] = ""
        return value

    return decode_strings if kind == "{s" else decode


def _zero(kind: str) -> Any:
    """What Go makes of a null inside a list or a map."""
    letter = kind[0]
    if letter in "@{":
        return {}
    if letter == "[":
        return []
    if letter in "ilof":
        return 0
    if letter == "b":
        return False
    return {"q": "0", "t": "0001-01-01T00:00:00Z", "u": "0001-01-01T00:00:00.000000Z"}.get(
        letter, ""
    )


def _string(value: Any, mode: Mode) -> Any:
    if type(value) is not str:
        raise MismatchError(value, "string")
    return value


def _bool(value: Any, mode: Mode) -> Any:
    if type(value) is not bool:
        raise MismatchError(value, "bool")
    return value


def _int32(value: Any, mode: Mode) -> Any:
    if type(value) is not int or not -(2**31) <= value < 2**31:
        raise MismatchError(value, "int32")
    return value


def _int64(value: Any, mode: Mode) -> Any:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise MismatchError(value, "int64")
    return value


def _float(value: Any, mode: Mode) -> Any:
    if type(value) not in (int, float):
        raise MismatchError(value, "float64")
    return value


def _any(value: Any, mode: Mode) -> Any:
    return value


def _int_or_string(value: Any, mode: Mode) -> Any:
    if type(value) is str:
        return value
    if type(value) is not int or not -(2**31) <= value < 2**31:
        raise DecodeError(MismatchError(value, "int32").text())
    return value


def _quantity(value: Any, mode: Mode) -> Any:
    if type(value) in (int, float):
        value = str(value)
    if type(value) is not str:
        raise DecodeError(quantity.FORMAT_MESSAGE)
    try:
        return quantity.canonical(value)
    except quantity.QuantityError as error:
        raise DecodeError(str(error)) from None


def _time(value: Any, mode: Mode) -> Any:
    return _moment(value, times.canonical_time)


def _micro_time(value: Any, mode: Mode) -> Any:
    return _moment(value, times.canonical_micro_time)


def _moment(value: Any, canonical: Callable[[str], str]) -> str:
    if type(value) is not str:
        raise DecodeError(MismatchError(value, "string").text())
    try:
        return canonical(value)
    except times.TimeError as error:
        raise DecodeError(str(error)) from None


_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


def _bytes(value: Any, mode: Mode) -> Any:
    if type(value) is not str:
        raise MismatchError(value, "[]uint8")
    compact = value.replace("\r", "").replace("\n", "")
    try:
        decoded = binascii.a2b_base64(compact, strict_mode=True)
    except ValueError:
        raise DecodeError(f"illegal base64 data at input byte {_illegal_at(value)}") from None
    return b64encode(decoded).decode()


def _illegal_at(value: str) -> int:
    match = _NOT_BASE64.search(value)
    return len(value) // 4 * 4 if match is None else match.start()


_SCALARS: dict[str, Decoder] = {
    "s": _string,
    "b": _bool,
    "i": _int32,
    "l": _int64,
    "f": _float,
    "q": _quantity,
    "t": _time,
    "u": _micro_time,
    "y": _bytes,
    "o": _int_or_string,
    "*": _any,
}


FINDINGS_MAX = 100
"""At most so many findings are named, as the original does."""


def strict_findings(type_name: str, document: Any) -> list[str]:
    """What strict decoding objects to, in document order: unknown and duplicate fields.

    The slow pass, for a document that is known to have some. Its objects are dicts, or `Pairs`
    where duplicates shall be found too.
    """
    found: dict[str, None] = {}
    _collect("@" + type_name, document, "", found)
    return list(found)[:FINDINGS_MAX]


def _collect(kind: str, value: Any, path: str, found: dict[str, None]) -> None:
    letter = kind[0]
    if letter == "[" and isinstance(value, list) and not isinstance(value, Pairs):
        for index, item in enumerate(value):
            _collect(kind[1:], item, f"{path}[{index}]", found)
    elif letter in "@{" and isinstance(value, dict | Pairs):
        fields = types.fields_of(kind[1:]) if letter == "@" else None
        seen: set[str] = set()
        for key, item in value.items() if isinstance(value, dict) else value:
            below = f"{path}.{key}" if path else key
            item_kind = kind[1:] if fields is None else fields.get(key)
            if item_kind is None:
                found[f'unknown field "{below}"'] = None
                continue
            if key in seen:
                found[f'duplicate field "{below}"'] = None
            seen.add(key)
            _collect(item_kind.lstrip("!"), item, below, found)
