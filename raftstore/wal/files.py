"""The few file-system steps on which durability rests: the edge where a simulated disk fits in.

All of it blocks: call it from a disk worker. Failures are OSErrors.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Protocol

from raftstore.wal.lock import DataDirLock


class OpenFile(Protocol):
    """A file being read or written. Nothing is durable before `sync` or `sync_data`."""

    def write(self, data: bytes, offset: int) -> None:
        """Write all of `data` at `offset`."""

    def read(self, size: int, offset: int) -> bytes:
        """At most `size` bytes from `offset`; empty at the end."""

    def preallocate(self, size: int) -> None:
        """Let the file be `size` bytes long, zeros where nothing is written yet."""

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes."""

    def sync_data(self) -> None:
        """Make what was written durable, up to the length that is."""

    def sync(self) -> None:
        """Make contents and length durable. The name needs its directory synced."""

    def close(self) -> None:
        """Let go of the file."""


class Lock(Protocol):
    """A data directory held by one process."""

    def close(self) -> None:
        """Let go."""


class Files(Protocol):
    """A file system: names are durable once their directory is synced."""

    def make_directory(self, path: Path) -> None:
        """Make a directory for this user alone, and those above it; one that is there is fine."""

    def exists(self, path: Path) -> bool:
        """Whether something has that name."""

    def glob(self, directory: Path, pattern: str) -> list[Path]:
        """The files in a directory whose names fit, sorted."""

    def read(self, path: Path) -> bytes:
        """A whole file. FileNotFoundError if there is none."""

    def open(self, path: Path, *, create: bool = False) -> OpenFile:
        """Open a file that is there, or with `create` a new, empty one in its place."""

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, in place of whatever had it."""

    def remove(self, path: Path) -> None:
        """Remove a file. FileNotFoundError if there is none."""

    def sync_directory(self, path: Path) -> None:
        """Make creations, renames and removals in `path` durable."""

    def lock(self, path: Path) -> Lock:
        """Hold the lock file at `path`. Raises DataDirLockedError."""


class SystemFile:
    """A file of the operating system."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def write(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._handle, view, offset)
            view = view[written:]
            offset += written

    def read(self, size: int, offset: int) -> bytes:
        return os.pread(self._handle, size, offset)

    def preallocate(self, size: int) -> None:
        """Where the file system cannot reserve blocks, the file is only extended."""
        reserve = getattr(os, "posix_fallocate", None)
        if reserve is not None:
            try:
                reserve(self._handle, 0, size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                    raise
            else:
                return
        os.ftruncate(self._handle, size)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._handle, size)

    def sync_data(self) -> None:
        """fdatasync where the platform has it, else fsync."""
        getattr(os, "fdatasync", os.fsync)(self._handle)

    def sync(self) -> None:
        os.fsync(self._handle)

    def close(self) -> None:
        os.close(self._handle)


class SystemFiles:
    """The file system of the operating system."""

    def make_directory(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def glob(self, directory: Path, pattern: str) -> list[Path]:
        return sorted(directory.glob(pattern))

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def open(self, path: Path, *, create: bool = False) -> OpenFile:
        flags = os.O_RDWR | (os.O_CREAT | os.O_TRUNC if create else 0)
        return SystemFile(os.open(path, flags, 0o600))

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def remove(self, path: Path) -> None:
        path.unlink()

    def sync_directory(self, path: Path) -> None:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def lock(self, path: Path) -> Lock:
        return DataDirLock(path)


SYSTEM_FILES: Files = SystemFiles()


def write_durably(path: Path, data: bytes, files: Files = SYSTEM_FILES) -> None:
    """Replace `path` by `data`, whole or not at all, durable on return."""
    beside = path.with_name(path.name + ".tmp")
    file = files.open(beside, create=True)
    try:
        file.write(data, 0)
        file.sync()
    finally:
        file.close()
    files.rename(beside, path)
    files.sync_directory(path.parent)
