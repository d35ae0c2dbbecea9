"""A snapshot that comes in while an older one is still being installed keeps its file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from raftstore.config import Limits
from raftstore.engine.snapshotting import Snapshotting
from raftstore.raft.types import Index, Term
from raftstore.snap.store import SnapshotStore
from raftstore.wal.segment import Journal, open_journal
from raftstore.wal.worker import DiskWorker

SEGMENT_BYTES = 4_096


async def test_a_newer_snapshot_outlives_the_installation_of_an_older(tmp_path: Path) -> None:
    """The journal is about to void everything in its favour: without it the member is lost."""
    worker = DiskWorker("disk")
    store = SnapshotStore(tmp_path / "snap", chunk_bytes_max=1 << 20)
    wal = tmp_path / "wal"
    replayed = open_journal(wal, cluster_id=1, member_id=1, segment_bytes=SEGMENT_BYTES)
    journal = Journal(wal, worker, replayed, segment_bytes=SEGMENT_BYTES)
    cycle = Snapshotting(
        limits=Limits(),
        snapshot_count=10,
        store=store,
        worker=worker,
        journal=journal,
        newest=None,
        spread=1.0,
    )
    for index in (10, 20):
        cycle.expect(Index(index), Term(1))
        store.path(index, 1).write_bytes(b"a snapshot")
    cycle.installed(Index(10), Term(1))
    cycle.installed(Index(20), Term(1))
    await asyncio.to_thread(worker.close)
    journal.close()
    assert [path.name for path in (tmp_path / "snap").iterdir()] == [store.path(20, 1).name]
