"""The few file-system steps on which durability rests. Blocking: call them from a disk worker."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make creations, renames and removals in `path` durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`."""
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view = view[written:]
        offset += written


def fdatasync(handle: int) -> None:
    """fdatasync where the platform has it, else fsync."""
    getattr(os, "fdatasync", os.fsync)(handle)


def preallocate(handle: int, size: int) -> None:
    """Reserve `size` bytes of zeros, so that later writes need no new blocks.

    Where the file system cannot reserve, the file is only extended.
    """
    reserve = getattr(os, "posix_fallocate", None)
    if reserve is not None:
        try:
            reserve(handle, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
        else:
            return
    os.ftruncate(handle, size)


def write_durably(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, whole or not at all, durable on return."""
    beside = path.with_name(path.name + ".tmp")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(handle, data, 0)
        os.fsync(handle)
    finally:
        os.close(handle)
    beside.rename(path)
    sync_directory(path.parent)
