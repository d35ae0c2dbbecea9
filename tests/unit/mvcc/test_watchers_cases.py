"""Watcher behaviour that deserves a readable case beside the model test."""

from __future__ import annotations

import pytest

from etcdclient.pb import rpc_pb2 as pb
from raftstore.errors import Code, StoreError
from raftstore.mvcc.key_range import KeyRange
from raftstore.mvcc.revision import Event
from raftstore.mvcc.store import Store
from raftstore.mvcc.watchers import Watcher, Watchers


def write(store: Store, *keys: bytes, value: bytes = b"") -> list[Event]:
    """Put the keys in one revision."""
    writer = store.write()
    for key in keys:
        writer.put(key, value, 0)
    return writer.end()


def test_a_range_without_keys_cannot_be_watched() -> None:
    watchers = Watchers(Store())
    with pytest.raises(StoreError, match=r"^mvcc: watcher range is empty$") as refusal:
        watchers.add(Watcher(1, b"b", b"a"))
    assert refusal.value.code == Code.INVALID_ARGUMENT


def test_an_empty_key_watches_from_the_first_key_on() -> None:
    store = Store()
    watchers = Watchers(store)
    watchers.add(Watcher(1, b"", b"\0"))
    (delivery,) = watchers.notify(write(store, b"\0", b"z"))
    assert len(delivery.events) == 2


def test_the_wire_form_is_built_once_for_all() -> None:
    store = Store()
    write(store, b"a")
    (event,) = write(store, b"a")
    assert event.to_pb(prev_kv=True) is event.to_pb(prev_kv=True)
    assert event.to_pb(prev_kv=False) is event.to_pb(prev_kv=False)
    assert event.to_pb(prev_kv=True).prev_kv.mod_revision == 2
    assert not event.to_pb(prev_kv=False).HasField("prev_kv")


def test_catching_up_keeps_to_its_bounds() -> None:
    store = Store()
    for _ in range(50):
        write(store, b"a", value=b"v" * 99)
    watchers = Watchers(store)
    watcher = Watcher(1, b"a", start_revision=1)
    watchers.add(watcher)
    (by_count,) = watchers.sync(records_max=10).deliveries
    assert len(by_count.events) == 10
    (by_weight,) = watchers.sync(bytes_max=1_000).deliveries
    assert len(by_weight.events) == 10
    (rest,) = watchers.sync().deliveries
    assert len(rest.events) == 30
    assert watchers.is_synced(watcher)
    assert not watchers.has_unsynced


def test_events_of_one_revision_stay_together_whatever_the_limit() -> None:
    store = Store()
    write(store, b"a", b"b", b"c")
    write(store, b"d")
    assert [event.record.main for event in store.events_since(2, 1)] == [2, 2, 2]
    assert [event.record.main for event in store.events_since(2, 3)] == [2, 2, 2]
    assert [event.record.main for event in store.events_since(2, 4)] == [2, 2, 2, 3]


def test_nobody_starves_behind_a_watcher_that_always_lags() -> None:
    store = Store()
    for _ in range(40):
        write(store, b"a")
    watchers = Watchers(store)
    late = Watcher(1, b"a", start_revision=35)
    watchers.add(late)
    for number in range(40):
        watchers.add(Watcher(2 + number, b"a", start_revision=1))
        watchers.sync(records_max=2)
        if watchers.is_synced(late):
            break
    assert watchers.is_synced(late)


def test_an_idle_watcher_survives_a_compaction_and_a_restore_beyond_its_last_event() -> None:
    """It has seen all there was, so it is not too late, however old its last event is."""
    store = Store()
    watchers = Watchers(store)
    idle = Watcher(1, b"idle")
    watchers.add(idle)
    for _ in range(5):
        watchers.notify(write(store, b"busy"))
    store.compact(store.revision)
    leader = Store()
    leader.restore(store.snapshot_chunks())
    write(leader, b"idle")
    store.restore(leader.snapshot_chunks())
    watchers.on_restored()
    assert not watchers.is_synced(idle)
    assert watchers.progress(idle) is None
    step = watchers.sync()
    assert step.compacted == []
    assert [event.record.key for delivery in step.deliveries for event in delivery.events] == [
        b"idle"
    ]
    assert watchers.progress(idle) == store.revision


def test_a_watcher_that_starts_below_the_compact_revision_is_reported_and_gone() -> None:
    store = Store()
    for _ in range(5):
        write(store, b"a")
    store.compact(4)
    watchers = Watchers(store)
    early, exact = Watcher(1, b"a", start_revision=3), Watcher(2, b"a", start_revision=4)
    watchers.add(early)
    watchers.add(exact)
    step = watchers.sync()
    assert step.compacted == [early]
    assert [(delivery.watcher, len(delivery.events)) for delivery in step.deliveries] == [
        (exact, 3)
    ]
    assert not watchers.has_unsynced


def delete(store: Store, key: bytes) -> list[Event]:
    """Delete one key in one revision."""
    writer = store.write()
    writer.delete(KeyRange.of(key, b""))
    return writer.end()


def test_counting_at_an_old_revision_works_out_what_changed_since() -> None:
    store = Store()
    write(store, b"a", b"b", b"c", b"d")
    at = store.revision
    everything = pb.RangeRequest(key=b"\0", range_end=b"\0", revision=at, limit=1)
    for changes in ([b"a"], [b"e"], [b"a", b"f"], [b"g", b"h", b"i"], [b"j"]):
        write(store, *changes)
        page = store.range(everything)
        assert (page.count, page.more, len(page.kvs)) == (4, True, 1)
        everything.count_only = True
        assert store.range(everything).count == 4
        everything.count_only = False
    for key in (b"b", b"e", b"f", b"g", b"h", b"i", b"j"):
        delete(store, key)
        page = store.range(everything)
        assert (page.count, page.more, page.kvs[0].key) == (4, True, b"a")
