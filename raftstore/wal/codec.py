"""The journal's bytes: file headers, batches and the records in them. PURE.

A batch is what one fdatasync makes durable, and the unit of damage: it is whole or it is not there.
Its checksum covers the previous batch's (as etcd's WAL chains its records, server/storage/wal/
encoder.go) and its own place in the journal, so a lost, repeated or misplaced batch is noticed.

    header  magic 8 | format u32 | sequence u64 | cluster u64 | member u64 | first index u64
            | chain u32 | zeros | crc u32                          (64 bytes, little endian)
    batch   magic u32 | payload length u32 | previous crc u32 | crc u32 | payload | zeros to 8 bytes
    record  kind u8 | body length u32 | body
"""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from raftstore.raft.types import Entry, EntryKind, HardState, Index, MemberId, Term

FILE_MAGIC = b"3PLNWAL\n"
FORMAT = 1
HEADER_BYTES = 64
BATCH_MAGIC = b"\xb7Bt\xc3"
BATCH_ALIGN = 8

_HEADER = struct.Struct("<8sIQQQQI")
_BATCH = struct.Struct("<4sIII")
_PLACE = struct.Struct("<IIQQ")
_RECORD = struct.Struct("<BI")
_ENTRY = struct.Struct("<BIQQB")
_ENTRY_BODY = struct.Struct("<QQB")
_HARD_STATE = struct.Struct("<QQQ")
_MARK = struct.Struct("<QQ")
BATCH_HEADER_BYTES = _BATCH.size


class RecordKind(enum.IntEnum):
    """What a record says. The numbers are part of the format: never reuse one."""

    ENTRY = 1
    HARD_STATE = 2
    SNAPSHOT_MARK = 3
    """A snapshot of our own state at this point is durable; the log goes on as it was."""
    SNAPSHOT_RESET = 4
    """A snapshot from the leader replaces the log: entries recorded before are void."""


@dataclass(frozen=True, slots=True)
class SnapshotMark:
    """A snapshot that may be used at recovery, because everything it relies on is durable."""

    index: Index
    term: Term
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHeader:
    """Whose journal a segment belongs to, its place in it, and the checksum it continues from."""

    sequence: int
    cluster_id: int
    member_id: int
    first_index: int
    chain: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A whole batch: its records, where it ends in the file, and its checksum."""

    records: tuple[Record, ...]
    end: int
    crc: int


Record = Entry | HardState | SnapshotMark


class DamagedError(ValueError):
    """Bytes that are no valid header, batch or record. The text says what is wrong, not where."""


def encode_header(header: FileHeader) -> bytes:
    """The first `HEADER_BYTES` of a segment."""
    fields = _HEADER.pack(
        FILE_MAGIC,
        FORMAT,
        header.sequence,
        header.cluster_id,
        header.member_id,
        header.first_index,
        header.chain,
    )
    padded = fields.ljust(HEADER_BYTES - 4, b"\0")
    return padded + zlib.crc32(padded).to_bytes(4, "little")


def decode_header(data: bytes) -> FileHeader:
    """Read a segment's header. Raises DamagedError for foreign, newer or damaged files."""
    if len(data) < HEADER_BYTES:
        raise DamagedError("the file is shorter than its header")
    magic, form, sequence, cluster_id, member_id, first_index, chain = _HEADER.unpack_from(data)
    if magic != FILE_MAGIC:
        raise DamagedError("not a journal segment (wrong magic)")
    if zlib.crc32(data[: HEADER_BYTES - 4]).to_bytes(4, "little") != data[HEADER_BYTES - 4 : 64]:
        raise DamagedError("the header's checksum does not match")
    if form != FORMAT:
        raise DamagedError(f"journal format {form}, this release reads only {FORMAT}")
    return FileHeader(
        sequence=sequence,
        cluster_id=cluster_id,
        member_id=member_id,
        first_index=first_index,
        chain=chain,
    )


