"""One process per data directory: an advisory lock that the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class DataDirLockedError(Exception):
    """Another process uses this data directory."""


class DataDirLock:
    """Held from construction to `close`. Raises DataDirLockedError if somebody else holds it."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._handle, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._handle)
            raise DataDirLockedError(
                f"data directory {path.parent} is in use by another member process (pid {holder}); "
                "stop it, or give this member its own --data-dir"
            ) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let go of the lock. The file stays, so that its holder is always the same inode."""
        os.close(self._handle)
