"""The journal on a real disk: segments, torn tails at every byte, damage that is refused."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from raftstore.raft.types import Entry, EntryKind, HardState, Index, MemberId, Term
from raftstore.wal.codec import SnapshotMark
from raftstore.wal.lock import DataDirLock, DataDirLockedError
from raftstore.wal.repair import JournalCorruptError, Replayed
from raftstore.wal.segment import ForeignJournalError, Journal, open_journal
from raftstore.wal.worker import DiskWorker

CLUSTER, MEMBER = 11, 22
SEGMENT_BYTES = 4_096


def entry(index: int, term: int = 1, data: bytes = b"payload") -> Entry:
    return Entry(Term(term), Index(index), EntryKind.NORMAL, data)


def reopen(directory: Path) -> Replayed:
    return open_journal(
        directory, cluster_id=CLUSTER, member_id=MEMBER, segment_bytes=SEGMENT_BYTES
    )


class Writer:
    """A journal with its worker, for one test."""

    def __init__(self, directory: Path) -> None:
        self.worker = DiskWorker("journal")
        self.journal = Journal(
            directory, self.worker, reopen(directory), segment_bytes=SEGMENT_BYTES
        )

    async def append(
        self,
        *entries: Entry,
        hard_state: HardState | None = None,
        mark: SnapshotMark | None = None,
    ) -> None:
        done = asyncio.Event()
        self.journal.append(hard_state, entries, mark, done.set)
        await done.wait()

    async def close(self) -> None:
        await asyncio.to_thread(self.worker.close)
        self.journal.close()


async def write_batches(directory: Path, count: int) -> list[int]:
    """Write `count` batches of one entry each; returns where each begins in its file."""
    writer = Writer(directory)
    offsets = []
    for index in range(1, count + 1):
        offsets.append(writer.journal.size_bytes)
        await writer.append(entry(index), hard_state=HardState(Term(1), MemberId(9), Index(0)))
    offsets.append(writer.journal.size_bytes)
    await writer.close()
    return offsets


async def test_what_was_appended_is_replayed(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    await writer.append(entry(1), entry(2), hard_state=HardState(Term(1), MemberId(5), Index(0)))
    writer.journal.defer(HardState(Term(1), MemberId(5), Index(2)))
    await writer.append(entry(3))
    await writer.append(mark=SnapshotMark(Index(2), Term(1)))
    await writer.close()
    replayed = reopen(tmp_path)
    assert replayed.hard_state == HardState(Term(1), MemberId(5), Index(2))
    assert [found.index for found in replayed.entries] == [1, 2, 3]
    assert replayed.marks == [SnapshotMark(Index(2), Term(1))]


async def test_a_rewritten_suffix_replaces_the_old_one(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    await writer.append(*[entry(index) for index in range(1, 6)])
    await writer.append(entry(3, term=2))
    await writer.close()
    assert [(found.index, found.term) for found in reopen(tmp_path).entries] == [
        (1, 1),
        (2, 1),
        (3, 2),
    ]


async def test_a_reset_voids_the_entries_before_it(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    await writer.append(entry(1), entry(2))
    await writer.append(entry(101, term=3), mark=SnapshotMark(Index(100), Term(3), reset=True))
    await writer.close()
    assert [found.index for found in reopen(tmp_path).entries] == [101]


async def test_segments_rotate_and_old_ones_are_released(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    vote = HardState(Term(4), MemberId(7), Index(0))
    await writer.append(hard_state=vote)
    for index in range(1, 31):
        await writer.append(entry(index, term=4, data=b"x" * 700))
    assert len(writer.journal.segments) > 4
    released = writer.journal.release(15)
    assert released > 0
    await writer.append(entry(31, term=4), mark=SnapshotMark(Index(15), Term(4)))
    await writer.close()
    replayed = reopen(tmp_path)
    assert len(replayed.segments) == len(list(tmp_path.glob("*.wal")))
    assert replayed.entries[0].index <= 15
    assert replayed.entries[-1].index == 31
    assert (replayed.hard_state.term, replayed.hard_state.vote) == (4, 7)


async def test_a_batch_larger_than_a_segment_has_one_of_its_own(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    await writer.append(entry(1))
    await writer.append(entry(2, data=b"y" * (3 * SEGMENT_BYTES)))
    await writer.append(entry(3))
    await writer.close()
    assert [len(found.data) for found in reopen(tmp_path).entries] == [7, 3 * SEGMENT_BYTES, 7]


async def test_a_tail_torn_at_any_byte_is_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = tmp_path / "whole"
    offsets = await write_batches(whole, 4)
    last, end = offsets[-2], offsets[-1]
    for torn_at in range(last + 1, end - 8):
        for filler in (b"\0", b"\xaa"):
            copy = tmp_path / "copy"
            shutil.copytree(whole, copy)
            (path,) = copy.glob("*.wal")
            data = bytearray(path.read_bytes())
            data[torn_at:end] = filler * (end - torn_at)
            path.write_bytes(data)
            caplog.clear()
            replayed = reopen(copy)
            assert [found.index for found in replayed.entries] == [1, 2, 3], torn_at
            assert f"torn at offset {last}" in caplog.text
            assert not any(path.read_bytes()[last:]), "nothing stale may stay behind the cut"
            caplog.clear()
            assert [found.index for found in reopen(copy).entries] == [1, 2, 3]
            assert caplog.text == ""
            shutil.rmtree(copy)


async def test_a_file_cut_short_within_its_last_batch_is_repaired(tmp_path: Path) -> None:
    offsets = await write_batches(tmp_path, 3)
    (path,) = tmp_path.glob("*.wal")
    with path.open("r+b") as file:
        file.truncate(offsets[-2] + 5)
    assert [found.index for found in reopen(tmp_path).entries] == [1, 2]
    writer = Writer(tmp_path)
    await writer.append(entry(3, term=2))
    await writer.close()
    assert [found.term for found in reopen(tmp_path).entries] == [1, 1, 2]


async def test_damage_in_the_middle_is_refused_and_left_alone(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    offsets = await write_batches(whole, 4)
    for damaged_at in range(offsets[1], offsets[2] - 8):
        copy = tmp_path / "copy"
        shutil.copytree(whole, copy)
        (path,) = copy.glob("*.wal")
        data = bytearray(path.read_bytes())
        data[damaged_at] ^= 0xFF
        path.write_bytes(data)
        with pytest.raises(JournalCorruptError) as caught:
            reopen(copy)
        assert caught.value.path == path
        assert caught.value.offset == offsets[1]
        assert "add it again with an empty data directory" in str(caught.value)
        assert path.read_bytes() == data, "a refused journal is not altered"
        shutil.rmtree(copy)


async def test_damage_in_a_segment_that_is_not_the_last_is_refused(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    for index in range(1, 12):
        await writer.append(entry(index, data=b"z" * 900))
    await writer.close()
    first, *_ = sorted(tmp_path.glob("*.wal"))
    data = bytearray(first.read_bytes())
    end = len(data.rstrip(b"\0"))
    data[end - 3] ^= 0x01
    first.write_bytes(data)
    with pytest.raises(JournalCorruptError, match="later segments exist"):
        reopen(tmp_path)


async def test_a_lost_end_of_an_earlier_segment_is_noticed(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    begins = []
    for index in range(1, 12):
        begins.append(writer.journal.size_bytes)
        await writer.append(entry(index, data=b"z" * 900))
    in_first = writer.journal.segments[1].header.first_index - 1
    await writer.close()
    first, *_ = sorted(tmp_path.glob("*.wal"))
    data = bytearray(first.read_bytes())
    last_begin = begins[in_first - 1]
    data[last_begin:] = b"\0" * (len(data) - last_begin)
    first.write_bytes(data)
    with pytest.raises(JournalCorruptError, match="the end of the segment before it is missing"):
        reopen(tmp_path)


async def test_a_missing_segment_is_noticed(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    for index in range(1, 16):
        await writer.append(entry(index, data=b"z" * 900))
    await writer.close()
    segments = sorted(tmp_path.glob("*.wal"))
    assert len(segments) > 3
    segments[1].unlink()
    with pytest.raises(JournalCorruptError, match="is missing"):
        reopen(tmp_path)


async def test_a_half_made_segment_is_removed(tmp_path: Path) -> None:
    await write_batches(tmp_path, 2)
    leftover = tmp_path / "0000000000000002-0000000000000003.wal.tmp"
    leftover.write_bytes(b"half")
    assert len(reopen(tmp_path).entries) == 2
    assert not leftover.exists()


async def test_an_empty_last_segment_does_not_lose_the_vote(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    await writer.append(hard_state=HardState(Term(6), MemberId(3), Index(0)))
    await writer.close()
    writer = Writer(tmp_path)
    for index in range(1, 12):
        await writer.append(entry(index, term=6, data=b"z" * 900))
    last = writer.journal.segments[-1].header.first_index
    writer.journal.release(last)
    await writer.close()
    assert len(list(tmp_path.glob("*.wal"))) == 1
    assert reopen(tmp_path).hard_state == HardState(Term(6), MemberId(3), Index(0))


async def test_the_journal_of_another_member_is_refused(tmp_path: Path) -> None:
    await write_batches(tmp_path, 1)
    with pytest.raises(ForeignJournalError, match="check --data-dir"):
        open_journal(tmp_path, cluster_id=CLUSTER, member_id=MEMBER + 1, segment_bytes=4_096)


async def test_a_failed_disk_is_reported_and_nothing_runs_after_it() -> None:
    failures: list[BaseException] = []
    worker = DiskWorker("disk", on_fatal=failures.append)
    ran: list[str] = []

    def fail() -> None:
        raise OSError(5, "Input/output error")

    worker.submit(fail, lambda: ran.append("answered"))
    worker.submit(lambda: ran.append("wrote"), lambda: ran.append("answered"))
    await asyncio.to_thread(worker.close)
    assert [str(failure) for failure in failures] == ["[Errno 5] Input/output error"]
    assert ran == []


def test_a_data_dir_has_one_process(tmp_path: Path) -> None:
    lock = DataDirLock(tmp_path / "lock")
    with pytest.raises(DataDirLockedError, match="in use by another member process"):
        DataDirLock(tmp_path / "lock")
    lock.close()
    DataDirLock(tmp_path / "lock").close()
