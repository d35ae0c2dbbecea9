"""Who gets which event: prefixes, selectors, bounds, history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.store.history import History
from apiserver.store.index import KeyIndex, prefix_end
from apiserver.store.objects import Event, EventType, StoredObject, encode_value
from apiserver.store.watchers import Watcher, Watchers, transition

PREFIX = "/registry/pods/a/"


def _stored(key: str, revision: int, label: str = "") -> StoredObject:
    metadata = {"name": key.rpartition("/")[2], "labels": {"l": label}}
    obj = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata}
    return StoredObject(key, encode_value(obj), revision)


def _event(revision: int, key: str = PREFIX + "x", label: str = "") -> Event:
    return Event(revision, key, _stored(key, revision, label), None)


def _wanted(stored: StoredObject) -> bool:
    return bool(stored.decoded["metadata"]["labels"]["l"] == "in")


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [
        (None, "in", EventType.ADDED),
        (None, "out", None),
        ("in", "in", EventType.MODIFIED),
        ("out", "in", EventType.ADDED),
        ("in", "out", EventType.DELETED),
        ("out", "out", None),
        ("in", None, EventType.DELETED),
        ("out", None, None),
    ],
)
def test_entering_and_leaving(
    before: str | None, after: str | None, seen: EventType | None
) -> None:
    key = PREFIX + "x"
    previous = None if before is None else _stored(key, 1, before)
    current = None if after is None else _stored(key, 2, after)
    event = Event(2, key, current, previous)
    assert transition(event, _wanted) is seen
    assert transition(event, None) is event.type


def test_dispatch_by_prefix_and_version() -> None:
    watchers = Watchers()
    wakes: list[int] = []
    all_pods, mine, late, others = (
        Watcher(prefix, None, after=after, wake=lambda: wakes.append(1))
        for prefix, after in (
            ("/registry/pods/", 0),
            (PREFIX, 0),
            (PREFIX, 5),
            ("/registry/pods/b/", 0),
        )
    )
    for watcher in (all_pods, mine, late, others):
        watchers.add(watcher)
    event = _event(5)
    watchers.dispatch(event)
    assert all_pods.take() == mine.take() == [(EventType.ADDED, event)]
    assert late.take() == others.take() == []
    assert len(wakes) == 2
    watchers.discard(mine)
    watchers.dispatch(_event(6))
    assert mine.take() == []
    assert len(watchers) == 3


def test_a_slow_watcher_is_cut_at_its_bound() -> None:
    watcher = Watcher(PREFIX, None, after=0, wake=lambda: None, queue_max=3)
    closed = []
    for revision in range(1, 5):
        watcher.offer(_event(revision))
        closed.append(watcher.closed)
    assert closed == ["", "", "", "slow"]
    assert watcher.take() == []


def test_history_forgets_whole_revisions() -> None:
    history = History(10, events_max=3)
    for revision in (11, 12, 12, 13):
        history.append(_event(revision))
    assert history.floor == 11
    assert [event.revision for event in history.since(11, PREFIX)] == [12, 12, 13]
    history.append(_event(14))
    assert history.floor == 12
    assert [event.revision for event in history.since(12, PREFIX)] == [13, 14]
    assert list(history.since(12, "/registry/pods/b/")) == []


def test_history_is_bounded_in_bytes() -> None:
    size = len(_event(1).frame(EventType.ADDED, "v1"))
    history = History(0, bytes_max=3 * size)
    for revision in range(1, 20):
        history.append(_event(revision))
    assert 1 <= len(history) <= 4
    assert history.floor == 19 - len(history)


@given(st.dictionaries(st.text("ab/-", min_size=1, max_size=4), st.integers(1, 9), max_size=30))
def test_the_index_is_the_sorted_map(content: dict[str, int]) -> None:
    index = KeyIndex()
    for name, revision in content.items():
        index.replace(PREFIX + name, _stored(PREFIX + name, revision))
    index.replace("/registry/pods/aa/z", _stored("/registry/pods/aa/z", 1))
    expected = sorted(PREFIX + name for name in content)
    assert [stored.key for stored in index.scan(PREFIX)] == expected
    assert index.count(PREFIX) == len(expected)
    for start in expected:
        after = [key for key in expected if key > start]
        assert [stored.key for stored in index.scan(PREFIX, start + "\0")] == after
        assert index.count(PREFIX, start + "\0") == len(after)


def test_prefix_end_is_the_next_prefix() -> None:
    assert prefix_end("/registry/pods/") == "/registry/pods0"
