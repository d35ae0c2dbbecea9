"""Watchers under any interleaving of writes, slow catching up, pauses, compaction and restores.

Each must be given exactly the events of its keys from its start on that pass its filters, once and
in order, or be told that its start is compacted.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from raftstore.mvcc.key_range import KeyRange
from raftstore.mvcc.revision import Event
from raftstore.mvcc.store import Store
from raftstore.mvcc.watchers import Delivery, Watcher, Watchers

KEYS = [b"a", b"b", b"ba", b"c"]
RANGES = [(b"a", b""), (b"b", b""), (b"b", b"c"), (b"a", b"b"), (b"\0", b"\0"), (b"ba", b"\0")]


class Watching(RuleBasedStateMachine):
    running: Bundle[Watcher] = Bundle("running")
    paused: Bundle[Watcher] = Bundle("paused")

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(block_records=4)
        self.watchers = Watchers(self.store)
        self.events: list[Event] = []
        self.pending: list[Event] = []
        self.given: dict[Watcher, list[Event]] = {}
        self.first: dict[Watcher, int] = {}
        self.paused_at: dict[Watcher, int] = {}
        self.ended: set[Watcher] = set()

    def _write(self, changes: list[tuple[bytes, bool]]) -> None:
        writer = self.store.write()
        for key, is_put in changes:
            if is_put:
                writer.put(key, b"", 0)
            else:
                writer.delete(KeyRange.of(key, b""))
        events = writer.end()
        self.events += events
        self.pending += events

    @rule(changes=st.dictionaries(st.sampled_from(KEYS), st.booleans(), min_size=1))
    def write(self, changes: dict[bytes, bool]) -> None:
        self._write(list(changes.items()))

    @rule()
    def notify(self) -> None:
        self._take(self.watchers.notify(self.pending))
        self.pending = []

    @rule(records_max=st.integers(1, 6), bytes_max=st.integers(1, 100))
    def sync(self, records_max: int, bytes_max: int) -> None:
        step = self.watchers.sync(records_max, bytes_max)
        self._take(step.deliveries)
        for watcher in step.compacted:
            assert watcher.next_revision < self.store.compact_revision
            self.ended.add(watcher)

    def _take(self, deliveries: list[Delivery]) -> None:
        for watcher, events in deliveries:
            assert events
            assert watcher not in self.paused_at
            assert watcher not in self.ended
            self.given[watcher] += events

    @rule(
        target=running,
        keys=st.sampled_from(RANGES),
        back=st.one_of(st.none(), st.integers(-3, 9)),
        no_put=st.booleans(),
        no_delete=st.booleans(),
    )
    def watch(
        self, keys: tuple[bytes, bytes], back: int | None, no_put: bool, no_delete: bool
    ) -> Watcher:
        start = 0 if back is None else max(1, self.store.revision - back)
        watcher = Watcher(
            len(self.given), *keys, start, no_put=no_put and not no_delete, no_delete=no_delete
        )
        self.watchers.add(watcher)
        self.given[watcher] = []
        self.first[watcher] = start or self.store.revision + 1
        return watcher

    @rule(target=paused, watcher=consumes(running), kept=st.integers(0, 5))
    def rewind(self, watcher: Watcher, kept: int) -> Watcher:
        """Its reader is slow: it gives back what it got from some revision on."""
        if watcher in self.ended:
            return watcher
        given = self.given[watcher]
        through = watcher.next_revision
        if kept < len(given):
            through = given[kept].record.main
            self.given[watcher] = [event for event in given if event.record.main < through]
        self.watchers.rewind(watcher, through)
        self.paused_at[watcher] = through
        return watcher

    @rule(target=running, watcher=consumes(paused))
    def resume(self, watcher: Watcher) -> Watcher:
        if watcher not in self.ended:
            del self.paused_at[watcher]
            self.watchers.resume(watcher)
        return watcher

    @rule(watcher=consumes(running))
    def cancel(self, watcher: Watcher) -> None:
        if watcher not in self.ended:
            self.watchers.remove(watcher)
            self.ended.add(watcher)

    @rule(back=st.integers(0, 6))
    def compact(self, back: int) -> None:
        wanted = self.store.revision - back
        if wanted > self.store.compact_revision:
            self.store.compact(wanted)

    @precondition(lambda self: self.store.compaction_pending())
    @rule()
    def compaction_step(self) -> None:
        self.store.compaction_step(records_max=1)

    @precondition(lambda self: not self.pending)
    @rule(changes=st.lists(st.tuples(st.sampled_from(KEYS), st.just(True)), max_size=3))
    def restore(self, changes: list[tuple[bytes, bool]]) -> None:
        """A snapshot brings writes that were never applied here."""
        leader = Store(block_records=4)
        leader.restore(self.store.snapshot_chunks())
        for key, _ in changes:
            writer = leader.write()
            writer.put(key, b"", 0)
            self.events += writer.end()
        self.store.restore(leader.snapshot_chunks())
        self.watchers.on_restored()

    def _expected(self, watcher: Watcher) -> list[Event]:
        return [
            event
            for event in self.events
            if event.record.main >= self.first[watcher]
            and event.record.key in watcher.keys
            and not (watcher.no_delete if event.record.is_tombstone else watcher.no_put)
        ]

    @invariant()
    def each_was_given_the_first_of_its_events(self) -> None:
        for watcher, given in self.given.items():
            expected = self._expected(watcher)[: len(given)]
            assert [event.record for event in given] == [event.record for event in expected]
            for event, original in zip(given, expected, strict=True):
                assert event.previous in (original.previous, None)

    @invariant()
    def the_synced_have_all_that_was_notified(self) -> None:
        waiting = {event.record.main for event in self.pending}
        for watcher, given in self.given.items():
            if watcher in self.ended or not self.watchers.is_synced(watcher):
                continue
            missing = self._expected(watcher)[len(given) :]
            assert {event.record.main for event in missing} <= waiting
            progress = self.watchers.progress(watcher)
            assert progress is not None
            assert all(event.record.main > progress for event in missing)

    def teardown(self) -> None:
        """In the end everyone catches up, or is told that it cannot."""
        self.notify()
        for watcher in self.paused_at:
            self.watchers.resume(watcher)
        self.paused_at.clear()
        while self.watchers.has_unsynced:
            self.sync(3, 1_000)
        for watcher, given in self.given.items():
            if watcher not in self.ended:
                assert len(given) == len(self._expected(watcher)), watcher


TestWatching = Watching.TestCase
TestWatching.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
