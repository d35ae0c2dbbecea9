"""The multi-version key space: every key at every revision since the last compaction.

Owns the current revision, the compact revision, the key index and the history. Only apply writes to
it, through a `Writer`; it never waits, reads a clock or touches a file. Source: etcd's data
model (server/storage/mvcc/kvstore.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from etcdclient.pb.rpc_pb2 import RangeRequest, RangeResponse
from raftstore.mvcc import errors, hashing, snapshot
from raftstore.mvcc.compaction import Compaction
from raftstore.mvcc.hashing import HashKv
from raftstore.mvcc.history import BLOCK_RECORDS, History
from raftstore.mvcc.key_index import KeyIndex
from raftstore.mvcc.key_range import KeyRange
from raftstore.mvcc.ranges import KeySpace, fill_range
from raftstore.mvcc.revision import (
    FIRST_REVISION,
    NEVER_COMPACTED,
    Event,
    Record,
    Revision,
    tombstone,
)

RESTORE_RECORDS = 1_000
"""Restored or forgotten in one slice."""


class Scan(NamedTuple):
    """Every event from the revision asked for through `through`, in order."""

    events: list[Event]
    through: Revision


class Store:
    """The key space of one member.

    Invariants: the newest record's main revision is at most `revision`; `compact_revision` is at
    most `revision`; history and index hold the same record objects, save for superseded records
    that a pending compaction has not reached.
    """

    def __init__(self, *, block_records: int = BLOCK_RECORDS) -> None:
        self.revision: Revision = FIRST_REVISION
        self.compact_revision: Revision = NEVER_COMPACTED
        self.index = KeyIndex()
        self._block_records = block_records
        self.history = History(block_records=block_records)
        self._compaction: Compaction | None = None
        self._discarded: Iterator[None] = iter(())

    @property
    def size_bytes(self) -> int:
        """About how much the records weigh, superseded ones included until they are dropped."""
        return self.history.size_bytes

    def check_readable(self, revision: int) -> None:
        """Refuse a revision that is compacted or not reached; 0 is the current one."""
        if revision > self.revision:
            raise errors.future_revision()
        if 0 < revision < self.compact_revision:
            raise errors.compacted()

    def range(self, request: RangeRequest) -> RangeResponse:
        """The keys of a range, at the current or an older revision.

        StoreError if that revision is compacted or not reached. The header has the revision of now.
        """
        self.check_readable(request.revision)
        response = RangeResponse()
        response.header.revision = self.revision
        fill_range(response, request, KeySpace(self.index, self.history), self.revision)
        return response

    def write(self) -> Writer:
        """Begin the changes of one revision. One writer at a time; it must be ended."""
        return Writer(self)

    def events_since(self, revision: int, limit: int) -> list[Event]:
        """Up to `limit` events from `revision` on, in order, but never a part of a revision.

        At least one whole revision if there is any. StoreError if `revision` is compacted.
        """
        return self.scan(revision, limit).events

    def scan(self, revision: int, limit: int, bytes_max: int | None = None) -> Scan:
        """As `events_since`, ending too once the records weigh `bytes_max`, and how far it came."""
        if revision < self.compact_revision:
            raise errors.compacted()
        compacted = self.compact_revision
        events: list[Event] = []
        weight, main = 0, Revision(0)
        for record in self.history.since(revision):
            if record.main <= compacted and not self.index.keeps(record, compacted):
                continue
            if record.main != main:
                full = len(events) >= limit or (bytes_max is not None and weight >= bytes_max)
                if full and events:
                    return Scan(events, main)
                main = record.main
            weight += len(record.key) + len(record.value)
            events.append(Event(record, self.previous_of(record)))
        return Scan(events, self.revision)

    def previous_of(self, record: Record) -> Record | None:
        """What the record's event calls the previous one, unless that is compacted (`Event`)."""
        before = record.main - 1
        if record.key_version == 1 or before < self.compact_revision:
            return None
        return self.index.at(record.key, before)

    def compact(self, revision: int) -> None:
        """Refuse reads below `revision` from now on and schedule the dropping of what they need.

        StoreError if that is compacted already or not reached.
        """
        if revision <= self.compact_revision:
            raise errors.compacted()
        if revision > self.revision:
            raise errors.future_revision()
        self.compact_revision = Revision(revision)
        self._compaction = Compaction(self.compact_revision)

    def compaction_pending(self) -> bool:
        """Whether superseded records still wait to be dropped."""
        return self._compaction is not None

    def compaction_step(self, records_max: int = 2_000) -> bool:
        """Drop some of them, looking at about `records_max` records. True while more is left."""
        if self._compaction is None:
            return False
        if not self._compaction.step(self.history, self.index, records_max):
            self._compaction = None
        return self._compaction is not None

    def forget_step(self) -> bool:
        """Give back some of the memory that a restore set free. True while more may be left."""
        return next(self._discarded, self) is not self

    def hash_kv(self, revision: int = 0) -> HashKv:
        """A checksum of the key space at `revision` (0: now), the same on all members.

        It covers every record that a reader or watcher could still ask for. StoreError if the
        revision is compacted or not reached. Takes time in proportion to the history.
        """
        for result in self.hash_kv_steps(revision):
            if result is not None:
                return result
        raise AssertionError("hash_kv_steps ends with a result")

    def hash_kv_steps(self, revision: int = 0) -> Iterator[HashKv | None]:
        """As `hash_kv` in slices of bounded work: None after each, the result at last.

        Writes and compaction may go on between slices. StoreError if a compaction overtakes it.
        """
        return hashing.hash_kv_steps(self, revision)

    def snapshot_chunks(self) -> Iterator[bytes]:
        """All records and revisions as of this call, encoded as the iterator is read."""
        return snapshot.encode(self.revision, self.compact_revision, self.history.view())

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Become what `snapshot_chunks` saw. SnapshotCorruptError leaves everything as it was."""
        restored = snapshot.decode(chunks)
        index = KeyIndex.build(iter(restored.records))
        history = History(restored.records, block_records=self._block_records)
        self._become(restored.revision, restored.compact_revision, index, history)

    def restore_steps(self, chunks: Iterable[bytes]) -> Iterator[None]:
        """As `restore`, in slices of bounded work; it is the old store until the last one."""
        feed = iter(chunks)
        revision, compact_revision = snapshot.decode_head(next(feed, b""))
        index, history = KeyIndex(), History(block_records=self._block_records)
        for records in snapshot.decode_records(feed):
            for begin in range(0, len(records), RESTORE_RECORDS):
                for record in records[begin : begin + RESTORE_RECORDS]:
                    index.load(record)
                    history.append(record)
                yield
        self._discarded = _forget(self.index, self.history)
        self._become(revision, compact_revision, index, history)

    def _become(
        self, revision: Revision, compact_revision: Revision, index: KeyIndex, history: History
    ) -> None:
        self.index = index
        self.history = history
        self.revision = revision
        self.compact_revision = compact_revision
        pending = compact_revision > 0
        self._compaction = Compaction(compact_revision) if pending else None


def _forget(index: KeyIndex, history: History) -> Iterator[None]:
    """Give the memory of a store that nobody reads any more back, in slices."""
    index.older.clear()
    index.dead.clear()
    while index.live:
        for _ in range(min(len(index.live), RESTORE_RECORDS)):
            index.live.popitem()
        yield
    while history.drop_block():
        yield


class Writer:
    """The changes of one revision, each visible to the next at once.

    Nothing is undone: whatever may fail is checked before the first change.
    """

    __slots__ = ("_history", "_index", "_main", "_store", "events")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index = store.index
        self._history = store.history
        self._main = Revision(store.revision + 1)
        self.events: list[Event] = []

    @property
    def revision(self) -> Revision:
        """What a response made now says: the new revision once anything has changed."""
        return self._main if self.events else self._store.revision

    def put(self, key: bytes, value: bytes, lease: int) -> Record | None:
        """Write a key; what it was until now, if it lived."""
        previous = self._index.live.get(key)
        main = self._main
        if previous is None:
            record = Record(main, len(self.events), key, value, main, 1, lease)
        else:
            record = Record(
                main,
                len(self.events),
                key,
                value,
                previous.create_revision,
                previous.key_version + 1,
                lease,
            )
        self._index.put(record)
        self._add(record, previous)
        return previous

    def delete(self, keys: KeyRange) -> list[Record]:
        """Delete the keys of a range, in order; what they were until now."""
        if keys.end == keys.start + b"\0":
            only = self._index.live.get(keys.start)
            doomed = [] if only is None else [only]
        else:
            doomed = self._index.current(keys)
        for previous in doomed:
            record = tombstone(self._main, len(self.events), previous.key)
            self._index.delete(record)
            self._add(record, previous)
        return doomed

    def _add(self, record: Record, previous: Record | None) -> None:
        """Remember a change.

        The key may have changed in this revision before (validate.py says how it could); `previous`
        then goes back to what it was before the revision.
        """
        if previous is not None and previous.main == self._main:
            previous = self._index.at(record.key, self._main - 1)
        self._history.append(record)
        self.events.append(Event(record, previous))

    def range(self, request: RangeRequest, response: RangeResponse) -> None:
        """Answer a range inside the txn; its revision is checked already."""
        response.header.revision = self.revision
        fill_range(response, request, KeySpace(self._index, self._history), self.revision)

    def end(self) -> list[Event]:
        """Make the changes the store's new revision, if there are any, and name them."""
        if self.events:
            self._store.revision = self._main
        return self.events
