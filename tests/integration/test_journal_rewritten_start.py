"""A journal whose oldest kept segment begins with entries that were overwritten from further back.

A leader that is cut off fills segments with entries that never commit; when it follows again, the
entries that replace them begin in an earlier segment, which snapshots then let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from raftstore.raft.types import Entry, EntryKind, Index, Term
from raftstore.wal.codec import SnapshotMark
from raftstore.wal.repair import JournalCorruptError, Replayed
from raftstore.wal.segment import Journal, open_journal
from raftstore.wal.worker import DiskWorker

SEGMENT_BYTES = 4_096


def entries(first: int, last: int, term: int) -> list[Entry]:
    data = b"x" * 300
    return [Entry(Term(term), Index(i), EntryKind.NORMAL, data) for i in range(first, last + 1)]


def reopen(directory: Path) -> Replayed:
    return open_journal(directory, cluster_id=1, member_id=2, segment_bytes=SEGMENT_BYTES)


async def append(
    journal: Journal, batch: Sequence[Entry], mark: SnapshotMark | None = None
) -> None:
    done = asyncio.Event()
    journal.append(None, batch, mark, done.set)
    await done.wait()


async def test_entries_before_the_first_kept_one_replace_it(tmp_path: Path) -> None:
    worker = DiskWorker("journal")
    journal = Journal(tmp_path, worker, reopen(tmp_path), segment_bytes=SEGMENT_BYTES)
    for one in entries(1, 14, term=1):
        await append(journal, [one])
    begins_at = journal.segments[-1].header.first_index
    assert begins_at > 5, "the segments are not as this test needs them"
    await append(journal, entries(begins_at - 3, begins_at + 2, term=2))
    await append(journal, [], SnapshotMark(Index(begins_at), Term(2)))
    assert journal.segments[-1].header.first_index == begins_at
    assert journal.release(begins_at) > 0
    await asyncio.to_thread(worker.close)
    journal.close()
    replayed = reopen(tmp_path)
    assert [(found.index, found.term) for found in replayed.entries] == [
        (index, 2) for index in range(begins_at - 3, begins_at + 3)
    ]


async def test_a_gap_between_entries_is_still_refused(tmp_path: Path) -> None:
    worker = DiskWorker("journal")
    journal = Journal(tmp_path, worker, reopen(tmp_path), segment_bytes=SEGMENT_BYTES)
    await append(journal, entries(1, 2, term=1))
    await append(journal, entries(4, 4, term=1))
    await asyncio.to_thread(worker.close)
    journal.close()
    with pytest.raises(JournalCorruptError, match=r"entry 4 does not follow 1\.\.2"):
        reopen(tmp_path)
