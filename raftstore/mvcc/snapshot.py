"""A store's records as chunks of bytes, and back.

Owns the format: a head, then chunks of records in columns, then an end that counts them. Columns
pack and unpack in C, which is what lets a member with 100,000 keys restart in under a second.
Whoever stores or sends chunks guards their bytes; this module finds what is missing or foreign.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple

from raftstore.mvcc.errors import SnapshotCorruptError
from raftstore.mvcc.history import record_bytes
from raftstore.mvcc.revision import Record, Revision

FORMAT_VERSION: Final = 1
CHUNK_BYTES: Final = 512 * 1024
"""A chunk is closed once it has this many; one big record may make it larger."""

_HEAD: Final = struct.Struct("<4sIqq")
_MAGIC: Final = b"TPKV"
_RECORDS: Final = struct.Struct("<4sI")
_RECORDS_MAGIC: Final = b"RECS"
_END: Final = struct.Struct("<4sQ")
_END_MAGIC: Final = b"END."


class Restored(NamedTuple):
    """What a snapshot holds. Records are in history's order."""

    revision: Revision
    compact_revision: Revision
    records: list[Record]


def encode(
    revision: Revision, compact_revision: Revision, blocks: list[list[Record]]
) -> Iterator[bytes]:
    """Chunks of a history's view; `blocks` must not change any more."""
    yield _HEAD.pack(_MAGIC, FORMAT_VERSION, revision, compact_revision)
    count = 0
    for records in _chunked(record for block in blocks for record in block):
        count += len(records)
        yield _encode_records(records)
    yield _END.pack(_END_MAGIC, count)


def _chunked(records: Iterable[Record]) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    weight = 0
    for record in records:
        chunk.append(record)
        weight += record_bytes(record)
        if weight >= CHUNK_BYTES:
            yield chunk
            chunk, weight = [], 0
    if chunk:
        yield chunk


def _encode_records(records: list[Record]) -> bytes:
    mains, subs, keys, values, creates, versions, leases = zip(*records, strict=True)
    count = len(records)
    numbers = f"<{count}q"
    lengths = f"<{count}I"
    return b"".join(
        (
            _RECORDS.pack(_RECORDS_MAGIC, count),
            struct.pack(numbers, *mains),
            struct.pack(numbers, *creates),
            struct.pack(numbers, *versions),
            struct.pack(numbers, *leases),
            struct.pack(lengths, *subs),
            struct.pack(lengths, *map(len, keys)),
            struct.pack(lengths, *map(len, values)),
            *keys,
            *values,
        )
    )


def decode(chunks: Iterable[bytes]) -> Restored:
    """Read chunks made by `encode`. SnapshotCorruptError names what is wrong with them."""
    feed = iter(chunks)
    revision, compact_revision = decode_head(next(feed, b""))
    records: list[Record] = []
    for found in decode_records(feed):
        records += found
    return Restored(revision, compact_revision, records)


def decode_records(feed: Iterator[bytes]) -> Iterator[list[Record]]:
    """The records of each chunk behind the head. SnapshotCorruptError names what is wrong."""
    count = 0
    for chunk in feed:
        if chunk[:4] == _END_MAGIC:
            _check_end(chunk, count, next(feed, None))
            return
        records = _decode_records(chunk)
        count += len(records)
        yield records
    raise SnapshotCorruptError("the snapshot ends before its last chunk")


def decode_head(chunk: bytes) -> tuple[Revision, Revision]:
    """The revision and the compact revision, from the first chunk. SnapshotCorruptError."""
    if len(chunk) != _HEAD.size or chunk[:4] != _MAGIC:
        raise SnapshotCorruptError("this is not a snapshot of the key space")
    _, version, revision, compact_revision = _HEAD.unpack(chunk)
    if version != FORMAT_VERSION:
        raise SnapshotCorruptError(
            f"snapshot format version {version} is unknown; this release reads {FORMAT_VERSION}"
        )
    return Revision(revision), Revision(compact_revision)


def _check_end(chunk: bytes, found: int, after: bytes | None) -> None:
    if len(chunk) != _END.size or after is not None:
        raise SnapshotCorruptError("the snapshot's last chunk is malformed or not the last")
    _, count = _END.unpack(chunk)
    if count != found:
        raise SnapshotCorruptError(f"the snapshot has {found} records where {count} were written")


def _decode_records(chunk: bytes) -> list[Record]:
    if len(chunk) < _RECORDS.size or chunk[:4] != _RECORDS_MAGIC:
        raise SnapshotCorruptError("a chunk of the snapshot is of an unknown kind")
    _, count = _RECORDS.unpack_from(chunk)
    position = _RECORDS.size
    body = position + count * (4 * 8 + 3 * 4)
    if len(chunk) < body:
        raise SnapshotCorruptError("a chunk of the snapshot is cut short")
    columns: list[tuple[int, ...]] = []
    for letter, width in (*[("q", 8)] * 4, *[("I", 4)] * 3):
        columns.append(struct.unpack_from(f"<{count}{letter}", chunk, position))
        position += count * width
    mains, creates, versions, leases, subs, key_lengths, value_lengths = columns
    ends = list(accumulate((*key_lengths, *value_lengths), initial=body))
    if ends[-1] != len(chunk):
        raise SnapshotCorruptError("a chunk of the snapshot is cut short or has bytes too many")
    pieces = [chunk[start:end] for start, end in pairwise(ends)]
    rows = zip(mains, subs, pieces[:count], pieces[count:], creates, versions, leases, strict=True)
    make: Callable[[Any], Record] = Record._make
    return list(map(make, rows))
