"""The native engine's parts, put together from what recovery found: raft/ + wal/ + snap/.

Owns construction and orderly closing; `raftstore.node.Node` drives the parts.
"""

from __future__ import annotations

import dataclasses
import random

from raftstore.config import NodeConfig
from raftstore.engine.host import Host
from raftstore.engine.recovery import Recovered
from raftstore.engine.snapshotting import Snapshotting
from raftstore.raft.config import Config
from raftstore.raft.core import Raft
from raftstore.snap.store import SnapshotStore
from raftstore.wal.files import Lock
from raftstore.wal.segment import Journal
from raftstore.wal.worker import Fatal, Worker

COMMITTED_BYTES_MAX = 1 << 20
"""Applied in one turn of the loop, so that heartbeats are answered in between."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What one running member consists of, below its network."""

    raft: Raft
    journal: Journal
    journal_worker: Worker
    snapshots: SnapshotStore
    snapshot_worker: Worker
    snapshotting: Snapshotting
    lock: Lock

    def close(self) -> None:
        """Finish what the disks were told, close the files, let go of the lock. Blocks."""
        self.journal.stop_waiting()
        self.journal_worker.close()
        self.snapshot_worker.close()
        self.journal.close()
        self.lock.close()


def assemble(
    config: NodeConfig,
    recovered: Recovered,
    on_fatal: Fatal,
    host: Host,
    raft_type: type[Raft] = Raft,
) -> Parts:
    """Start the disk workers and a Raft core that goes on where the journal ends."""
    worker = host.worker("journal", on_fatal)
    snapshot_worker = host.worker("snapshots", on_fatal)
    journal = Journal(
        config.data_dir / "member" / "wal",
        worker,
        recovered.replayed,
        segment_bytes=config.limits.segment_bytes,
        files=host.files,
    )
    snapshot = recovered.log.snapshot
    snapshotting = Snapshotting(
        limits=config.limits,
        snapshot_count=config.snapshot_count,
        store=recovered.snapshots,
        worker=snapshot_worker,
        journal=journal,
        newest=(snapshot.index, snapshot.term) if snapshot.index else None,
        spread=1 + (recovered.member_id % 1_009) / 1_009,
    )
    raft = raft_type(
        Config(
            id=recovered.member_id,
            random=random.Random(host.chance.getrandbits(64)),
            hard_state=recovered.hard_state,
            election_ticks=config.election_ticks,
            committed_bytes_max=COMMITTED_BYTES_MAX,
        ),
        recovered.log,
    )
    return Parts(
        raft=raft,
        journal=journal,
        journal_worker=worker,
        snapshots=recovered.snapshots,
        snapshot_worker=snapshot_worker,
        snapshotting=snapshotting,
        lock=recovered.lock,
    )
