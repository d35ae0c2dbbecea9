"""What a disk may hold after the power fails: every file step is recorded, then replayed in part.

A write that no sync of its file followed may be there, in part, or not at all, and in any order
with others; names change in order within their directory, up to some point behind the last sync of
it (as journaling file systems do). Nothing here needs root: the files are real ones.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from raftstore.wal.files import OpenFile, SystemFiles

SECTOR_BYTES = 512


@dataclass(slots=True)
class Contents:
    """One file: what is durable, and what was done to it since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes]] = field(default_factory=list)
    """Writes by offset; a negative offset is a size to cut or extend to, in the data's length."""

    def sync(self) -> None:
        for offset, data in self.pending:
            _put(self.durable, offset, data)
        self.pending.clear()

    def after_crash(self, chance: random.Random) -> bytes:
        """What may be found: each sector of each unsynced write for itself."""
        found = bytearray(self.durable)
        share = chance.choice((0.0, 0.5, 0.9, 1.0))
        for offset, data in self.pending:
            for begin in range(0, len(data), SECTOR_BYTES):
                if chance.random() < share:
                    _put(found, offset + begin, data[begin : begin + SECTOR_BYTES])
        return bytes(found)


def _put(target: bytearray, offset: int, data: bytes) -> None:
    if len(target) < offset + len(data):
        target.extend(bytes(offset + len(data) - len(target)))
    target[offset : offset + len(data)] = data


Step = Callable[["Disk"], None]


class Disk:
    """The state of a disk at one step of a recording."""

    def __init__(self) -> None:
        self.contents: dict[int, Contents] = {}
        self.names: dict[Path, int] = {}
        self._pending: dict[Path, list[tuple[Path, int | None]]] = {}
        self.acknowledged: list[bytes] = []

    def change_name(self, path: Path, number: int | None) -> None:
        """A name appears (for file `number`) or goes (None), not durably yet."""
        self._pending.setdefault(path.parent, []).append((path, number))

    def sync_names(self, directory: Path) -> None:
        for path, number in self._pending.pop(directory, []):
            _rename(self.names, path, number)

    def after_crash(self, chance: random.Random) -> dict[Path, bytes]:
        """One legal state of all files."""
        names = dict(self.names)
        for changes in self._pending.values():
            for path, number in changes[: chance.randint(0, len(changes))]:
                _rename(names, path, number)
        return {path: self.contents[n].after_crash(chance) for path, n in sorted(names.items())}


def _rename(names: dict[Path, int], path: Path, number: int | None) -> None:
    if number is None:
        names.pop(path, None)
    else:
        names[path] = number


class Recorder:
    """Every step of one run, in order, from any thread."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._lock = threading.Lock()
        self._numbers: dict[Path, int] = {}
        self._count = 0

    def add(self, step: Step) -> None:
        with self._lock:
            self.steps.append(step)

    def acknowledge(self, key: bytes) -> None:
        """A caller was told that this key is safe."""
        self.add(lambda disk: disk.acknowledged.append(key))

    def create(self, path: Path) -> int:
        with self._lock:
            self._count += 1
            number = self._numbers[path] = self._count

        def step(disk: Disk) -> None:
            disk.contents[number] = Contents()
            disk.change_name(path, number)

        self.add(step)
        return number

    def number_of(self, path: Path) -> int:
        return self._numbers[path]

    def rename(self, source: Path, target: Path) -> None:
        number = self._numbers[target] = self._numbers.pop(source)

        def step(disk: Disk) -> None:
            disk.change_name(target, number)
            disk.change_name(source, None)

        self.add(step)

    def remove(self, path: Path) -> None:
        self._numbers.pop(path)
        self.add(lambda disk: disk.change_name(path, None))


class RecordingFile:
    """A real file whose steps are recorded."""

    def __init__(self, real: OpenFile, number: int, recorder: Recorder) -> None:
        self._real = real
        self._number = number
        self._recorder = recorder

    def write(self, data: bytes, offset: int) -> None:
        self._pend(offset, data)
        self._real.write(data, offset)

    def read(self, size: int, offset: int) -> bytes:
        return self._real.read(size, offset)

    def preallocate(self, size: int) -> None:
        self._real.preallocate(size)
        self._pend(size, b"")

    def truncate(self, size: int) -> None:
        raise AssertionError("only recovery truncates, and this run begins with no files")

    def sync_data(self) -> None:
        self._real.sync_data()
        self._synced()

    def sync(self) -> None:
        self._real.sync()
        self._synced()

    def close(self) -> None:
        self._real.close()

    def _pend(self, offset: int, data: bytes) -> None:
        copied, number = bytes(data), self._number
        self._recorder.add(lambda disk: disk.contents[number].pending.append((offset, copied)))

    def _synced(self) -> None:
        number = self._number
        self._recorder.add(lambda disk: disk.contents[number].sync())


class RecordingFiles(SystemFiles):
    """The file system of the operating system, with every step recorded."""

    file_type: type[RecordingFile] = RecordingFile

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def open(self, path: Path, *, create: bool = False) -> OpenFile:
        number = self.recorder.create(path) if create else self.recorder.number_of(path)
        return self.file_type(super().open(path, create=create), number, self.recorder)

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.recorder.rename(source, target)

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.recorder.remove(path)

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        self.recorder.add(lambda disk: disk.sync_names(path))


class _ForgetfulFile(RecordingFile):
    def sync_data(self) -> None:
        """Nothing at all."""


class ForgetfulFiles(RecordingFiles):
    """As a release that forgets to sync: only to see that the test would notice."""

    file_type = _ForgetfulFile


def write_out(files: dict[Path, bytes], source: Path, target: Path) -> None:
    """Put the files of a crashed disk, recorded under `source`, under `target`."""
    for path, data in files.items():
        where = target / path.relative_to(source)
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(data)
