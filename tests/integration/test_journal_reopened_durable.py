"""What a journal gives back is acknowledged without another sync, so opening it must sync it.

A process that is killed between write and sync leaves a batch that only the page cache holds.
"""

from __future__ import annotations

from pathlib import Path

from raftstore.wal.files import OpenFile, SystemFiles
from raftstore.wal.segment import open_journal


class NotingFile:
    """A real file that notes when it is synced."""

    def __init__(self, file: OpenFile, path: Path, synced: list[Path]) -> None:
        self._file = file
        self._path = path
        self._synced = synced

    def write(self, data: bytes, offset: int) -> None:
        self._file.write(data, offset)

    def read(self, size: int, offset: int) -> bytes:
        return self._file.read(size, offset)

    def preallocate(self, size: int) -> None:
        self._file.preallocate(size)

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def sync_data(self) -> None:
        self._file.sync_data()
        self._synced.append(self._path)

    def sync(self) -> None:
        self._file.sync()
        self._synced.append(self._path)

    def close(self) -> None:
        self._file.close()


class NotingFiles(SystemFiles):
    """The real file system, and what of it was synced, in order."""

    def __init__(self) -> None:
        self.synced: list[Path] = []

    def open(self, path: Path, *, create: bool = False) -> OpenFile:
        return NotingFile(super().open(path, create=create), path, self.synced)

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        self.synced.append(path)


def test_opening_a_journal_syncs_its_last_segment_and_its_directory(tmp_path: Path) -> None:
    open_journal(tmp_path, cluster_id=1, member_id=2, segment_bytes=4_096)
    files = NotingFiles()
    replayed = open_journal(tmp_path, cluster_id=1, member_id=2, segment_bytes=4_096, files=files)
    assert files.synced == [replayed.segments[-1].path, tmp_path]
