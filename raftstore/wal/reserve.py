"""Room kept aside on the disk, so that a full one is noticed while the journal can still go on.

Owns one file beside the journal, as large as a segment. When a new segment no longer fits, the file
makes way for it: that is what the NOSPACE alarm, deletes and compactions are written to.
"""

from __future__ import annotations

import errno
from pathlib import Path

from raftstore.wal.files import Files

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class DiskFullError(Exception):
    """Nothing more fits on the disk. What was being written is gone; nothing else is touched."""


class Reserve:
    """The file. All methods block; they run in the journal's worker."""

    def __init__(self, path: Path, size: int, files: Files) -> None:
        self._path = path
        self._size = size
        self._files = files
        self.held = files.exists(path)
        self.short = False
        """Whether there was no room for it when last needed."""

    def keep(self) -> None:
        """Have the file if there is room for it; `held` says whether."""
        if self.held:
            return
        file = self._files.open(self._path, create=True)
        try:
            file.preallocate(self._size)
            self.held = True
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
        finally:
            file.close()
            self.short = not self.held
            if not self.held:
                self._files.remove(self._path)

    def give_up(self) -> None:
        """Make room."""
        if self.held:
            self._files.remove(self._path)
            self.held, self.short = False, True
