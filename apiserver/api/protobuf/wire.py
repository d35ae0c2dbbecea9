"""The protobuf wire format: tags, varints and lengths. PURE.

Source: the Protocol Buffers encoding guide; the texts are those of Go's gogo/protobuf, which
kube-apiserver uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
GROUP_START: Final = 3
GROUP_END: Final = 4
FIXED32: Final = 5

DEPTH_MAX: Final = 100
"""How deep messages may lie in each other; a schema of a CustomResourceDefinition is deepest."""


class WireError(ValueError):
    """The bytes are no message of the type; the text says why."""


def truncated() -> WireError:
    """The message ends in the middle of something."""
    return WireError("unexpected EOF")


def wrong_wire_type(wire_type: int, field: str) -> WireError:
    """A field of another form than its type says."""
    return WireError(f"proto: wrong wireType = {wire_type} for field {field}")


def varint(buffer: bytes, at: int, end: int) -> tuple[int, int]:
    """The unsigned number of up to 64 bits at `at`, and where the next thing starts."""
    if at < end and buffer[at] < 0x80:
        return buffer[at], at + 1
    value = shift = 0
    while True:
        if at >= end:
            raise truncated()
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
        if shift > 63:
            raise WireError("proto: integer overflow")


def signed(value: int) -> int:
    """A varint's 64 bits as Go reads an int32 or int64 from them."""
    return value - (1 << 64) if value >= 1 << 63 else value


def span(buffer: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the bytes start and end whose length stands at `at`."""
    if at < end and buffer[at] < 0x80:
        length = buffer[at]
        at += 1
    else:
        length, at = varint(buffer, at, end)
    if length > end - at:
        raise truncated()
    return at, at + length


def skip(buffer: bytes, at: int, end: int, wire_type: int, depth: int = 0) -> int:
    """Where the next field starts, after the value at `at`."""
    if wire_type == VARINT:
        return varint(buffer, at, end)[1]
    if wire_type == BYTES:
        return span(buffer, at, end)[1]
    if wire_type in (FIXED64, FIXED32):
        at += 8 if wire_type == FIXED64 else 4
        if at > end:
            raise truncated()
        return at
    if wire_type == GROUP_START:
        return _skip_group(buffer, at, end, depth + 1)
    raise WireError(f"proto: illegal wireType {wire_type}")


def _skip_group(buffer: bytes, at: int, end: int, depth: int) -> int:
    if depth > DEPTH_MAX:
        raise WireError("proto: nested too deep")
    while True:
        tag, at = varint(buffer, at, end)
        if tag & 7 == GROUP_END:
            return at
        at = skip(buffer, at, end, tag & 7, depth)


def fields(buffer: bytes, at: int, end: int) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a small message in order: varints as they are, lengths as bytes."""
    while at < end:
        tag, at = varint(buffer, at, end)
        if tag & 7 == VARINT:
            value, at = varint(buffer, at, end)
            yield tag >> 3, value
        elif tag & 7 == BYTES:
            start, at = span(buffer, at, end)
            yield tag >> 3, buffer[start:at]
        else:
            at = skip(buffer, at, end, tag & 7)


class Parts:
    """The last value of each field of a small message, such as a Quantity or the envelope."""

    __slots__ = ("_found",)

    def __init__(self, buffer: bytes, at: int, end: int) -> None:
        self._found = dict(fields(buffer, at, end))

    def number(self, field: int) -> int:
        """A varint field, signed; 0 if absent."""
        value = self._found.get(field, 0)
        if isinstance(value, bytes):
            raise wrong_wire_type(BYTES, str(field))
        return signed(value)

    def raw(self, field: int) -> bytes:
        """A field of bytes; empty if absent."""
        value = self._found.get(field, b"")
        if isinstance(value, int):
            raise wrong_wire_type(VARINT, str(field))
        return value

    def text(self, field: int) -> str:
        """A field of UTF-8 text; "" if absent."""
        return text(self.raw(field))


def text(raw: bytes) -> str:
    """UTF-8 text, which JSON needs; Go would put replacement characters into it."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise WireError("proto: string field contains invalid UTF-8") from None
