"""Readers of messages, compiled from the tables once for each type. PURE.

The object has what Go's JSON encoder would show of the message: an empty optional value is left
out, a pointer to zero and a required zero stay. Fields whose number the type does not have are
passed over, as Go's protobuf does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from apiserver.api.protobuf import tables, values, wire

Json = dict[str, Any]
# Puts what stands in buffer[at:end] into the object, at that depth.
Setter = Callable[[Json, bytes, int, int, int], None]
NumberSetter = Callable[[Json, int], None]

_CHOICES: Final = {"A": "OrArray", "B": "OrBool", "S": "OrStringArray"}


class Message:
    """How to read one type: a setter for each field number and wire type."""

    __slots__ = ("_doubles", "_lengths", "_names", "_varints")

    def __init__(self, facts: list[tables.Fact]) -> None:
        self._names = {number: name for number, name, _ in facts}
        self._varints: dict[int, NumberSetter] = {}
        self._doubles: dict[int, str] = {}
        self._lengths: dict[int, Setter] = {}
        for number, name, kind in facts:
            letter = kind.lstrip("?[")[0]
            if letter == "f":
                self._doubles[number] = name
            elif letter in "ilb":
                set_number = _number_setter(name, kind)
                self._varints[number] = set_number
                if kind[0] == "[":
                    self._lengths[number] = _packed_setter(set_number)
            else:
                self._lengths[number] = _setter(name, kind)

    def read(self, obj: Json, buffer: bytes, at: int, end: int, depth: int) -> None:
        """Put the fields in buffer[at:end] into `obj`. Raises `WireError`."""
        if depth > wire.DEPTH_MAX:
            raise wire.WireError("proto: nested too deep")
        lengths = self._lengths
        while at < end:
            tag = buffer[at]
            if tag < 0x80:
                at += 1
            else:
                tag, at = wire.varint(buffer, at, end)
            if tag & 7 == wire.BYTES:
                if at < end and (length := buffer[at]) < 0x80:
                    start = at + 1
                    at = start + length
                    if at > end:
                        raise wire.truncated()
                else:
                    start, at = wire.span(buffer, at, end)
                setter = lengths.get(tag >> 3)
                if setter is not None:
                    setter(obj, buffer, start, at, depth)
                    continue
                self._unknown(tag)
            elif tag & 7 == wire.VARINT:
                if at < end and (value := buffer[at]) < 0x80:
                    at += 1
                else:
                    value, at = wire.varint(buffer, at, end)
                set_number = self._varints.get(tag >> 3)
                if set_number is not None:
                    set_number(obj, value)
                    continue
                self._unknown(tag)
            else:
                at = self._rare(obj, buffer, at, end, tag)

    def _rare(self, obj: Json, buffer: bytes, at: int, end: int, tag: int) -> int:
        """A double, or something that no type of ours has."""
        name = self._doubles.get(tag >> 3)
        if name is None or tag & 7 != wire.FIXED64:
            self._unknown(tag)
            return wire.skip(buffer, at, end, tag & 7)
        if at + 8 > end:
            raise wire.truncated()
        (value,) = struct.unpack_from("<d", buffer, at)
        if value - value != 0:
            raise wire.WireError(f"json: unsupported value: {value}")
        obj[name] = int(value) if value.is_integer() and abs(value) < 1e15 else value
        return at + 8

    def _unknown(self, tag: int) -> None:
        """Pass over a field that we do not know; refuse one that we know in another form."""
        number = tag >> 3
        if number == 0:
            raise wire.WireError(f"proto: illegal tag {number} (wire type {tag & 7})")
        if number in self._names:
            raise wire.wrong_wire_type(tag & 7, self._names[number])


@cache
def message(type_name: str) -> Message:
    """The compiled reader of a type. Raises `KeyError` for a type that is not listed."""
    return Message(tables.fields_of(type_name))


def _number_setter(name: str, kind: str) -> NumberSetter:
    is_bool = kind[-1] == "b"

    def set_optional(obj: Json, value: int) -> None:
        if value:
            obj[name] = True if is_bool else wire.signed(value)
        else:
            obj.pop(name, None)

    def set_always(obj: Json, value: int) -> None:
        obj[name] = value != 0 if is_bool else wire.signed(value)

    def append(obj: Json, value: int) -> None:
        obj.setdefault(name, []).append(value != 0 if is_bool else wire.signed(value))

    if kind[0] == "[":
        return append
    return set_optional if kind[0] == "?" else set_always


def _packed_setter(set_number: NumberSetter) -> Setter:
    def set_packed(obj: Json, buffer: bytes, at: int, end: int, depth: int) -> None:
        while at < end:
            value, at = wire.varint(buffer, at, end)
            set_number(obj, value)

    return set_packed


def _setter(name: str, kind: str) -> Setter:
    """The setter of a field of bytes."""
    letter = kind[0]
    if letter == "[":
        return _list_setter(name, kind[1:])
    if letter == "{":
        return _map_setter(name, kind[1:])
    if letter == "@":
        return _message_setter(name, kind[1:])
    read = _reader(kind.lstrip("?"))

    def set_optional(obj: Json, buffer: bytes, at: int, end: int, depth: int) -> None:
        if at == end:
            obj.pop(name, None)
        else:
            obj[name] = read(buffer, at, end, depth)

    def set_always(obj: Json, buffer: bytes, at: int, end: int, depth: int) -> None:
        value = read(buffer, at, end, depth)
        if value is not None:
            obj[name] = value

    return set_optional if letter == "?" else set_always


def _message_setter(name: str, type_name: str) -> Setter:
    """A message within; without a name, its fields are set in the object itself."""
    found: Message | None = None

    def set_message(obj: Json, buffer: bytes, at: int, end: int, depth: int) -> None:
        nonlocal found
        if found is None:
            found = message(type_name)
        inner = obj.setdefault(name, {}) if name else obj
        found.read(inner, buffer, at, end, depth + 1)

    return set_message


def _list_setter(name: str, kind: str) -> Setter:
    read = _reader(kind)

    def append(obj: Json, buffer: bytes, at: int, end: int, depth: int) -> None:
        obj.setdefault(name, []).append(read(buffer, at, end, depth))

    return append


def _map_setter(name: str, kind: str) -> Setter:
    read = _reader(kind)

    def set_entry(obj: Json, buffer: bytes, at: int, end: int, depth: int) -> None:
        key_at, key_end, value_at, value_end = _entry(buffer, at, end)
        found = obj.get(name)
        if found is None:
            obj[name] = found = {}
        key = wire.text(buffer[key_at:key_end])
        found[key] = read(buffer, value_at, value_end, depth)

    return set_entry


_KEY_TAG: Final = 1 << 3 | wire.BYTES
_VALUE_TAG: Final = 2 << 3 | wire.BYTES


def _entry(buffer: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Where key and value of a map's entry start and end; an absent one is empty."""
    key_at = key_end = value_at = value_end = at
    while at < end:
        tag, at = wire.varint(buffer, at, end)
        if tag == _KEY_TAG:
            key_at, at = wire.span(buffer, at, end)
            key_end = at
        elif tag == _VALUE_TAG:
            value_at, at = wire.span(buffer, at, end)
            value_end = at
        else:
            at = wire.skip(buffer, at, end, tag & 7)
    return key_at, key_end, value_at, value_end


def _reader(kind: str) -> values.Reader:
    """The reader of an item of a list or map, or of a value that is no message of fields."""
    if kind[0] == "@":
        set_message = _message_setter("", kind[1:])
    elif kind in _CHOICES:
        set_message = _message_setter("", f"apiextensions_v1.JSONSchemaProps{_CHOICES[kind]}")
    else:
        return values.READERS[kind]

    def read(buffer: bytes, at: int, end: int, depth: int) -> Json:
        obj: Json = {}
        set_message(obj, buffer, at, end, depth)
        return obj

    if kind[0] == "@":
        return read
    return lambda buffer, at, end, depth: _chosen(read(buffer, at, end, depth))


def _chosen(choice: Json) -> Any:
    """What stands in JSON for a schema that may be a list or a bool instead."""
    if several := choice.get("jSONSchemas") or choice.get("property"):
        return several
    if "schema" in choice:
        return choice["schema"]
    return choice.get("allows")
