"""Requests that are wrong whatever the state, and the exact words in which etcd says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etcdclient.pb import rpc_pb2 as pb
from raftstore.errors import Code, StoreError
from raftstore.mvcc.validate import check_delete_range, check_put, check_range, check_txn

EMPTY_KEY = "etcdserver: key is not provided"
DUPLICATE = "etcdserver: duplicate key given in txn request"
TOO_MANY = "etcdserver: too many operations in txn request"


def put(key: bytes) -> pb.RequestOp:
    return pb.RequestOp(request_put=pb.PutRequest(key=key))


def delete(key: bytes, end: bytes = b"") -> pb.RequestOp:
    return pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=key, range_end=end))


def nested(success: list[pb.RequestOp], failure: list[pb.RequestOp] | None = None) -> pb.RequestOp:
    return pb.RequestOp(request_txn=pb.TxnRequest(success=success, failure=failure))


def refusal_of(check: Callable[[], None]) -> str:
    with pytest.raises(StoreError) as refusal:
        check()
    assert refusal.value.code == Code.INVALID_ARGUMENT
    assert refusal.value.definite
    return refusal.value.text


def test_each_operation_names_a_key() -> None:
    assert refusal_of(lambda: check_range(pb.RangeRequest())) == EMPTY_KEY
    assert refusal_of(lambda: check_put(pb.PutRequest())) == EMPTY_KEY
    assert refusal_of(lambda: check_delete_range(pb.DeleteRangeRequest())) == EMPTY_KEY
    compares = pb.TxnRequest(compare=[pb.Compare()])
    puts = pb.TxnRequest(failure=[put(b"")])
    assert refusal_of(lambda: check_txn(compares)) == EMPTY_KEY
    assert refusal_of(lambda: check_txn(puts)) == EMPTY_KEY


def test_what_is_ignored_may_not_be_given() -> None:
    value = pb.PutRequest(key=b"a", value=b"v", ignore_value=True)
    lease = pb.PutRequest(key=b"a", lease=1, ignore_lease=True)
    assert refusal_of(lambda: check_put(value)) == "etcdserver: value is provided"
    assert refusal_of(lambda: check_put(lease)) == "etcdserver: lease is provided"


def test_sorting_must_be_known() -> None:
    request = pb.RangeRequest.FromString(
        pb.RangeRequest(key=b"a").SerializeToString() + b"\x28\x07"
    )
    assert request.sort_order == 7
    assert refusal_of(lambda: check_range(request)) == "etcdserver: invalid sort option"


def test_an_operation_says_what_it_does() -> None:
    request = pb.TxnRequest(success=[pb.RequestOp()])
    assert refusal_of(lambda: check_txn(request)) == "etcdserver: key not found"


def test_the_number_of_operations_is_bounded() -> None:
    full = [put(b"%d" % number) for number in range(128)]
    check_txn(pb.TxnRequest(success=full, failure=full))
    assert refusal_of(lambda: check_txn(pb.TxnRequest(success=[*full, put(b"x")]))) == TOO_MANY
    inner = nested(full[:127])
    check_txn(pb.TxnRequest(success=[inner]))
    over = pb.TxnRequest(success=[inner, put(b"x")])
    assert refusal_of(lambda: check_txn(over)) == TOO_MANY
    assert refusal_of(lambda: check_txn(pb.TxnRequest(success=full[:3]), 2)) == TOO_MANY


@pytest.mark.parametrize(
    "ops",
    [
        [put(b"a"), put(b"a")],
        [put(b"a"), delete(b"a")],
        [delete(b"a", b"c"), put(b"b")],
        [put(b"b"), nested([put(b"b")])],
        [nested([put(b"b")]), nested([], [put(b"b")])],
        [delete(b"a", b"c"), nested([], [put(b"b")])],
        [nested([delete(b"b")]), put(b"b")],
        [nested([nested([put(b"a"), put(b"a")])])],
    ],
)
def test_no_key_may_change_twice(ops: list[pb.RequestOp]) -> None:
    assert refusal_of(lambda: check_txn(pb.TxnRequest(success=ops))) == DUPLICATE
    assert refusal_of(lambda: check_txn(pb.TxnRequest(failure=ops))) == DUPLICATE


@pytest.mark.parametrize(
    "ops",
    [
        [put(b"a"), put(b"b"), delete(b"c")],
        [delete(b"a"), delete(b"a", b"c")],
        [nested([put(b"a")], [put(b"a")])],
        [nested([put(b"a")], [delete(b"a")])],
        [delete(b"a", b"c"), put(b"c")],
    ],
)
def test_other_mixtures_are_fine(ops: list[pb.RequestOp]) -> None:
    check_txn(pb.TxnRequest(success=ops, failure=ops))
