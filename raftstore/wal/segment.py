"""The journal: append batches, one fdatasync each, in preallocated segments.

Owns the files of one `wal` directory. Appends are submitted in order to the disk worker, which
alone touches the open file; this object only plans (where, with which checksum). At most one batch
may be unsynced at a time: `repair` rests on that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from raftstore.raft.types import Entry, HardState
from raftstore.wal import codec
from raftstore.wal.codec import FileHeader, Record, SnapshotMark
from raftstore.wal.files import SYSTEM_FILES, Files, OpenFile
from raftstore.wal.repair import Replayed, Segment, find_segments, replay, segment_name
from raftstore.wal.reserve import NO_SPACE, Reserve
from raftstore.wal.worker import Worker

log = logging.getLogger(__name__)

ROOM_RETRY_S = 0.2
"""How often a journal that has no room at all tries again."""


class Journal:
    """An open journal. `append` and `release` belong to the loop, file work to the worker."""

    def __init__(
        self,
        directory: Path,
        worker: Worker,
        replayed: Replayed,
        *,
        segment_bytes: int,
        files: Files = SYSTEM_FILES,
    ) -> None:
        """Go on behind what `open_journal` replayed. Nothing is written yet."""
        self._directory = directory
        self._worker = worker
        self._files = files
        self._segment_bytes = segment_bytes
        self._segments = replayed.segments
        self._offset = replayed.offset
        self._crc = replayed.crc
        self._hard_state = replayed.hard_state
        self._last_index = replayed.entries[-1].index if replayed.entries else 0
        # The first batch repeats the hard state: a crash may have left the last segment empty.
        self._deferred: HardState | None = replayed.hard_state
        self._in_flight = False
        self._file = files.open(self._segments[-1].path)
        self._reserve = Reserve(directory / "reserve", segment_bytes, files)
        self._reserve.keep()
        self._keeping = self._was_short = False
        self._closing = threading.Event()
        self.on_short_of_room: Callable[[], None] = lambda: None
        """Called on the loop when there is no room for a reserve any more."""
        self.appended_bytes = 0
        """Bytes appended since this object was made; snapshots are triggered by its growth."""

    @property
    def size_bytes(self) -> int:
        """Bytes of the segments in use, counting the last only as far as it is written."""
        return (len(self._segments) - 1) * self._segment_bytes + self._offset

    @property
    def segments(self) -> Sequence[Segment]:
        """The segments in use, oldest first."""
        return self._segments

    def defer(self, hard_state: HardState) -> None:
        """Remember a commit index to be written with the next batch; losing it does no harm."""
        self._deferred = hard_state

    def append(
        self,
        hard_state: HardState | None,
        entries: Sequence[Entry],
        mark: SnapshotMark | None,
        done: Callable[[], None],
    ) -> None:
        """Write one batch and sync it, then call `done` on the loop. One batch at a time.

        The mark, if it is a reset, comes before the entries, which follow the new snapshot.
        A write or sync that fails ends the process.
        """
        assert not self._in_flight, "a batch is still unsynced"
        self._in_flight = True
        self._hard_state = hard_state or self._deferred or self._hard_state
        records: list[Record] = []
        if hard_state is not None or self._deferred is not None:
            records.append(self._hard_state)
        self._deferred = None
        if mark is not None:
            records.append(mark)
            if mark.reset:
                self._last_index = mark.index
        records.extend(entries)
        first_index = entries[0].index if entries else self._last_index + 1
        if entries:
            self._last_index = entries[-1].index
        self._submit(records, first_index, done)

    def _submit(self, records: list[Record], first_index: int, done: Callable[[], None]) -> None:
        created: tuple[Segment, bytes, int] | None = None
        sequence = self._segments[-1].header.sequence
        data, crc = codec.encode_batch(
            records, previous_crc=self._crc, sequence=sequence, offset=self._offset
        )
        if self._offset + len(data) > self._segment_bytes and self._offset > codec.HEADER_BYTES:
            # A segment must say by itself where term and vote stand: older ones may be released.
            if not any(isinstance(record, HardState) for record in records):
                records.insert(0, self._hard_state)
            header = FileHeader(
                sequence=sequence + 1,
                cluster_id=self._segments[-1].header.cluster_id,
                member_id=self._segments[-1].header.member_id,
                first_index=first_index,
                chain=self._crc,
            )
            self._offset = codec.HEADER_BYTES
            data, crc = codec.encode_batch(
                records, previous_crc=self._crc, sequence=sequence + 1, offset=self._offset
            )
            path = self._directory / segment_name(sequence + 1, first_index)
            size = max(self._segment_bytes, codec.HEADER_BYTES + len(data))
            created = Segment(path, header), codec.encode_header(header), size
            self._segments.append(created[0])
        offset = self._offset
        self._offset += len(data)
        self._crc = crc
        self.appended_bytes += len(data)

        def write() -> None:
            if created is not None:
                segment, header_bytes, size = created
                self._file.close()
                self._file = self._create(segment.path, header_bytes, size)
            self._file.write(data, offset)
            self._file.sync_data()

        def finished() -> None:
            self._in_flight = False
            self._tell_of_room()
            done()

        self._worker.submit(write, finished)

    def _create(self, path: Path, header: bytes, size: int) -> OpenFile:
        """A new segment; when it does not fit, in place of the reserve, or once there is room.

        Until then nothing is written, and nothing that this member promised is lost.
        """
        while True:
            try:
                return create_segment(path, header, size, self._files)
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                if self._reserve.held:
                    log.warning("the disk is full: the journal goes on in its reserve")
                    self._reserve.give_up()
                elif self._closing.wait(ROOM_RETRY_S):
                    raise

    @property
    def short_of_room(self) -> bool:
        """Whether there was no room for one more segment when last looked."""
        return self._reserve.short

    def keep_reserve(self) -> None:
        """Look whether there is room for one more segment, and keep it."""
        if self._keeping:
            return
        self._keeping = True

        def looked() -> None:
            self._keeping = False
            self._tell_of_room()

        self._worker.submit(self._reserve.keep, looked)

    def _tell_of_room(self) -> None:
        was_short, self._was_short = self._was_short, self._reserve.short
        if self._was_short and not was_short:
            self.on_short_of_room()

    def release(self, index: int) -> int:
        """Remove segments that hold only entries before `index`. Returns how many go.

        `index` is that of the oldest snapshot still needed; its own entry stays, and with it the
        mark that makes the snapshot usable.
        """
        keep_from = 0
        for position in range(1, len(self._segments)):
            if self._segments[position].header.first_index <= index:
                keep_from = position
        released = self._segments[:keep_from]
        if not released:
            return 0
        self._segments = self._segments[keep_from:]

        def remove() -> None:
            for segment in released:
                self._files.remove(segment.path)
                self._files.sync_directory(self._directory)

        self._worker.submit(remove, lambda: None)
        return len(released)

    def stop_waiting(self) -> None:
        """Wait no longer for room on a full disk: the member stops."""
        self._closing.set()

    def close(self) -> None:
        """Close the file. The worker must have ended; whatever was appended is synced."""
        self._file.close()


def create_segment(path: Path, header: bytes, size: int, files: Files) -> OpenFile:
    """Make a segment of `size` zeros behind its header, durable, and open it."""
    beside = path.with_name(path.name + ".tmp")
    file = files.open(beside, create=True)
    try:
        file.preallocate(size)
        file.write(header, 0)
    except OSError:
        file.close()
        files.remove(beside)
        raise
    file.sync()
    files.rename(beside, path)
    files.sync_directory(path.parent)
    return file


def open_journal(
    directory: Path,
    *,
    cluster_id: int,
    member_id: int,
    segment_bytes: int,
    files: Files = SYSTEM_FILES,
) -> Replayed:
    """Read (and where a write was torn, repair) the journal in `directory`, or make a new one.

    All that is returned is durable: a process that was killed may have left its last batch
    unsynced, and what is read here is acknowledged without another sync. Raises
    JournalCorruptError, or ForeignJournalError if the files belong to another member.
    """
    files.make_directory(directory)
    segments = find_segments(directory, files)
    for segment in segments:
        header = segment.header
        if (header.cluster_id, header.member_id) != (cluster_id, member_id):
            raise ForeignJournalError(segment.path, header, cluster_id, member_id)
    if not segments:
        header = FileHeader(
            sequence=1, cluster_id=cluster_id, member_id=member_id, first_index=1, chain=0
        )
        path = directory / segment_name(1, 1)
        create_segment(path, codec.encode_header(header), segment_bytes, files).close()
        segments = [Segment(path, header)]
    replayed = replay(segments, files)
    last = files.open(segments[-1].path)
    last.sync()
    last.close()
    files.sync_directory(directory)
    return replayed


class ForeignJournalError(Exception):
    """The journal belongs to another cluster or member."""

    def __init__(self, path: Path, header: FileHeader, cluster_id: int, member_id: int) -> None:
        super().__init__(
            f"{path} belongs to member {header.member_id:016x} of cluster "
            f"{header.cluster_id:016x}, not to member {member_id:016x} of cluster "
            f"{cluster_id:016x}; "
            "check --data-dir, --initial-cluster and --initial-cluster-token"
        )
