"""Snapshots hold the state of the call, in bounded chunks, and are refused when incomplete."""

from __future__ import annotations

import pytest

from raftstore.mvcc import snapshot
from raftstore.mvcc.errors import SnapshotCorruptError
from raftstore.mvcc.key_range import KeyRange
from raftstore.mvcc.store import Store

VALUE = b"v" * 10_000


def filled(keys: int) -> Store:
    store = Store()
    for number in range(keys):
        writer = store.write()
        writer.put(b"key%04d" % number, VALUE, number % 3)
        writer.end()
    return store


def restored(chunks: list[bytes]) -> Store:
    store = Store()
    store.restore(chunks)
    return store


def test_later_writes_and_compaction_do_not_show() -> None:
    store = filled(200)
    expected = list(store.history.since(0))
    at = store.hash_kv()
    chunks = store.snapshot_chunks()
    first = next(chunks)
    writer = store.write()
    writer.put(b"key0001", b"later", 0)
    writer.delete(KeyRange.of(b"key0100", b"\0"))
    writer.end()
    store.compact(store.revision)
    while store.compaction_step(1):
        pass
    copy = restored([first, *chunks])
    assert list(copy.history.since(0)) == expected
    assert copy.hash_kv() == at


def test_a_restored_store_finishes_a_compaction_that_was_under_way() -> None:
    store = filled(3)
    for _ in range(5):
        writer = store.write()
        writer.put(b"key0000", b"", 0)
        writer.end()
    store.compact(store.revision)
    copy = restored(list(store.snapshot_chunks()))
    assert copy.hash_kv() == store.hash_kv()
    assert copy.compaction_pending()
    while copy.compaction_step():
        pass
    assert len(list(copy.history.since(0))) == 3
    assert copy.hash_kv() == store.hash_kv()


def test_chunks_have_a_bounded_size() -> None:
    chunks = list(filled(300).snapshot_chunks())
    assert len(chunks) == 2 + 300 * len(VALUE) // snapshot.CHUNK_BYTES + 1
    assert max(map(len, chunks)) < snapshot.CHUNK_BYTES + 2 * len(VALUE)


def test_an_empty_store_restores_too() -> None:
    copy = restored(list(Store().snapshot_chunks()))
    assert (copy.revision, copy.compact_revision) == (1, -1)
    assert not copy.compaction_pending()


def test_a_damaged_snapshot_changes_nothing() -> None:
    chunks = list(filled(120).snapshot_chunks())
    head, body, end = chunks[0], chunks[1:-1], chunks[-1]
    assert len(body) > 1
    later_format = head[:4] + (snapshot.FORMAT_VERSION + 1).to_bytes(4, "little") + head[8:]
    damaged = {
        "ends before its last chunk": [head, *body],
        "records where": [head, *body[1:], end],
        "not the last": [head, *body, end, end],
        "malformed": [head, *body, end[:-1]],
        "not a snapshot": [*body, end],
        "format version 2 is unknown": [later_format, *body, end],
        "unknown kind": [head, b"????" + body[0][4:], end],
        "cut short": [head, body[0][:20], end],
        "cut short or has": [head, body[0][:-1], end],
    }
    target = filled(2)
    before = target.hash_kv()
    for reason, bad in damaged.items():
        with pytest.raises(SnapshotCorruptError, match=reason):
            target.restore(bad)
        assert target.hash_kv() == before
    with pytest.raises(SnapshotCorruptError, match="not a snapshot"):
        target.restore([])