def encode_batch(
    records: Sequence[Record], *, previous_crc: int, sequence: int, offset: int
) -> tuple[bytes, int]:
    """One batch as bytes, to be written at `offset` of segment `sequence`, and its checksum."""
    parts: list[bytes] = []
    for record in records:
        match record:
            case Entry():
                data = record.data
                length = _ENTRY_BODY.size + len(data)
                parts.append(
                    _ENTRY.pack(RecordKind.ENTRY, length, record.term, record.index, record.kind)
                )
                parts.append(data)
            case HardState():
                parts.append(_RECORD.pack(RecordKind.HARD_STATE, _HARD_STATE.size))
                parts.append(_HARD_STATE.pack(record.term, record.vote, record.commit))
            case SnapshotMark():
                kind = RecordKind.SNAPSHOT_RESET if record.reset else RecordKind.SNAPSHOT_MARK
                parts.append(_RECORD.pack(kind, _MARK.size))
                parts.append(_MARK.pack(record.index, record.term))
    payload = b"".join(parts)
    crc = _checksum(payload, previous_crc, sequence, offset)
    padding = -(BATCH_HEADER_BYTES + len(payload)) % BATCH_ALIGN
    head = _BATCH.pack(BATCH_MAGIC, len(payload), previous_crc, crc)
    return b"".join((head, payload, b"\0" * padding)), crc


def decode_batch(data: bytes, offset: int, *, sequence: int) -> tuple[Batch, int]:
    """The batch at `offset`, and the checksum it says it follows. Raises DamagedError.

    The caller compares that checksum with the one it has: here a batch is judged by itself.
    """
    if len(data) < offset + BATCH_HEADER_BYTES:
        raise DamagedError("the file ends within a batch header")
    magic, length, previous_crc, crc = _BATCH.unpack_from(data, offset)
    if magic != BATCH_MAGIC:
        raise DamagedError("no batch begins here (wrong magic)")
    begin = offset + BATCH_HEADER_BYTES
    if len(data) < begin + length:
        raise DamagedError(f"a batch of {length} bytes runs over the end of the file")
    payload = data[begin : begin + length]
    if _checksum(payload, previous_crc, sequence, offset) != crc:
        raise DamagedError("the batch's checksum does not match")
    end = begin + length
    end += -(end - offset) % BATCH_ALIGN
    return Batch(tuple(_decode_records(payload)), end, crc), previous_crc


def _checksum(payload: bytes, previous_crc: int, sequence: int, offset: int) -> int:
    return zlib.crc32(
        payload, zlib.crc32(_PLACE.pack(len(payload), previous_crc, sequence, offset))
    )


def _decode_records(payload: bytes) -> Iterator[Record]:
    position = 0
    while position < len(payload):
        if len(payload) < position + _RECORD.size:
            raise DamagedError("a record header runs over the end of its batch")
        kind, length = _RECORD.unpack_from(payload, position)
        position += _RECORD.size
        body = payload[position : position + length]
        if len(body) != length:
            raise DamagedError("a record runs over the end of its batch")
        yield _decode_record(kind, body)
        position += length


def _decode_record(kind: int, body: bytes) -> Record:
    try:
        match kind:
            case RecordKind.ENTRY:
                term, index, entry_kind = _ENTRY_BODY.unpack_from(body)
                data = body[_ENTRY_BODY.size :]
                return Entry(Term(term), Index(index), EntryKind(entry_kind), data)
            case RecordKind.HARD_STATE:
                term, vote, commit = _HARD_STATE.unpack(body)
                return HardState(Term(term), MemberId(vote), Index(commit))
            case RecordKind.SNAPSHOT_MARK | RecordKind.SNAPSHOT_RESET:
                index, term = _MARK.unpack(body)
                reset = kind == RecordKind.SNAPSHOT_RESET
                return SnapshotMark(Index(index), Term(term), reset)
            case _:
                raise DamagedError(f"record kind {kind} is not known to this release")
    except (struct.error, ValueError) as error:
        raise DamagedError(f"a record of kind {kind} cannot be read: {error}") from error
