"""Which record each key had at which revision.

Owns the live keys in order, the deleted keys that history still remembers, and each key's older
records. A key written once costs one record and one slot; only keys with a past pay for a list.
Source: what etcd's server/storage/mvcc/index.go answers, in another shape.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from heapq import merge

from sortedcontainers import SortedList

from raftstore.mvcc.key_range import KeyRange
from raftstore.mvcc.revision import Record


class KeyIndex:
    """Every key that has a record. Invariant: a key is in exactly one of `live` and `dead`.

    `older[key]` holds the records before the newest, in order, and is never empty.
    """

    __slots__ = ("_dead_keys", "_live_keys", "dead", "live", "older")

    def __init__(self) -> None:
        self.live: dict[bytes, Record] = {}
        self.dead: dict[bytes, Record] = {}
        self.older: dict[bytes, list[Record]] = {}
        self._live_keys: SortedList = SortedList()
        self._dead_keys: SortedList = SortedList()

    @classmethod
    def build(cls, records: Iterator[Record]) -> KeyIndex:
        """The index of a whole history, given in order."""
        index = cls()
        newest: dict[bytes, Record] = {}
        older = index.older
        for record in records:
            key = record.key
            previous = newest.get(key)
            if previous is not None:
                older.setdefault(key, []).append(previous)
            newest[key] = record
        for key, record in newest.items():
            (index.live if record.key_version else index.dead)[key] = record
        index._live_keys = SortedList(index.live)
        index._dead_keys = SortedList(index.dead)
        return index

    def put(self, record: Record) -> None:
        """Make `record` its key's newest."""
        key = record.key
        previous = self.live.get(key)
        if previous is None:
            self._live_keys.add(key)
            previous = self.dead.pop(key, None)
            if previous is not None:
                self._dead_keys.remove(key)
        self.live[key] = record
        if previous is not None:
            older = self.older.get(key)
            if older is None:
                self.older[key] = [previous]
            else:
                older.append(previous)

    def delete(self, record: Record) -> None:
        """Make the tombstone `record` the newest of a live key."""
        key = record.key
        previous = self.live.pop(key)
        self._live_keys.remove(key)
        self.older.setdefault(key, []).append(previous)
        self.dead[key] = record
        self._dead_keys.add(key)

    def load(self, record: Record) -> None:
        """Take the next record of a history that is being restored, tombstone or not."""
        if record.key_version:
            self.put(record)
            return
        key = record.key
        previous = self.live.pop(key, None)
        if previous is not None:
            self._live_keys.remove(key)
            self._dead_keys.add(key)
        else:
            previous = self.dead.get(key)
            if previous is None:
                self._dead_keys.add(key)
        if previous is not None:
            self.older.setdefault(key, []).append(previous)
        self.dead[key] = record

    def at(self, key: bytes, revision: int) -> Record | None:
        """The key's record as of `revision`; None if it did not live then."""
        record = self._newest(key, revision)
        return record if record is not None and record.key_version else None

    def _newest(self, key: bytes, revision: int) -> Record | None:
        """The key's last record up to `revision`, be it a tombstone."""
        record = self.live.get(key) or self.dead.get(key)
        if record is None or record.main <= revision:
            return record
        older = self.older.get(key)
        if older is None:
            return None
        position = bisect_left(older, (revision + 1,))
        return older[position - 1] if position else None

    def count(self, keys: KeyRange) -> int:
        """How many keys live in the range now."""
        first, last = self._slots(keys)
        return last - first

    def current(self, keys: KeyRange, limit: int = 0) -> list[Record]:
        """The records of the live keys in the range, by key; at most `limit` of them unless 0."""
        first, last = self._slots(keys)
        if limit:
            last = min(last, first + limit)
        live = self.live
        return [live[key] for key in self._live_keys.islice(first, last)]

    def past(self, keys: KeyRange, revision: int) -> Iterator[Record]:
        """The records of the keys in the range as of `revision`, by key."""
        if keys.is_empty:
            return
        live = self._live_keys.irange(keys.start, keys.end, inclusive=(True, False))
        dead = self._dead_keys.irange(keys.start, keys.end, inclusive=(True, False))
        for key in merge(live, dead):
            record = self.at(key, revision)
            if record is not None:
                yield record

    def keeps(self, record: Record, compact_revision: int) -> bool:
        """Whether `record`, not newer than `compact_revision`, outlives a compaction there."""
        newest = self._newest(record.key, compact_revision)
        return newest is record and _outlives(record, compact_revision)

    def compact(self, record: Record, compact_revision: int) -> bool:
        """Forget what a compaction drops of the record's key; whether the record itself stays.

        Records of one key must come in order, and all those up to `compact_revision` must come.
        """
        key = record.key
        newest = self.live.get(key) or self.dead.get(key)
        if newest is None:
            return False
        if newest.main <= compact_revision:
            self.older.pop(key, None)
            if not _outlives(newest, compact_revision):
                del self.dead[key]
                self._dead_keys.remove(key)
                return False
            return newest is record
        older = self.older.get(key)
        if older is None:
            return False
        self._trim(key, older, compact_revision)
        return bool(older) and older[0] is record

    def _trim(self, key: bytes, older: list[Record], compact_revision: int) -> None:
        """Drop the records that the compaction supersedes from the front of a key's past."""
        kept_from = bisect_left(older, (compact_revision + 1,)) - 1
        if kept_from < 0:
            return
        if not _outlives(older[kept_from], compact_revision):
            kept_from += 1
        if kept_from:
            del older[:kept_from]
            if not older:
                del self.older[key]

    def _slots(self, keys: KeyRange) -> tuple[int, int]:
        first = self._live_keys.bisect_left(keys.start)
        if keys.end is None:
            return first, len(self._live_keys)
        return first, max(first, self._live_keys.bisect_left(keys.end))


def _outlives(newest: Record, compact_revision: int) -> bool:
    """Whether a key's newest record at a compaction is kept.

    It is if the key lives, or was deleted by just that revision: a watcher may still start from
    there (etcd-io/etcd pull request 18274).
    """
    return newest.key_version > 0 or newest.main == compact_revision
