"""A disk that forgets what was not synced, and the worker that stands for a disk thread.

Per file: what is written, and how to undo it back to the last sync. Per disk: which names changed
since their directory was synced. A power failure keeps any part of what was not synced: whole
writes, none, or some sectors of one (POSIX promises nothing else); names in the order they changed.
A killed process loses nothing of what it wrote, but what it had not synced stays unsynced.
"""

from __future__ import annotations

import errno
import fnmatch
from collections import deque
from collections.abc import Callable
from pathlib import Path
from random import Random

from chaos.sim.clock import SimLoop
from raftstore.wal.files import Lock, OpenFile
from raftstore.wal.worker import Fatal, Worker

SECTOR_BYTES = 512


class SimCrash(BaseException):
    """The process of whoever touched the disk has ended."""


class Inode:
    """The contents of one file. `undo` leads from the newest state back to the synced one."""

    __slots__ = ("data", "undo")

    def __init__(self) -> None:
        self.data = bytearray()
        self.undo: list[tuple[int, bytes, bytes, int]] = []
        """(offset, bytes before, bytes after, length before) of each unsynced change."""

    def write(self, data: bytes, offset: int) -> None:
        length = len(self.data)
        end = offset + len(data)
        if end > length:
            self.data.extend(bytes(end - length))
        self.undo.append((offset, bytes(self.data[offset:end]), bytes(data), length))
        self.data[offset:end] = data

    def resize(self, size: int) -> None:
        length = len(self.data)
        if size == length:
            return
        before = bytes(self.data[size:])
        self.undo.append((size, before, b"", length))
        if size > length:
            self.data.extend(bytes(size - length))
        else:
            del self.data[size:]

    def lose_power(self, random: Random) -> int:
        """Keep of the unsynced changes what chance will. Returns how many were lost or torn."""
        changes = self.undo
        if not changes:
            return 0
        sizes = [*(change[3] for change in changes[1:]), len(self.data)]
        for offset, before, after, length in reversed(changes):
            if after:
                self.data[offset : offset + len(before)] = before
                del self.data[length:]
            elif before:
                self.data.extend(before)
            else:
                del self.data[length:]
        harmed = 0
        fate = random.random()
        for (offset, _, after, _), size in zip(changes, sizes, strict=True):
            draw = random.random()
            kept = fate < 0.3 or (fate < 0.7 and draw < 0.5)
            if not kept and not (after and fate >= 0.85):
                harmed += 1
                continue
            if not after:
                self._extend_or_cut(size)
            elif kept:
                self._put(offset, after)
            else:
                harmed += 1
                for begin in range(0, len(after), SECTOR_BYTES):
                    if random.random() < 0.5:
                        self._put(offset + begin, after[begin : begin + SECTOR_BYTES])
        self.undo = []
        return harmed

    def _extend_or_cut(self, size: int) -> None:
        if size > len(self.data):
            self.data.extend(bytes(size - len(self.data)))
        else:
            del self.data[size:]

    def _put(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        if end > len(self.data):
            self.data.extend(bytes(end - len(self.data)))
        self.data[offset:end] = data


class SimDisk:
    """One member's disk; outlives its processes."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.names: dict[Path, Inode] = {}
        self._durable: dict[Path, Inode] = {}
        self._changes: list[tuple[Path, Inode | None]] = []
        self.fuse: int | None = None
        """After so many more changes the process dies."""
        self.sync_fails = 0.0
        """Chance that a sync fails."""
        self.counts = {"synced": 0, "lost": 0, "names lost": 0}

    def change(self, path: Path, inode: Inode | None) -> None:
        """Name a file, or remove its name; durable once the directory is synced."""
        self._changes.append((path, inode))
        if inode is None:
            del self.names[path]
        else:
            self.names[path] = inode

    def sync_directory(self, directory: Path) -> None:
        waiting = []
        for path, inode in self._changes:
            if path.parent == directory:
                self._make_durable(path, inode)
            else:
                waiting.append((path, inode))
        self._changes = waiting

    def _make_durable(self, path: Path, inode: Inode | None) -> None:
        if inode is None:
            self._durable.pop(path, None)
        else:
            self._durable[path] = inode

    def lose_power(self) -> None:
        """Forget what was not synced, or some of it."""
        kept = self._random.randrange(len(self._changes) + 1)
        for path, inode in self._changes[:kept]:
            self._make_durable(path, inode)
        self.counts["names lost"] += len(self._changes) - kept
        self._changes = []
        self.names = dict(self._durable)
        for inode in dict.fromkeys(self.names.values()):
            self.counts["lost"] += inode.lose_power(self._random)


class SimFile:
    """An open file of one process."""

    def __init__(self, files: SimFiles, inode: Inode) -> None:
        self._files = files
        self._inode = inode

    def write(self, data: bytes, offset: int) -> None:
        self._files.about_to_change()
        self._inode.write(data, offset)

    def read(self, size: int, offset: int) -> bytes:
        self._files.check_alive()
        return bytes(self._inode.data[offset : offset + size])

    def preallocate(self, size: int) -> None:
        self._files.about_to_change()
        if size > len(self._inode.data):
            self._inode.resize(size)

    def truncate(self, size: int) -> None:
        self._files.about_to_change()
        self._inode.resize(size)

    def sync_data(self) -> None:
        self._files.sync(self._inode)

    def sync(self) -> None:
        self._files.sync(self._inode)

    def close(self) -> None:
        pass


class SimLock:
    """Processes of one member never overlap here, so there is nothing to hold."""

    def close(self) -> None:
        pass


class SimFiles:
    """The disk as one process sees it; refuses everything once the process is dead."""

    def __init__(
        self, disk: SimDisk, loop: SimLoop, random: Random, die: Callable[[], None]
    ) -> None:
        self._disk = disk
        self._loop = loop
        self._random = random
        self._die = die

    def check_alive(self) -> None:
        if self._loop.dead:
            raise SimCrash

    def about_to_change(self) -> None:
        """Each step that changes the disk is one before which the process may die."""
        self.check_alive()
        if self._disk.fuse is not None:
            self._disk.fuse -= 1
            if self._disk.fuse < 0:
                self._disk.fuse = None
                self._die()
                raise SimCrash

    def sync(self, inode: Inode) -> None:
        self.about_to_change()
        if self._disk.sync_fails and self._random.random() < self._disk.sync_fails:
            raise OSError(errno.EIO, "simulated: the disk failed to sync")
        self._disk.counts["synced"] += 1
        inode.undo.clear()

    def make_directory(self, path: Path) -> None:
        self.check_alive()

    def exists(self, path: Path) -> bool:
        self.check_alive()
        return path in self._disk.names

    def glob(self, directory: Path, pattern: str) -> list[Path]:
        self.check_alive()
        return sorted(
            path
            for path in self._disk.names
            if path.parent == directory and fnmatch.fnmatchcase(path.name, pattern)
        )

    def read(self, path: Path) -> bytes:
        self.check_alive()
        return bytes(self._inode(path).data)

    def open(self, path: Path, *, create: bool = False) -> OpenFile:
        if create:
            self.about_to_change()
            self._disk.change(path, Inode())
        self.check_alive()
        return SimFile(self, self._inode(path))

    def rename(self, source: Path, target: Path) -> None:
        self.about_to_change()
        inode = self._inode(source)
        self._disk.change(target, inode)
        self._disk.change(source, None)

    def remove(self, path: Path) -> None:
        self.about_to_change()
        self._inode(path)
        self._disk.change(path, None)

    def sync_directory(self, path: Path) -> None:
        self.about_to_change()
        self._disk.sync_directory(path)

    def lock(self, path: Path) -> Lock:
        self.check_alive()
        return SimLock()

    def _inode(self, path: Path) -> Inode:
        inode = self._disk.names.get(path)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "simulated: no such file", str(path))
        return inode


class SimWorker(Worker):
    """A disk thread: one job after the other, each taking a while of virtual time."""

    def __init__(
        self,
        loop: SimLoop,
        on_fatal: Fatal,
        duration: Callable[[], float],
    ) -> None:
        super().__init__()
        self._process = loop
        self._on_fatal = on_fatal
        self._duration = duration
        self._queue: deque[tuple[Callable[[], None], Callable[[], None]]] = deque()
        self._busy = False

    def submit(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        if self._process.dead:
            raise SimCrash
        self._queue.append((job, done))
        if not self._busy:
            self._next()

    def _next(self) -> None:
        self._busy = True
        self._process.after(self._duration(), self._run)

    def _run(self) -> None:
        job, done = self._queue.popleft()
        try:
            job()
        except SimCrash:
            return
        except BaseException as error:  # noqa: BLE001 - as the real worker: whatever it was
            self._on_fatal(error)
            return
        # The thread reports to the loop, which may be busy: the two moments are not one.
        self._process.after(self._duration() / 10, done)
        if self._queue:
            self._next()
        else:
            self._busy = False

    def interrupted(self) -> Callable[[], None] | None:
        """The job under way, of which a crash may still let some steps happen."""
        return self._queue[0][0] if self._queue else None

    def close(self) -> None:
        while self._queue:
            job, _ = self._queue.popleft()
            job()
