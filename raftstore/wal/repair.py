"""Reading a journal back: cut a torn tail, refuse damage that a torn write cannot explain.

At most one batch is unsynced at any time, so a crash can damage only the last batch of the last
segment. Anything else is lost or altered data that this member may have acknowledged: it must not
start with it (Raft's safety rests on what members remember).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from raftstore.raft.types import Entry, HardState, Index
from raftstore.wal import codec
from raftstore.wal.codec import Batch, DamagedError, FileHeader, SnapshotMark
from raftstore.wal.files import SYSTEM_FILES, Files

log = logging.getLogger(__name__)

REMEDY = (
    "restore this member's data directory from a copy, or remove the member from the cluster "
    "and add it again with an empty data directory"
)


class JournalCorruptError(Exception):
    """The journal holds damage that a crash cannot explain. The text has file, offset, remedy."""

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        super().__init__(f"corrupt journal: {path} at offset {offset}: {reason}; {REMEDY}")
        self.path = path
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of the journal."""

    path: Path
    header: FileHeader


@dataclass(slots=True)
class Replayed:
    """What a journal holds: the last hard state, the log, the usable snapshots, where to go on."""

    hard_state: HardState
    entries: list[Entry]
    marks: list[SnapshotMark]
    segments: list[Segment]
    offset: int
    crc: int


def segment_name(sequence: int, first_index: int) -> str:
    """The file name of a segment: sequence and first index, so that names sort as written."""
    return f"{sequence:016x}-{first_index:016x}.wal"


def find_segments(directory: Path, files: Files = SYSTEM_FILES) -> list[Segment]:
    """The segments of a journal, in order. Removes half-made ones (`.tmp`); raises on gaps."""
    for leftover in files.glob(directory, "*.tmp"):
        files.remove(leftover)
    segments: list[Segment] = []
    for path in files.glob(directory, "*.wal"):
        file = files.open(path)
        head = file.read(codec.HEADER_BYTES, 0)
        file.close()
        try:
            header = codec.decode_header(head)
        except DamagedError as error:
            raise JournalCorruptError(path, 0, str(error)) from error
        if path.name != segment_name(header.sequence, header.first_index):
            raise JournalCorruptError(path, 0, "the header does not belong to this file name")
        if segments and header.sequence != segments[-1].header.sequence + 1:
            missing = segments[-1].header.sequence + 1
            raise JournalCorruptError(path, 0, f"segment {missing:016x} before this one is missing")
        segments.append(Segment(path, header))
    return segments


def replay(segments: Sequence[Segment], files: Files = SYSTEM_FILES) -> Replayed:
    """Read all segments, at least one, and repair the tail of the last.

    Raises JournalCorruptError for any damage but a torn tail; the files are then left untouched.
    """
    replayed = Replayed(HardState(), [], [], list(segments), codec.HEADER_BYTES, 0)
    replayed.crc = segments[0].header.chain
    for segment in segments:
        is_last = segment is segments[-1]
        if segment.header.chain != replayed.crc:
            raise JournalCorruptError(
                segment.path, 0, "the end of the segment before it is missing"
            )
        replayed.offset = _replay_segment(segment, replayed, files, is_last=is_last)
    return replayed


def _replay_segment(segment: Segment, replayed: Replayed, files: Files, *, is_last: bool) -> int:
    data = files.read(segment.path)
    offset = codec.HEADER_BYTES
    judge = _tail_judge(data, segment, files, is_last=is_last)
    for batch in whole_batches(data, segment, replayed.crc, judge):
        for record in batch.records:
            try:
                _take(record, replayed)
            except DamagedError as error:
                raise JournalCorruptError(segment.path, offset, str(error)) from error
        offset, replayed.crc = batch.end, batch.crc
    return offset


def whole_batches(
    data: bytes, segment: Segment, crc: int, on_damage: Callable[[int, DamagedError], None]
) -> Iterator[Batch]:
    """The batches of one segment up to its end; `on_damage` raises, or cuts the file there."""
    offset = codec.HEADER_BYTES
    written = len(data.rstrip(b"\0"))
    while offset < written:
        try:
            batch, previous_crc = codec.decode_batch(data, offset, sequence=segment.header.sequence)
        except DamagedError as error:
            on_damage(offset, error)
            return
        if previous_crc != crc:
            raise JournalCorruptError(segment.path, offset, "the batch before this one is missing")
        yield batch
        offset, crc = batch.end, batch.crc


def _tail_judge(
    data: bytes, segment: Segment, files: Files, *, is_last: bool
) -> Callable[[int, DamagedError], None]:
    def judge(offset: int, error: DamagedError) -> None:
        if not is_last:
            raise JournalCorruptError(segment.path, offset, f"{error}, and later segments exist")
        later = _find_batch(data, offset + 1, segment.header.sequence)
        if later is not None:
            reason = f"{error}, and valid data follows at offset {later}"
            raise JournalCorruptError(segment.path, offset, reason)
        log.warning(
            "journal %s: a write was torn at offset %d (%s); cut there, nothing synced is lost",
            segment.path,
            offset,
            error,
        )
        cut(segment.path, offset, len(data), files)

    return judge


def cut(path: Path, offset: int, size: int, files: Files = SYSTEM_FILES) -> None:
    """Zero everything from `offset`, durably, so that nothing stale is ever read as a batch."""
    file = files.open(path)
    try:
        file.truncate(offset)
        file.preallocate(max(size, offset))
        file.sync()
    finally:
        file.close()
    files.sync_directory(path.parent)


def _find_batch(data: bytes, offset: int, sequence: int) -> int | None:
    while (found := data.find(codec.BATCH_MAGIC, offset)) != -1:
        try:
            codec.decode_batch(data, found, sequence=sequence)
        except DamagedError:
            offset = found + 1
        else:
            return found
    return None


def _take(record: codec.Record, replayed: Replayed) -> None:
    match record:
        case HardState():
            if record.term < replayed.hard_state.term:
                raise DamagedError(
                    f"term goes back from {replayed.hard_state.term} to {record.term}"
                )
            replayed.hard_state = record
        case SnapshotMark():
            if record.reset:
                replayed.entries = []
            replayed.marks.append(record)
        case Entry():
            _take_entry(record, replayed)


def _take_entry(entry: Entry, replayed: Replayed) -> None:
    entries = replayed.entries
    if entries:
        # One before the first we hold replaces them all: what it followed was released with its
        # segment, under a snapshot that covers it (recovery checks that the two connect).
        position = max(0, entry.index - entries[0].index)
        if position > len(entries):
            raise DamagedError(
                f"entry {entry.index} does not follow {entries[0].index}..{entries[-1].index}"
            )
        del entries[position:]
    elif replayed.marks and replayed.marks[-1].reset:
        expected = Index(replayed.marks[-1].index + 1)
        if entry.index != expected:
            raise DamagedError(f"entry {entry.index} where {expected} must follow the snapshot")
    entries.append(entry)
