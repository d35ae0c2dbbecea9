"""Cases of transactions and compaction that are easy to get wrong, each worth reading alone.

Breadth comes from the comparison with etcd in tests/integration/test_apply_against_etcd.py.
"""

from __future__ import annotations

import pytest

from etcdclient.pb import rpc_pb2 as pb
from raftstore.errors import Code, StoreError
from raftstore.lease.errors import lease_not_found
from raftstore.mvcc import txn
from raftstore.mvcc.store import Store

EVERYTHING = pb.RangeRequest(key=b"\0", range_end=b"\0")


def no_lease(lease_id: int) -> None:
    raise lease_not_found()


def put(key: bytes, value: bytes = b"", **options: bool) -> pb.RequestOp:
    return pb.RequestOp(request_put=pb.PutRequest(key=key, value=value, **options))


def run(store: Store, request: pb.TxnRequest) -> pb.TxnResponse:
    return txn.txn(store, request, no_lease)[0]


def test_nested_compares_see_the_state_before_the_txn() -> None:
    store = Store()
    created = pb.Compare(key=b"a", target=pb.Compare.VERSION, version=1)
    nested = pb.TxnRequest(compare=[created], success=[put(b"yes")], failure=[put(b"no")])
    run(store, pb.TxnRequest(success=[put(b"a"), pb.RequestOp(request_txn=nested)]))
    assert [kv.key for kv in store.range(EVERYTHING).kvs] == [b"a", b"no"]


def test_a_txn_that_fails_late_changes_nothing() -> None:
    store = Store()
    future = pb.RequestOp(request_range=pb.RangeRequest(key=b"a", revision=9))
    with pytest.raises(StoreError, match="future revision") as refusal:
        run(store, pb.TxnRequest(success=[put(b"a"), future]))
    assert refusal.value.code == Code.OUT_OF_RANGE
    leased = pb.RequestOp(request_put=pb.PutRequest(key=b"b", lease=5))
    with pytest.raises(StoreError, match="lease not found"):
        run(store, pb.TxnRequest(success=[put(b"a"), leased]))
    assert (store.revision, store.range(EVERYTHING).count) == (1, 0)


def test_no_value_compares_with_a_missing_key() -> None:
    store = Store()
    for result in ("EQUAL", "NOT_EQUAL", "LESS", "GREATER"):
        compare = pb.Compare(key=b"a", target=pb.Compare.VALUE, result=result, value=b"")
        assert not run(store, pb.TxnRequest(compare=[compare])).succeeded


def test_a_range_compare_holds_if_it_holds_for_every_key() -> None:
    store = Store()
    run(store, pb.TxnRequest(success=[put(b"a", b"1"), put(b"b", b"2")]))
    below = pb.Compare(key=b"a", range_end=b"c", target=pb.Compare.VALUE, value=b"3", result="LESS")
    assert run(store, pb.TxnRequest(compare=[below])).succeeded
    below.value = b"2"
    assert not run(store, pb.TxnRequest(compare=[below])).succeeded


def clear_and_put(store: Store) -> None:
    everything = pb.DeleteRangeRequest(key=b"\0", range_end=b"\0")
    run(store, pb.TxnRequest(success=[pb.RequestOp(request_delete_range=everything), put(b"a")]))


def test_a_key_deleted_and_put_again_in_one_revision_survives_compaction_there() -> None:
    """etcd-io/etcd issue 22376: etcd loses it."""
    store = Store()
    run(store, pb.TxnRequest(success=[put(b"a"), put(b"b")]))
    clear_and_put(store)
    assert store.revision == 3
    before = store.range(EVERYTHING)
    store.compact(3)
    assert store.hash_kv().compact_revision == 3
    assert not store.compaction_step()
    assert store.range(EVERYTHING) == before
    assert [(kv.key, kv.create_revision, kv.version) for kv in before.kvs] == [(b"a", 3, 1)]
    copy = Store()
    copy.restore(store.snapshot_chunks())
    assert copy.range(EVERYTHING) == before
    assert copy.hash_kv() == store.hash_kv()


def test_keeping_the_value_of_a_key_that_the_txn_deleted_keeps_nothing() -> None:
    """Etcd panics here; the member must not."""
    store = Store()
    run(store, pb.TxnRequest(success=[put(b"a", b"value")]))
    everything = pb.DeleteRangeRequest(key=b"\0", range_end=b"\0")
    delete = pb.RequestOp(request_delete_range=everything)
    run(store, pb.TxnRequest(success=[delete, put(b"a", ignore_value=True)]))
    assert [(kv.key, kv.value, kv.version) for kv in store.range(EVERYTHING).kvs] == [
        (b"a", b"", 1)
    ]


def test_a_delete_at_the_compact_revision_can_still_be_watched() -> None:
    """etcd-io/etcd pull request 18274; the next compaction drops it."""
    store = Store()
    run(store, pb.TxnRequest(success=[put(b"a")]))
    txn.delete_range(store, pb.DeleteRangeRequest(key=b"a"))
    run(store, pb.TxnRequest(success=[put(b"b")]))
    store.compact(3)
    assert not store.compaction_step()
    assert [repr(event) for event in store.events_since(3, 9)] == [
        "3.0 DELETE b'a'",
        "4.0 PUT b'b'",
    ]
    store.compact(4)
    assert not store.compaction_step()
    assert [record.key for record in store.history.since(0)] == [b"b"]
    assert not store.index.dead


def test_compaction_works_in_slices_and_refuses_old_reads_at_once() -> None:
    store = Store(block_records=10)
    for _ in range(100):
        run(store, pb.TxnRequest(success=[put(b"a")]))
    store.compact(101)
    with pytest.raises(StoreError, match="compacted"):
        store.range(pb.RangeRequest(key=b"a", revision=100))
    steps = 1
    while store.compaction_step(records_max=10):
        steps += 1
    assert steps >= 10
    assert len(list(store.history.since(0))) == 1


def test_hashing_in_slices_stops_if_a_compaction_overtakes_it() -> None:
    store = Store(block_records=2)
    for _ in range(6):
        run(store, pb.TxnRequest(success=[put(b"a")]))
    whole = store.hash_kv()
    slices = store.hash_kv_steps()
    assert next(slices) is None
    run(store, pb.TxnRequest(success=[put(b"a")]))
    assert [result for result in slices if result is not None] == [whole]
    overtaken = store.hash_kv_steps()
    next(overtaken)
    store.compact(store.revision)
    with pytest.raises(StoreError, match="compacted"):
        list(overtaken)
