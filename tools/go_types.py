"""The struct types that a Go program carries for reflection: fields, tags and kinds.

A linked Go program describes every type that reaches an interface, even when it is stripped of
symbols. This reads those descriptions from a 64-bit little-endian ELF file, statically linked at
fixed addresses. Source of the layouts: Go's `internal/abi/type.go`, unchanged in Go 1.18 to 1.24.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class Kind(IntEnum):
    """The kinds of `reflect.Kind` that matter here."""

    BOOL = 1
    INT32 = 5
    INT64 = 6
    UINT8 = 8
    FLOAT64 = 14
    MAP = 21
    POINTER = 22
    SLICE = 23
    STRING = 24
    STRUCT = 25


_KIND_MASK = 31
_TFLAG_UNCOMMON, _TFLAG_EXTRA_STAR, _TFLAG_NAMED = 1, 2, 4
_NAME_TAGGED, _NAME_EMBEDDED = 2, 8
_HEAD_BYTES = 48  # abi.Type itself, before what its kind adds
_ADDED_BYTES = {Kind.STRUCT: 32}
_FIELD_BYTES = 24


@dataclass(frozen=True, slots=True)
class GoField:
    """One field of a struct: its Go name, its tag, whether it is embedded, its type's address."""

    name: str
    tag: str
    embedded: bool
    type_address: int


class GoTypes:
    """The types of one program. Raises `ValueError` for a file of another form."""

    def __init__(self, program: Path) -> None:
        data = program.read_bytes()
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{program.name}: not a 64-bit little-endian ELF file")
        sections = _sections(data)
        if not {".rodata", ".typelink"} <= sections.keys():
            raise ValueError(f"{program.name}: not a Go program")
        self._base, at, size = sections[".rodata"]
        self._rodata = data[at : at + size]
        _, at, size = sections[".typelink"]
        self._links = struct.unpack_from(f"<{size // 4}i", data, at)
        self.structs = dict(self._named_structs())
        """Named structs by import path and name: `("k8s.io/api/core/v1", "Pod")`."""

    def _named_structs(self) -> Iterator[tuple[tuple[str, str], int]]:
        for link in self._links:
            address = self._base + link
            while self.kind(address) == Kind.POINTER:
                address = self.element(address)
            if self.kind(address) == Kind.STRUCT and self.is_named(address):
                yield (self.package(address), self.name(address)), address

    def kind(self, address: int) -> int:
        return self._rodata[address - self._base + 23] & _KIND_MASK

    def is_named(self, address: int) -> bool:
        return bool(self._flags(address) & _TFLAG_NAMED)

    def name(self, address: int) -> str:
        """The type's own name, without its package's."""
        text, _, _ = self._text(self._base + self._int32(address + 40))
        if self._flags(address) & _TFLAG_EXTRA_STAR:
            text = text[1:]
        return text.rpartition(".")[2]

    def package(self, address: int) -> str:
        """The import path of a named struct; "" for types without one."""
        if not self._flags(address) & _TFLAG_UNCOMMON:
            return ""
        kind = self.kind(address)
        offset = self._int32(address + _HEAD_BYTES + _ADDED_BYTES.get(Kind(kind), 8))
        return self._text(self._base + offset)[0]

    def element(self, address: int) -> int:
        """The address of what a pointer, slice or map holds."""
        beyond_key = 8 if self.kind(address) == Kind.MAP else 0
        return self._uint64(address + _HEAD_BYTES + beyond_key)

    def fields(self, address: int) -> Iterator[GoField]:
        """The fields of a struct in their order."""
        first, count = self._uint64(address + 56), self._uint64(address + 64)
        for at in range(first, first + count * _FIELD_BYTES, _FIELD_BYTES):
            name, tag, embedded = self._text(self._uint64(at))
            yield GoField(name, tag, embedded, self._uint64(at + 8))

    def _flags(self, address: int) -> int:
        return self._rodata[address - self._base + 20]

    def _int32(self, address: int) -> int:
        return int(struct.unpack_from("<i", self._rodata, address - self._base)[0])

    def _uint64(self, address: int) -> int:
        return int(struct.unpack_from("<Q", self._rodata, address - self._base)[0])

    def _text(self, address: int) -> tuple[str, str, bool]:
        """An `abi.Name`: text, tag, and whether it names an embedded field."""
        at = address - self._base
        flags = self._rodata[at]
        text, at = self._counted(at + 1)
        tag = self._counted(at)[0] if flags & _NAME_TAGGED else ""
        return text, tag, bool(flags & _NAME_EMBEDDED)

    def _counted(self, at: int) -> tuple[str, int]:
        length = shift = 0
        while True:
            byte = self._rodata[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return self._rodata[at : at + length].decode(), at + length


def _sections(data: bytes) -> dict[str, tuple[int, int, int]]:
    """Address, file offset and size of each section by its name."""
    (table,) = struct.unpack_from("<Q", data, 0x28)
    count, names_index = struct.unpack_from("<HH", data, 0x3C)
    headers = [struct.unpack_from("<IIQQQQ", data, table + 64 * index) for index in range(count)]
    names_at = headers[names_index][4]
    found = {}
    for name, _, _, address, offset, size in headers:
        end = data.index(b"\0", names_at + name)
        found[data[names_at + name : end].decode()] = (address, offset, size)
    return found
