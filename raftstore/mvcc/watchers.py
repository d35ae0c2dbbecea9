"""Who watches which keys, and which events each of them still has to see.

Owns the watchers of one member. Synced ones take live events; unsynced ones catch up from history,
in bounded steps, and then join the synced. Each watcher sees every event of its keys once, in
order, and a revision's events together. The cost of an event depends on the watchers that match it,
not on those that do not. Source: etcd server/storage/mvcc/watchable_store.go, watcher_group.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from raftstore.errors import Code, StoreError
from raftstore.mvcc.interval_tree import IntervalTree
from raftstore.mvcc.key_range import KeyRange
from raftstore.mvcc.revision import Event, Revision
from raftstore.mvcc.store import Store


class Watcher:
    """One watch of a key or range. Equal only to itself; `id` is the caller's to choose and use.

    `next_revision` is the first revision whose events it has not been given. `start_revision` 0
    means from the next write on; one in the future means that earlier events are passed over.
    """

    __slots__ = ("id", "keys", "next_revision", "no_delete", "no_put", "prev_kv", "start_revision")

    def __init__(
        self,
        id: int,
        key: bytes,
        range_end: bytes = b"",
        start_revision: int = 0,
        *,
        no_put: bool = False,
        no_delete: bool = False,
        prev_kv: bool = False,
    ) -> None:
        self.id = id
        self.keys = KeyRange.of(key or b"\0", range_end)
        self.start_revision = start_revision
        self.next_revision = Revision(start_revision)
        self.no_put = no_put
        self.no_delete = no_delete
        self.prev_kv = prev_kv

    def wants(self, event: Event) -> bool:
        """Whether an event of its keys is new to it and passes its filters."""
        record = event.record
        if record.main < self.next_revision:
            return False
        return not (self.no_put if record.key_version else self.no_delete)

    def __repr__(self) -> str:
        return f"Watcher({self.id} {self.keys.start!r}..{self.keys.end!r} @{self.next_revision})"


class Delivery(NamedTuple):
    """Events for one watcher, of whole revisions and in order. Never empty."""

    watcher: Watcher
    events: list[Event]


class SyncStep(NamedTuple):
    """What one step of catching up gives, and the watchers that it removed as they are too late."""

    deliveries: list[Delivery]
    compacted: list[Watcher]


class _Group:
    """Watchers by what they watch: single keys in a dict, ranges in an interval tree."""

    __slots__ = ("_by_key", "_by_range")

    def __init__(self) -> None:
        self._by_key: dict[bytes, dict[Watcher, None]] = {}
        self._by_range: IntervalTree[dict[Watcher, None]] = IntervalTree()

    def add(self, watcher: Watcher) -> None:
        keys = watcher.keys
        if _is_single(keys):
            self._by_key.setdefault(keys.start, {})[watcher] = None
            return
        same_range = self._by_range.get(keys)
        if same_range is None:
            self._by_range.add(keys, {watcher: None})
        else:
            same_range[watcher] = None

    def remove(self, watcher: Watcher) -> None:
        keys = watcher.keys
        if _is_single(keys):
            same_key = self._by_key[keys.start]
            del same_key[watcher]
            if not same_key:
                del self._by_key[keys.start]
            return
        same_range = self._by_range.get(keys)
        assert same_range is not None, watcher
        del same_range[watcher]
        if not same_range:
            self._by_range.remove(keys)

    def of(self, key: bytes) -> Iterator[Watcher]:
        """All watchers of a key."""
        yield from self._by_key.get(key, ())
        for same_range in self._by_range.stab(key):
            yield from same_range


class Watchers:
    """All watchers of one member's store.

    Invariants: each watcher is either synced, unsynced or paused. A synced one has been given all
    its events up to `_seen` and up to its `next_revision`; what the store holds beyond is on its
    way in a `notify`. An unsynced one has been given all up to its `next_revision`, no more.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen = store.revision
        self._synced: dict[Watcher, None] = {}
        self._synced_group = _Group()
        self._unsynced: dict[Watcher, None] = {}
        self._unsynced_group = _Group()
        self._paused: set[Watcher] = set()

    @property
    def has_unsynced(self) -> bool:
        """Whether `sync` has work to do."""
        return bool(self._unsynced)

    def add(self, watcher: Watcher) -> None:
        """Begin a watch. StoreError if no key can be in its range.

        One that starts at a compacted revision is reported by the next `sync`.
        """
        if watcher.keys.is_empty:
            raise StoreError(Code.INVALID_ARGUMENT, "mvcc: watcher range is empty", definite=True)
        if watcher.start_revision == 0:
            watcher.next_revision = Revision(self._store.revision + 1)
        self._place(watcher)

    def remove(self, watcher: Watcher) -> None:
        """End a watch."""
        if watcher in self._synced:
            del self._synced[watcher]
            self._synced_group.remove(watcher)
        elif watcher in self._unsynced:
            del self._unsynced[watcher]
            self._unsynced_group.remove(watcher)
        else:
            self._paused.remove(watcher)

    def is_synced(self, watcher: Watcher) -> bool:
        """Whether it takes live events."""
        return watcher in self._synced

    def progress(self, watcher: Watcher) -> Revision | None:
        """The revision up to which a synced watcher has been given everything; None if it lags."""
        if watcher not in self._synced:
            return None
        return min(self._store.revision, max(self._seen, Revision(watcher.next_revision - 1)))

    def notify(self, events: Sequence[Event]) -> list[Delivery]:
        """Hand live events, all of them in order, to the synced watchers of their keys.

        A call must hold whole revisions.
        """
        if not events:
            return []
        given: dict[Watcher, list[Event]] = {}
        of = self._synced_group.of
        for event in events:
            for watcher in of(event.record.key):
                if watcher.wants(event):
                    given.setdefault(watcher, []).append(event)
        self._seen = max(self._seen, events[-1].record.main)
        for watcher, delivered in given.items():
            watcher.next_revision = Revision(delivered[-1].record.main + 1)
        return [Delivery(watcher, delivered) for watcher, delivered in given.items()]

    def sync(self, records_max: int = 1_000, bytes_max: int = 1 << 20) -> SyncStep:
        """Bring unsynced watchers forward by one bounded look at history.

        The one that waited longest decides where to look; all others whose next event may be in
        that window profit. The bounds may be passed by one revision.
        """
        compacted = self._take_compacted()
        first = next(iter(self._unsynced), None)
        if first is None:
            return SyncStep([], compacted)
        start = first.next_revision
        events, through = self._store.scan(start, records_max, bytes_max)
        given: dict[Watcher, list[Event]] = {}
        for event in events:
            for watcher in self._unsynced_group.of(event.record.key):
                if watcher.next_revision >= start and watcher.wants(event):
                    given.setdefault(watcher, []).append(event)
        self._advance(start, through)
        if first in self._unsynced:
            del self._unsynced[first]
            self._unsynced[first] = None
        return SyncStep([Delivery(*pair) for pair in given.items()], compacted)

    def rewind(self, watcher: Watcher, revision: int) -> None:
        """Pause a watcher whose reader is too slow, as if nothing from `revision` on was given.

        So no events need be kept for it: history keeps them. If that is compacted before it is
        resumed, the watcher ends as compacted.
        """
        self.remove(watcher)
        watcher.next_revision = Revision(revision)
        self._paused.add(watcher)

    def resume(self, watcher: Watcher) -> None:
        """Let a paused watcher catch up."""
        self._paused.remove(watcher)
        self._place(watcher)

    def on_restored(self) -> None:
        """A snapshot replaced the store: what happened in between must come from its history."""
        for watcher in list(self._synced):
            self.remove(watcher)
            watcher.next_revision = max(watcher.next_revision, Revision(self._seen + 1))
            self._place(watcher)
        self._seen = self._store.revision

    def _place(self, watcher: Watcher) -> None:
        if watcher.next_revision > self._store.revision:
            self._synced[watcher] = None
            self._synced_group.add(watcher)
        else:
            self._unsynced[watcher] = None
            self._unsynced_group.add(watcher)

    def _take_compacted(self) -> list[Watcher]:
        oldest = self._store.compact_revision
        compacted = [watcher for watcher in self._unsynced if watcher.next_revision < oldest]
        for watcher in compacted:
            self.remove(watcher)
        return compacted

    def _advance(self, start: Revision, through: Revision) -> None:
        """All unsynced watchers from `start` on have been given everything up to `through`."""
        after = Revision(through + 1)
        for watcher in list(self._unsynced):
            if start <= watcher.next_revision <= through:
                watcher.next_revision = after
                if after > self._store.revision:
                    self.remove(watcher)
                    self._place(watcher)


def _is_single(keys: KeyRange) -> bool:
    return keys.end is not None and keys.end == keys.start + b"\0"
