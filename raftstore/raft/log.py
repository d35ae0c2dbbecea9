"""The in-memory log since the last compaction, and how far it is stable, committed and applied.

Never touches a disk: `Raft.ready` hands out what is unstable, and the caller persists it. Source:
Raft paper §5.3, §5.4, §7; the back-off by conflicting term is the end of §5.3 as etcd/raft does it.
"""

from collections.abc import Sequence
from itertools import pairwise

from raftstore.raft.types import (
    NO_TERM,
    Entry,
    EntryKind,
    Index,
    LostLogError,
    SnapshotMeta,
    Term,
)

ENTRY_OVERHEAD_BYTES = 24
"""What an entry counts beyond its data, in every bound in bytes: term, index and framing."""


def entry_bytes(entry: Entry) -> int:
    """What an entry counts towards a bound in bytes."""
    return len(entry.data) + ENTRY_OVERHEAD_BYTES


class RaftLog:
    """Entries `first_index..last_index`, following the compacted entry at `first_index - 1`.

    Invariants, checked where they could break: `applied <= committed <= last_index`; `stable <=
    last_index`; terms never fall along the log; nothing at or below `committed` ever changes;
    `snapshot.index >= first_index - 1`, so whoever needs an entry that is gone can be given the
    snapshot instead; with a `pending_snapshot` (received, not yet installed) the log is empty
    behind it.
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

        `entries` may begin anywhere. Those at or below `snapshot.index` are left out; if the one at
        `snapshot.index` has another term than the snapshot, so are those behind it: they lost
        against what the snapshot holds, and only a crash kept the journal from forgetting them.
        Raises LostLogError if the rest does not continue the snapshot.
        """
        self.snapshot = snapshot
        self._offset = snapshot.index
        self._offset_term = snapshot.term
        self._entries = _entries_behind(snapshot, entries)
        _check_continues(snapshot, self._entries)
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

    def matches(self, index: Index, term: Term) -> bool:
        """Whether the entry at `index` is known and has `term`; then all before it agree too."""
        return self.term_at(index) == term

    def is_up_to_date(self, index: Index, term: Term) -> bool:
        """Whether a log ending in (`index`, `term`) is as up to date as ours, or more (§5.4.1)."""
        last_term = self.last_term
        return term > last_term or (term == last_term and index >= self.last_index)

    def slice(self, first: Index, last: Index, bytes_max: int) -> list[Entry]:
        """Entries `first..last`, cut to `bytes_max` but at least one: a larger one goes alone.

        `first` must not be compacted. Costs what it returns, however long the log is.
        """
        start, stop = first - self._offset - 1, last - self._offset
        assert start >= 0, f"entry {first} is compacted up to {self._offset}"
        assert stop <= len(self._entries), f"entry {last} is beyond {self.last_index}"
        entries = self._entries
        size = 0
        for position in range(start, stop):
            size += entry_bytes(entries[position])
            if size > bytes_max and position > start:
                return entries[start:position]
        return entries[start:stop]

    def append(self, entry: Entry) -> None:
        """Add a leader's own new entry at the end. It stays unstable until persisted."""
        assert entry.index == self.last_index + 1, (entry.index, self.last_index)
        self._entries.append(entry)

    def maybe_append(
        self, prev_index: Index, prev_term: Term, entries: Sequence[Entry]
    ) -> Index | None:
        """Append a leader's entries if our log matches at (`prev_index`, `prev_term`) (§5.3).

        Returns the last index known to match the leader's log, or None on mismatch. Entries that
        are there already are kept, together with all that follows them: a delayed or repeated
        message must not undo a later one. Asserts that nothing committed is overwritten.
        """
        if not self.matches(prev_index, prev_term):
            return None
        for position, entry in enumerate(entries):
            if not self.matches(entry.index, entry.term):
                self._truncate_and_append(entries[position:] if position else entries)
                break
        return Index(prev_index + len(entries))

    def _truncate_and_append(self, entries: Sequence[Entry]) -> None:
        first = entries[0].index
        assert first > self.committed, f"entry {first} conflicts, but {self.committed} is committed"
        assert first <= self.last_index + 1, (first, self.last_index)
        del self._entries[first - self._offset - 1 :]
        self._entries.extend(entries)
        self.stable = min(self.stable, Index(first - 1))

    def find_conflict_by_term(self, index: Index, term: Term) -> tuple[Index, Term]:
        """The last entry at or before `index` whose term is at most `term` (end of §5.3).

        It is the best guess at where two logs still agree. Falls back to the entry before
        `first_index`; a term of 0 says that it is not known.
        """
        index = min(index, self.last_index)
        while index >= self._offset:
            found = self.term_at(index)
            assert found is not None
            if found <= term:
                return index, found
            index = Index(index - 1)
        return index, NO_TERM

    def commit_to(self, index: Index) -> None:
        """Learn that entries up to `index` are committed. Never goes back.

        Raises LostLogError if we do not hold them although the leader knows that we once did.
        """
        if index <= self.committed:
            return
        if index > self.last_index:
            raise LostLogError(
                f"entry {index} is committed, acknowledged by this member, and no longer in its "
                f"log, which ends at {self.last_index}: was its data directory lost or rolled "
                "back? Remove the member from the cluster and add it anew with an empty one"
            )
        self.committed = index

    def unstable_entries(self) -> list[Entry]:
        """Entries that the caller has not persisted yet."""
        return self._entries[self.stable - self._offset :]

    def stable_to(self, index: Index, term: Term) -> None:
        """The caller persisted entries up to (`index`, `term`).

        Ignored if that entry was overwritten meanwhile; its replacement is still unstable.
        """
        if index > self.stable and self.matches(index, term):
            self.stable = index

    def has_committed(self) -> bool:
        """Whether there are committed entries to apply."""
        return self.committed > self.applied and self.pending_snapshot is None

    def next_committed(self, bytes_max: int) -> list[Entry]:
        """Committed entries to apply next, cut to `bytes_max`. None while a snapshot is pending."""
        if not self.has_committed():
            return []
        return self.slice(Index(self.applied + 1), self.committed, bytes_max)

    def applied_to(self, index: Index) -> None:
        """The caller applied everything up to `index`."""
        assert self.applied <= index <= self.committed, (self.applied, index, self.committed)
        self.applied = index

    def has_unapplied_conf_change(self) -> bool:
        """Whether a committed membership change is not yet in force here."""
        start = max(self.applied, self._offset) - self._offset
        committed = self._entries[start : self.committed - self._offset]
        return any(entry.kind == EntryKind.CONF_CHANGE for entry in committed)

    def restore(self, snapshot: SnapshotMeta) -> None:
        """Replace the whole log by a snapshot that is ahead of everything committed here (§7)."""
        assert snapshot.index > self.committed, (snapshot.index, self.committed)
        self._entries.clear()
        self._offset = snapshot.index
        self._offset_term = snapshot.term
        self.snapshot = snapshot
        self.pending_snapshot = snapshot
        self.stable = snapshot.index
        self.committed = snapshot.index

    def installed(self, snapshot: SnapshotMeta) -> None:
        """The caller persisted and installed `snapshot`, unless a newer one came meanwhile."""
        self.applied = max(self.applied, snapshot.index)
        if self.pending_snapshot is not None and self.pending_snapshot.index == snapshot.index:
            self.pending_snapshot = None

    def compact(self, index: Index, snapshot: SnapshotMeta) -> None:
        """Drop entries up to `index`; `snapshot`, which covers them, is durable (§7)."""
        assert index <= snapshot.index <= self.applied, (index, snapshot.index, self.applied)
        assert index <= self.stable, (index, self.stable)
        if snapshot.index > self.snapshot.index:
            self.snapshot = snapshot
        count = index - self._offset
        if count > 0:
            self._offset_term = self._entries[count - 1].term
            del self._entries[:count]
            self._offset = Index(self._offset + count)
        assert self.snapshot.index >= self._offset


def _entries_behind(snapshot: SnapshotMeta, entries: Sequence[Entry]) -> list[Entry]:
    for entry in entries:
        if entry.index == snapshot.index and entry.term != snapshot.term:
            return []
    return [entry for entry in entries if entry.index > snapshot.index]


def _check_continues(snapshot: SnapshotMeta, entries: Sequence[Entry]) -> None:
    """Raise LostLogError unless `entries` follow `snapshot` without gap or fall in term."""
    before = Entry(snapshot.term, snapshot.index, EntryKind.NORMAL, b"")
    for previous, entry in pairwise((before, *entries)):
        if entry.index != previous.index + 1 or entry.term < previous.term:
            raise LostLogError(
                f"stored entry {entry.term}/{entry.index} (term/index) cannot follow "
                f"{previous.term}/{previous.index}: restore this member's data directory from a "
                "backup, or remove the member from the cluster and add it anew with an empty one"
            )
