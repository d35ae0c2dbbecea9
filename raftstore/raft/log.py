"""The in-memory log since the last compaction, and how far it is stable, committed and applied.

Never touches a disk: `Raft.ready` hands out what is unstable, and the caller persists it. Source:
Raft paper §5.3, §5.4, §7; the back-off by conflicting term is the end of §5.3 as etcd/raft does it.
"""

from collections.abc import Sequence

from raftstore.raft.types import NO_TERM, Entry, Index, LostLogError, SnapshotMeta, Term

ENTRY_OVERHEAD_BYTES = 24
"""What an entry counts beyond its data, in every bound in bytes: term, index and framing."""


def entry_bytes(entry: Entry) -> int:
    """What an entry counts towards a bound in bytes."""
    return len(entry.data) + ENTRY_OVERHEAD_BYTES


class RaftLog:
    """Entries `first_index..last_index`, following the compacted entry at `first_index - 1`.

    Invariants: `applied <= committed <= last_index`; `stable <= last_index`; nothing at or below
    `committed` ever changes; `snapshot.index >= first_index - 1`, so whoever needs an entry that is
    gone can be given the snapshot instead.
    """

    __slots__ = (
        "_entries",
        "_offset",
        "_offset_term",
        "applied",
        "committed",
        "pending_snapshot",
        "snapshot",
        "stable",
    )

    def __init__(self, snapshot: SnapshotMeta, entries: Sequence[Entry] = ()) -> None:
        """Restore a log from what storage holds: the newest snapshot and the entries behind it.

        Entries at or below `snapshot.index` are left out. Raises LostLogError on a gap.
        """
        self.snapshot = snapshot
        self._offset = snapshot.index
        self._offset_term = snapshot.term
        self._entries = [entry for entry in entries if entry.index > snapshot.index]
        for position, entry in enumerate(self._entries):
            if entry.index != snapshot.index + 1 + position:
                raise LostLogError(
                    f"the log has a gap: index {entry.index} where {snapshot.index + 1 + position} "
                    "was expected; restore this member's data or remove and re-add the member"
                )
        self.stable = self.last_index
        self.committed = snapshot.index
        self.applied = snapshot.index
        self.pending_snapshot: SnapshotMeta | None = None

    @property
    def first_index(self) -> Index:
        """Index of the oldest entry still held."""
        return Index(self._offset + 1)

    @property
    def last_index(self) -> Index:
        """Index of the newest entry, or of the compacted one before if none is held."""
        return Index(self._offset + len(self._entries))

    @property
    def last_term(self) -> Term:
        """Term of the entry at `last_index`."""
        return self._entries[-1].term if self._entries else self._offset_term

    def term_at(self, index: Index) -> Term | None:
        """Term of the entry at `index`; None if it is compacted or not there yet."""
        position = index - self._offset - 1
        if position >= 0:
            return self._entries[position].term if position < len(self._entries) else None
        return self._offset_term if position == -1 else None
