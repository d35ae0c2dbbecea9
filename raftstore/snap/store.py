"""The snapshot files of one member: written beside and renamed, checked before use.

Owns the `snap` directory. Everything that touches a file runs in the snapshot worker, never on the
loop, and never in the journal's thread: a snapshot must not delay a write.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from raftstore.raft.types import Index, SnapshotMeta, Term
from raftstore.snap.codec import (
    SnapshotDamagedError,
    SnapshotDecoder,
    SnapshotEncoder,
    SnapshotHead,
)
from raftstore.wal.files import SYSTEM_FILES, Files, OpenFile
from raftstore.wal.reserve import NO_SPACE, DiskFullError
from raftstore.wal.worker import Worker

log = logging.getLogger(__name__)

READ_BYTES = 256 * 1024
SYNC_EVERY_BYTES = 1 << 20
"""Sync as we go: one large sync at the end would stall everybody else's on the same disk."""


class SnapshotStore:
    """Finds, reads, writes and removes snapshot files."""

    def __init__(
        self, directory: Path, *, chunk_bytes_max: int, files: Files = SYSTEM_FILES
    ) -> None:
        self._directory = directory
        self._files = files
        self._chunk_bytes_max = chunk_bytes_max
        self._received = 0
        self._disk_full = False
        files.make_directory(directory)
        for leftover in files.glob(directory, "*.tmp"):
            files.remove(leftover)

    def path(self, index: int, term: int) -> Path:
        """Where the snapshot at this point of the log lives."""
        return self._directory / f"{term:016x}-{index:016x}.snap"

    def read(self, index: int, term: int) -> tuple[SnapshotHead, list[bytes]]:
        """Read and check a whole snapshot. Blocking.

        Raises SnapshotGoneError, or SnapshotDamagedError.
        """
        path = self.path(index, term)
        chunks: list[bytes] = []
        decoder = SnapshotDecoder(chunk_bytes_max=self._chunk_bytes_max)
        reader = SnapshotReader(path, self._files)
        try:
            while data := reader.read():
                chunks += decoder.feed(data)
        finally:
            reader.close()
        head = _finished_head(decoder)
        if (head.index, head.term) != (index, term):
            raise SnapshotDamagedError(f"{path.name} holds a snapshot of index {head.index}")
        return head, chunks

    def begin_send(self, meta: SnapshotMeta) -> SnapshotReader:
        """The file of this snapshot, to be sent as it is."""
        return SnapshotReader(self.path(meta.index, meta.term), self._files)

    async def save(self, head: SnapshotHead, chunks: Iterator[bytes], worker: Worker) -> int:
        """Write a snapshot, one chunk per turn of the loop, durable on return. Returns its bytes.

        `chunks` is advanced on the loop, between other work; the writes happen in `worker`, and
        rest for as long as they took: at least half of the disk stays with the journal.
        """
        clock = asyncio.get_running_loop().time
        encoder = SnapshotEncoder()
        writer = self._writer(f"own-{head.index:016x}.tmp")
        try:
            await worker.run(lambda: writer.write(encoder.head(head)))
            for chunk in chunks:
                for begin in range(0, len(chunk), self._chunk_bytes_max):
                    piece = chunk[begin : begin + self._chunk_bytes_max]
                    more = begin + len(piece) < len(chunk)
                    encoded = encoder.chunk(piece, continued=more)
                    began_at = clock()
                    await worker.run(functools.partial(writer.write, encoded))
                    await asyncio.sleep(clock() - began_at)
            await worker.run(lambda: writer.write(encoder.tail()))
            await worker.run(lambda: writer.publish(self.path(head.index, head.term)))
        finally:
            await worker.run(writer.abandon)
        return writer.size

    def begin_receive(self) -> SnapshotReceiver:
        """A snapshot that comes in pieces from a peer."""
        self._received += 1
        writer = self._writer(f"received-{self._received}.tmp")
        return SnapshotReceiver(
            self, writer, SnapshotDecoder(chunk_bytes_max=self._chunk_bytes_max)
        )

    def _writer(self, name: str) -> SnapshotWriter:
        def on_full() -> None:
            self._disk_full = True

        return SnapshotWriter(self._directory / name, self._files, on_full)

    def take_disk_full(self) -> bool:
        """Whether a snapshot found no room since this was last asked."""
        was_full, self._disk_full = self._disk_full, False
        return was_full

    def remove_except(self, keep: set[tuple[Index, Term]]) -> None:
        """Remove every snapshot but those named. Blocking."""
        names = {self.path(index, term).name for index, term in keep}
        for path in self._files.glob(self._directory, "*.snap"):
            if path.name not in names:
                self._files.remove(path)


