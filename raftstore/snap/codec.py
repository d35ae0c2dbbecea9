"""A snapshot's bytes: a head that says what it is, checksummed chunks, and a tail for the whole.

    head    magic 8 | format u32 | meta length u32 | meta crc u32 | meta (JSON)
    chunk   length u32 (never 0; its highest bit: the next one continues it) | crc u32 | data
    tail    0 u32 | crc u32 of all chunks | chunks u64 | bytes u64       (little endian)

A chunk's crc continues from that of the chunk before, so a lost or moved chunk is noticed at once.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Generator
from dataclasses import dataclass

from raftstore.membership import Membership
from raftstore.raft.types import Index, SnapshotMeta, Term

MAGIC = b"3PLNSNP\n"
FORMAT = 1

_HEAD = struct.Struct("<8sIII")
_CHUNK = struct.Struct("<II")
_TAIL = struct.Struct("<IIQQ")
_CONTINUED = 1 << 31
META_BYTES_MAX = 1 << 20


class SnapshotDamagedError(ValueError):
    """Bytes that are no whole, valid snapshot. The text says what is wrong."""


@dataclass(frozen=True, slots=True)
class SnapshotHead:
    """Where in the log a snapshot stands and who belonged to the cluster there."""

    index: Index
    term: Term
    membership: Membership

    @property
    def meta(self) -> SnapshotMeta:
        """The same, as Raft speaks of it."""
        return SnapshotMeta(self.index, self.term, self.membership.conf_state())


class SnapshotEncoder:
    """Turns a head and chunks into bytes, in order: `head`, `chunk` for each, `tail`."""

    def __init__(self) -> None:
        self._crc = 0
        self._chunks = 0
        self._bytes = 0

    def head(self, head: SnapshotHead) -> bytes:
        document = {
            "index": head.index,
            "term": head.term,
            "membership": json.loads(head.membership.to_json()),
        }
        meta = json.dumps(document, separators=(",", ":")).encode()
        crc = zlib.crc32(meta)
        self._crc = crc
        return _HEAD.pack(MAGIC, FORMAT, len(meta), crc) + meta

    def chunk(self, data: bytes, *, continued: bool = False) -> bytes:
        """One chunk; `continued` if it is only the beginning of what the next one goes on with."""
        assert 0 < len(data) < _CONTINUED, "an empty chunk would read as the tail"
        self._crc = zlib.crc32(data, self._crc)
        self._chunks += 1
        self._bytes += len(data)
        return _CHUNK.pack(len(data) | continued << 31, self._crc) + data

    def tail(self) -> bytes:
        return _TAIL.pack(0, self._crc, self._chunks, self._bytes)


class SnapshotDecoder:
    """Takes a snapshot's bytes in pieces of any size, and gives back what is whole.

    `feed` returns the chunks completed by these bytes; `head` is set once it is known, `complete`
    once the tail was seen and agrees. Raises SnapshotDamagedError at the first wrong byte it meets.
    """

    def __init__(self, *, chunk_bytes_max: int) -> None:
        self.head: SnapshotHead | None = None
        self.complete = False
        self._chunk_bytes_max = chunk_bytes_max
        self._buffer = bytearray()
        self._crc = 0
        self._chunks = 0
        self._bytes = 0
        self._parser = self._parse()
        self._needed = next(self._parser)
        self._found: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        while len(self._buffer) >= self._needed and not self.complete:
            taken = bytes(self._buffer[: self._needed])
            del self._buffer[: self._needed]
            try:
                self._needed = self._parser.send(taken)
            except StopIteration:
                self.complete = True
        if self.complete and self._buffer:
            raise SnapshotDamagedError("there are bytes after the end of the snapshot")
        found, self._found = self._found, []
        return found

    def _parse(self) -> Generator[int, bytes, None]:
        magic, form, meta_length, meta_crc = _HEAD.unpack((yield _HEAD.size))
        if magic != MAGIC or form != FORMAT:
            raise SnapshotDamagedError("not a snapshot of this format")
        if meta_length > META_BYTES_MAX:
            raise SnapshotDamagedError(f"a head of {meta_length} bytes is impossible")
        meta = yield meta_length
        if zlib.crc32(meta) != meta_crc:
            raise SnapshotDamagedError("the head's checksum does not match")
        self.head = _decode_meta(meta)
        self._crc = meta_crc
        begun: list[bytes] = []
        while True:
            length, crc = _CHUNK.unpack((yield _CHUNK.size))
            if length == 0:
                break
            continued, length = length & _CONTINUED, length & ~_CONTINUED
            if length > self._chunk_bytes_max:
                raise SnapshotDamagedError(f"a chunk of {length} bytes is impossible")
            chunk = yield length
            self._crc = zlib.crc32(chunk, self._crc)
            if self._crc != crc:
                raise SnapshotDamagedError(f"the checksum of chunk {self._chunks} does not match")
            self._chunks += 1
            self._bytes += length
            begun.append(chunk)
            if not continued:
                self._found.append(b"".join(begun))
                begun.clear()
        rest = yield _TAIL.size - _CHUNK.size
        totals = _TAIL.unpack(_CHUNK.pack(0, crc) + rest)
        if begun or totals != (0, self._crc, self._chunks, self._bytes):
            raise SnapshotDamagedError("the tail does not agree with the chunks before it")


def _decode_meta(meta: bytes) -> SnapshotHead:
    try:
        document = json.loads(meta)
        membership = Membership.from_json(json.dumps(document["membership"]).encode())
        return SnapshotHead(Index(document["index"]), Term(document["term"]), membership)
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotDamagedError(f"the head cannot be read: {error}") from error
