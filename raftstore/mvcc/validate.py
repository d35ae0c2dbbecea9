"""What is wrong with a request, whatever the state: checked before proposing, and again at apply.

Each function raises StoreError with the code and text that etcd's v3rpc layer would send (etcd
server/etcdserver/api/v3rpc/key.go), or returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from etcdclient.pb.rpc_pb2 import (
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)
from raftstore.mvcc import errors
from raftstore.mvcc.key_range import KeyRange

TXN_OPS_MAX: Final = 128
"""Etcd's default of --max-txn-ops."""
OPS_UNLIMITED: Final = 1 << 62
"""For apply: the limit is a flag of the member that proposed, and may differ between members."""


def check_range(request: RangeRequest) -> None:
    """A key, and a sort order and target that exist."""
    if not request.key:
        raise errors.empty_key()
    if not 0 <= request.sort_order <= 2 or not 0 <= request.sort_target <= 4:
        raise errors.invalid_sort_option()


def check_put(request: PutRequest) -> None:
    """A key, and no value or lease that the request says to ignore."""
    if not request.key:
        raise errors.empty_key()
    if request.ignore_value and request.value:
        raise errors.value_provided()
    if request.ignore_lease and request.lease:
        raise errors.lease_provided()


def check_delete_range(request: DeleteRangeRequest) -> None:
    """A key."""
    if not request.key:
        raise errors.empty_key()


def check_txn(request: TxnRequest, ops_max: int = TXN_OPS_MAX) -> None:
    """Each part of it, at most `ops_max` compares or operations in a branch, no key changed twice.

    A nested txn may use only what the one around it leaves of `ops_max`.
    """
    _check_txn_parts(request, ops_max)
    for ops in (request.success, request.failure):
        if len(ops) > 1 or (ops and ops[0].HasField("request_txn")):
            _check_branch_keys(ops)


def _check_txn_parts(request: TxnRequest, ops_max: int) -> None:
    success, failure = request.success, request.failure
    ops = max(len(request.compare), len(success), len(failure))
    if ops > ops_max:
        raise errors.too_many_operations()
    for compare in request.compare:
        if not compare.key:
            raise errors.empty_key()
    for op in success:
        _check_op(op, ops_max - ops)
    for op in failure:
        _check_op(op, ops_max - ops)


def _check_op(op: RequestOp, ops_left: int) -> None:
    match op.WhichOneof("request"):
        case "request_put":
            check_put(op.request_put)
        case "request_range":
            check_range(op.request_range)
        case "request_delete_range":
            check_delete_range(op.request_delete_range)
        case "request_txn":
            _check_txn_parts(op.request_txn, ops_left)
        case _:
            raise errors.key_not_found()


def _check_branch_keys(ops: Iterable[RequestOp]) -> tuple[set[bytes], list[KeyRange]]:
    """Refuse a branch that changes a key twice; return what it puts and deletes (checkIntervals).

    The two branches of a nested txn exclude each other, so they may change the same key. What an
    earlier nested txn puts, a later one may delete: an oversight of etcd's, kept like all of it.
    """
    puts: set[bytes] = set()
    deletes: list[KeyRange] = []
    own_puts: list[bytes] = []
    nested: list[TxnRequest] = []
    for op in ops:
        match op.WhichOneof("request"):
            case "request_put":
                own_puts.append(op.request_put.key)
            case "request_delete_range":
                deletes.append(_checked_range(op.request_delete_range))
            case "request_txn":
                nested.append(op.request_txn)
    for txn in nested:
        then_puts, then_deletes = _check_branch_keys(txn.success)
        else_puts, else_deletes = _check_branch_keys(txn.failure)
        _refuse_second_change(then_puts | else_puts, puts, deletes)
        puts |= then_puts | else_puts
        deletes += then_deletes
        deletes += else_deletes
    for key in own_puts:
        _refuse_second_change((key,), puts, deletes)
        puts.add(key)
    return puts, deletes


def _checked_range(request: DeleteRangeRequest) -> KeyRange:
    """What a delete covers as far as this check goes.

    Etcd takes a `range_end` of `\\0` for an end before all keys here, so a delete from a key to the
    end may go with a put of a key in it. Clients may rely on that, so it is kept.
    """
    if not request.range_end:
        return KeyRange.of(request.key, b"")
    return KeyRange(request.key, request.range_end)


def _refuse_second_change(keys: Iterable[bytes], puts: set[bytes], deletes: list[KeyRange]) -> None:
    for key in keys:
        if key in puts or any(key in deleted for deleted in deletes):
            raise errors.duplicate_key()
