"""How much log stays in memory behind a snapshot."""

from __future__ import annotations

import pytest

from raftstore.config import ConfigError, Limits
from raftstore.engine.protocol import Engine
from raftstore.engine.snapshotting import compact_to
from raftstore.node import Node
from raftstore.raft.log import ENTRY_OVERHEAD_BYTES, RaftLog
from raftstore.raft.types import Entry, EntryKind, Index, SnapshotMeta, Term

ENTRY_BYTES = 100


def log_of(count: int) -> RaftLog:
    data = b"x" * (ENTRY_BYTES - ENTRY_OVERHEAD_BYTES)
    entries = [Entry(Term(1), Index(i), EntryKind.NORMAL, data) for i in range(1, count + 1)]
    return RaftLog(SnapshotMeta(), entries)


@pytest.mark.parametrize(
    ("index", "entries", "size", "expected"),
    [
        (50, 10, 1_000_000, 40),
        (50, 1_000, 1_000_000, 0),
        (50, 1_000, 5 * ENTRY_BYTES, 45),
        (50, 1_000, ENTRY_BYTES - 1, 50),
        (1, 10, 1_000_000, 0),
    ],
)
def test_entries_behind_a_snapshot_are_kept_within_both_bounds(
    index: int, entries: int, size: int, expected: int
) -> None:
    limits = Limits(snapshot_catch_up_entries=entries, snapshot_catch_up_bytes=size)
    assert compact_to(log_of(60), Index(index), limits) == expected


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (Limits(batch_bytes_max=32 << 20), "batch_bytes_max"),
        (Limits(waiting_proposal_bytes_max=1), "waiting_proposal_bytes_max"),
        (Limits(snapshot_chunk_bytes_max=60 << 20), "snapshot_chunk_bytes_max"),
        (Limits(snapshot_journal_bytes=1 << 30), "snapshot_journal_bytes"),
    ],
)
def test_limits_that_cannot_all_hold_are_refused_at_start(limits: Limits, named: str) -> None:
    Limits().check()
    with pytest.raises(ConfigError, match=named):
        limits.check()


def test_the_node_is_an_engine() -> None:
    engine: type[Engine] = Node
    assert callable(engine.propose)