class SnapshotGoneError(Exception):
    """The snapshot was removed, because a newer one took its place."""


class SnapshotReader:
    """A snapshot's bytes in pieces. Methods block; the first read opens the file."""

    def __init__(self, path: Path, files: Files = SYSTEM_FILES) -> None:
        self._path = path
        self._files = files
        self._file: OpenFile | None = None
        self._offset = 0

    def read(self) -> bytes:
        """The next piece, empty at the end. Raises SnapshotGoneError."""
        if self._file is None:
            try:
                self._file = self._files.open(self._path)
            except FileNotFoundError:
                raise SnapshotGoneError(f"{self._path.name} gave way to a newer one") from None
        data = self._file.read(READ_BYTES, self._offset)
        self._offset += len(data)
        return data

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


class SnapshotWriter:
    """One file being written beside the others: no snapshot until published.

    All methods block; they run in the snapshot worker. The first write opens the file.
    """

    def __init__(self, path: Path, files: Files, on_full: Callable[[], None]) -> None:
        self._path = path
        self._files = files
        self._on_full = on_full
        self._file: OpenFile | None = None
        self._unsynced = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add to the file. Raises DiskFullError; then only `abandon` may follow."""
        with self._room():
            if self._file is None:
                self._file = self._files.open(self._path, create=True)
            self._file.write(data, self.size)
            self.size += len(data)
            self._unsynced += len(data)
            if self._unsynced >= SYNC_EVERY_BYTES:
                self._file.sync_data()
                self._unsynced = 0

    def publish(self, path: Path) -> None:
        """Give the file its name, durably. Raises DiskFullError, as `write`."""
        assert self._file is not None
        with self._room():
            self._file.sync()
        self._file.close()
        self._file = None
        self._files.rename(self._path, path)
        self._files.sync_directory(path.parent)

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        """Nothing relies on this file yet, so that a full disk, even at a sync, does no harm."""
        try:
            yield
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self._on_full()
            raise DiskFullError(f"no room for {self._path.name}: {error.strerror}") from error

    def abandon(self) -> None:
        """Remove the file unless it was published."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._files.remove(self._path)


class SnapshotReceiver:
    """Checks a snapshot while it comes in, and publishes it only when whole. Blocking."""

    def __init__(
        self, store: SnapshotStore, writer: SnapshotWriter, decoder: SnapshotDecoder
    ) -> None:
        self._store = store
        self._writer = writer
        self._decoder = decoder

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises SnapshotDamagedError as soon as something is wrong."""
        self._decoder.feed(data)
        self._writer.write(data)

    def finish(self, expected: SnapshotMeta) -> SnapshotHead:
        """Publish the snapshot, durable on return. Raises SnapshotDamagedError unless whole."""
        head = _finished_head(self._decoder)
        if (head.index, head.term) != (expected.index, expected.term):
            raise SnapshotDamagedError(f"expected index {expected.index}, received {head.index}")
        self._writer.publish(self._store.path(head.index, head.term))
        return head

    def abandon(self) -> None:
        """Forget what came in, unless it was published."""
        self._writer.abandon()


def _finished_head(decoder: SnapshotDecoder) -> SnapshotHead:
    if decoder.head is None or not decoder.complete:
        raise SnapshotDamagedError("the snapshot ends before its tail")
    return decoder.head
