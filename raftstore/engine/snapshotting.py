"""When to take a snapshot, and what may be forgotten once it is durable.

Owns the cycle: state to file (in slices, beside all other work), mark in the journal, then entries,
segments and files that nobody needs any more. The previous snapshot stays until the next is marked.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator

from raftstore.config import Limits
from raftstore.raft.core import Raft
from raftstore.raft.log import RaftLog, entry_bytes
from raftstore.raft.types import Index, Term
from raftstore.snap.codec import SnapshotHead
from raftstore.snap.store import SnapshotStore
from raftstore.wal.reserve import DiskFullError
from raftstore.wal.segment import Journal
from raftstore.wal.worker import Worker

log = logging.getLogger(__name__)

Point = tuple[Index, Term]
State = tuple[SnapshotHead, Iterator[bytes]]


class Snapshotting:
    """The snapshot cycle of one member. All methods belong to the loop."""

    def __init__(
        self,
        *,
        limits: Limits,
        snapshot_count: int,
        store: SnapshotStore,
        worker: Worker,
        journal: Journal,
        newest: Point | None,
        spread: float,
    ) -> None:
        """`spread` is at least 1: by how much this member waits longer than others may."""
        assert spread >= 1.0, spread
        self._spread = spread
        self._limits = limits
        self._snapshot_count = snapshot_count
        self._store = store
        self._worker = worker
        self._journal = journal
        self._newest = newest
        self._previous: Point | None = None
        self._last_size = 0
        self._bytes_at_last = journal.appended_bytes
        self._taking = asyncio.Lock()
        self._claimed = False
        self._given_up = Index(0)
        self._expected: Point | None = None
        self.pending: SnapshotHead | None = None
        """A snapshot that is durable but not yet vouched for by the journal."""

    def claim_if_due(self, applied_index: int, *, wanted: bool = False) -> bool:
        """Whether the caller is to take a snapshot now: enough was written since the last one.

        Or a member waits for a newer one than there is (`wanted`).

        Enough is the larger of the configured bytes and the last snapshot's own size, so that
        snapshots cost about as much as the journal, up to the most that memory should hold as log;
        or the configured number of entries. Each member multiplies the bytes by a factor of its
        own, so that they do not all write at once.
        """
        if self._claimed or self._taking.locked() or self.pending is not None:
            return False
        since = max(self._given_up, self._newest[0] if self._newest is not None else 0)
        written = self._journal.appended_bytes - self._bytes_at_last
        limits = self._limits
        least = max(limits.snapshot_journal_bytes, self._last_size)
        enough = self._spread * min(least, limits.snapshot_journal_bytes_max)
        due = wanted or written >= enough or applied_index - since >= self._snapshot_count
        self._claimed = applied_index > since and due
        return self._claimed

    async def take(self, capture: Callable[[], State]) -> Index:
        """Write the state to a file, durable on return; `pending` then asks for its mark.

        `capture` is called once it is this snapshot's turn; one is taken at a time. Returns the
        index at which the newest snapshot stands: an older one if the disk is full.
        """
        async with self._taking:
            self._claimed = False
            head, chunks = capture()
            self._bytes_at_last = self._journal.appended_bytes
            try:
                self._last_size = await self._store.save(head, chunks, self._worker)
            except DiskFullError as error:
                log.warning("snapshot at index %d given up: %s", head.index, error)
                self._given_up = head.index
                return self._newest[0] if self._newest is not None else Index(0)
            if self._newest is None or self._newest[0] < head.index:
                self.pending = head
                log.info("snapshot at index %d, %d bytes", head.index, self._last_size)
            return head.index

    def marked(self, head: SnapshotHead, raft: Raft) -> None:
        """The journal vouches for this snapshot: forget what it makes superfluous."""
        self._previous, self._newest = self._newest, (head.index, head.term)
        if raft.log.pending_snapshot is None:  # else the whole log is about to be replaced
            raft.compact(compact_to(raft.log, head.index, self._limits), head.meta)
        self._clean()

    def expect(self, index: Index, term: Term) -> None:
        """A snapshot from the leader comes in (one at a time): do not remove its file."""
        self._expected = (index, term)

    def installed(self, index: Index, term: Term) -> None:
        """A snapshot from the leader replaced state and log, and the journal says so."""
        if self._expected == (index, term):  # else a newer one has come in meanwhile
            self._expected = None
        self.pending = None
        self._previous, self._newest = None, (index, term)
        self._bytes_at_last = self._journal.appended_bytes
        self._clean()

    def _clean(self) -> None:
        used = {point for point in (self._newest, self._previous) if point is not None}
        keep = used if self._expected is None else used | {self._expected}
        self._journal.release(min(used)[0])
        self._worker.submit(lambda: self._store.remove_except(keep), lambda: None)


def compact_to(raft_log: RaftLog, index: Index, limits: Limits) -> Index:
    """Up to where a log may be dropped once a snapshot at `index` is durable.

    What follows is kept in memory for members that lag a little, within both of its bounds.
    """
    first = max(raft_log.first_index, index - limits.snapshot_catch_up_entries + 1)
    kept_bytes = 0
    for entry in reversed(raft_log.slice(Index(first), index, sys.maxsize)):
        kept_bytes += entry_bytes(entry)
        if kept_bytes > limits.snapshot_catch_up_bytes:
            return entry.index
    return Index(first - 1)
