"""Dropping records that a compaction superseded, a bounded slice of work at a time.

Scheduling happens at apply and is the same on all members; from then on reads below the compact
revision are refused. The dropping is each member's own affair, at its own pace: nothing that
a client or another member can ask for depends on how far it has come.
"""

from __future__ import annotations

from raftstore.mvcc.history import History
from raftstore.mvcc.key_index import KeyIndex
from raftstore.mvcc.revision import Record, Revision


class Compaction:
    """One compaction under way over the blocks of a history, from the first."""

    __slots__ = ("_block", "revision")

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
        self._block = 0

    def step(self, history: History, index: KeyIndex, records_max: int) -> bool:
        """Look at blocks until `records_max` records were seen. True while more is left.

        At least one block is done, so the slice may exceed the bound by one block.
        """
        revision = self.revision

        def stays(record: Record) -> bool:
            return record.main > revision or index.compact(record, revision)

        seen = 0
        while seen < records_max:
            if self._block >= history.block_count():
                return False
            if history.starts_after(self._block, revision):
                return False
            looked_at, self._block = history.sift(self._block, stays)
            seen += looked_at
        return True
