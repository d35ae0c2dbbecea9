"""Carrying out puts, deletes and transactions: every check first, then every change.

Owns the order in which etcd looks at a txn (server/etcdserver/txn/txn.go): all compares, nested
ones too, see the state before the txn; then what may fail is checked along the chosen branches;
then operations run in order and see each other's changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from etcdclient.pb.rpc_pb2 import (
    Compare,
    DeleteRangeRequest,
    DeleteRangeResponse,
    PutRequest,
    PutResponse,
    RequestOp,
    TxnRequest,
    TxnResponse,
)
from raftstore.mvcc import errors
from raftstore.mvcc.key_index import KeyIndex
from raftstore.mvcc.key_range import KeyRange
from raftstore.mvcc.revision import Record, Revision
from raftstore.mvcc.store import Store, Writer

CheckLease = Callable[[int], None]
"""Raises StoreError if no such lease was granted. Never called with 0, which is no lease."""

_MISSING: Final = Record(Revision(0), 0, b"", b"", Revision(0), 0, 0)

# What each compare target reads from a record, and from the compare. A target_union that does not
# fit the target reads as its zero value, as in etcd.
_SIDES: Final[dict[int, tuple[Callable[[Record], Any], Callable[[Compare], Any]]]] = {
    Compare.VERSION: (attrgetter("key_version"), attrgetter("version")),
    Compare.CREATE: (attrgetter("create_revision"), attrgetter("create_revision")),
    Compare.MOD: (attrgetter("main"), attrgetter("mod_revision")),
    Compare.VALUE: (attrgetter("value"), attrgetter("value")),
    Compare.LEASE: (attrgetter("lease"), attrgetter("lease")),
}


def put(store: Store, request: PutRequest, check_lease: CheckLease) -> tuple[PutResponse, Writer]:
    """A put on its own, which looks at the lease first, as etcd. The writer is ended."""
    if request.lease:
        check_lease(request.lease)
    _check_kept(store.index, request)
    writer = store.write()
    response = PutResponse()
    _put(writer, store.index, request, response)
    writer.end()
    return response, writer


def delete_range(store: Store, request: DeleteRangeRequest) -> tuple[DeleteRangeResponse, Writer]:
    """A delete on its own; of nothing, it makes no revision. The writer is ended."""
    writer = store.write()
    response = DeleteRangeResponse()
    _delete_range(writer, request, response)
    writer.end()
    return response, writer


def txn(store: Store, request: TxnRequest, check_lease: CheckLease) -> tuple[TxnResponse, Writer]:
    """A transaction: all of it or, with StoreError, nothing. The writer is ended."""
    branch = _choose(store.index, request)
    _check_branch(store, branch, check_lease)
    writer = store.write()
    response = TxnResponse()
    _run_branch(writer, store.index, branch, response)
    response.header.revision = writer.revision
    writer.end()
    return response, writer


class _Branch(NamedTuple):
    """The operations that a txn's compares chose, each with its kind, and those of nested txns."""

    succeeded: bool
    ops: Sequence[tuple[str | None, RequestOp]]
    nested: Sequence[_Branch]


def _choose(index: KeyIndex, request: TxnRequest) -> _Branch:
    succeeded = True
    for compare in request.compare:
        if not _holds(index, compare):
            succeeded = False
            break
    chosen = request.success if succeeded else request.failure
    ops = [(op.WhichOneof("request"), op) for op in chosen]
    nested = [_choose(index, op.request_txn) for kind, op in ops if kind == "request_txn"]
    return _Branch(succeeded, ops, nested)


def _holds(index: KeyIndex, compare: Compare) -> bool:
    """Whether all keys of the range satisfy the compare; a missing key counts as one of zeros.

    But no value equals, differs from or is less than that of a missing key (etcd applyCompare).
    """
    if not compare.range_end:
        record = index.live.get(compare.key)
        if record is None:
            return compare.target != Compare.VALUE and _compare(_MISSING, compare)
        return _compare(record, compare)
    records = index.current(KeyRange.of(compare.key, compare.range_end))
    if not records:
        return compare.target != Compare.VALUE and _compare(_MISSING, compare)
    return all(_compare(record, compare) for record in records)


def _compare(record: Record, compare: Compare) -> bool:
    """Targets or results that do not exist compare as etcd's switch statements let them."""
    sides = _SIDES.get(compare.target)
    if sides is None:
        difference = 0
    else:
        actual, wanted = sides[0](record), sides[1](compare)
        difference = (actual > wanted) - (actual < wanted)
    match compare.result:
        case 0:
            return difference == 0
        case 1:
            return difference > 0
        case 2:
            return difference < 0
        case 3:
            return difference != 0
    return True


def _check_kept(index: KeyIndex, request: PutRequest) -> None:
    """A put that keeps something of the key needs the key."""
    if (request.ignore_value or request.ignore_lease) and request.key not in index.live:
        raise errors.key_not_found()


def _check_branch(store: Store, branch: _Branch, check_lease: CheckLease) -> None:
    """All puts before all ranges, as etcd: it decides which of two errors is answered."""
    _check_branch_puts(store.index, branch, check_lease)
    _check_branch_ranges(store, branch)


def _check_branch_puts(index: KeyIndex, branch: _Branch, check_lease: CheckLease) -> None:
    nested = iter(branch.nested)
    for kind, op in branch.ops:
        if kind == "request_put":
            _check_kept(index, op.request_put)
            if op.request_put.lease:
                check_lease(op.request_put.lease)
        elif kind == "request_txn":
            _check_branch_puts(index, next(nested), check_lease)


def _check_branch_ranges(store: Store, branch: _Branch) -> None:
    nested = iter(branch.nested)
    for kind, op in branch.ops:
        if kind == "request_range":
            revision = op.request_range.revision
            if revision:
                store.check_readable(revision)
        elif kind == "request_txn":
            _check_branch_ranges(store, next(nested))


def _run_branch(writer: Writer, index: KeyIndex, branch: _Branch, response: TxnResponse) -> None:
    """Carry out the operations; the header is for the caller, as only the outermost txn has one."""
    response.succeeded = branch.succeeded
    nested = iter(branch.nested)
    for kind, op in branch.ops:
        answer = response.responses.add()
        if kind == "request_put":
            _put(writer, index, op.request_put, answer.response_put)
        elif kind == "request_range":
            writer.range(op.request_range, answer.response_range)
        elif kind == "request_delete_range":
            _delete_range(writer, op.request_delete_range, answer.response_delete_range)
        else:
            assert kind == "request_txn", kind
            answer.response_txn.header.SetInParent()
            _run_branch(writer, index, next(nested), answer.response_txn)


def _put(writer: Writer, index: KeyIndex, request: PutRequest, response: PutResponse) -> None:
    key, value, lease = request.key, request.value, request.lease
    if request.ignore_value or request.ignore_lease:
        # The key was there before the txn, but an operation of the txn may have deleted it: etcd
        # panics at that, here nothing is left to keep.
        kept = index.live.get(key, _MISSING)
        if request.ignore_value:
            value = kept.value
        if request.ignore_lease:
            lease = kept.lease
    previous = writer.put(key, value, lease)
    response.header.revision = writer.revision
    if previous is not None and request.prev_kv:
        response.prev_kv.CopyFrom(previous.to_pb())


def _delete_range(
    writer: Writer, request: DeleteRangeRequest, response: DeleteRangeResponse
) -> None:
    deleted = writer.delete(KeyRange.of(request.key, request.range_end))
    response.header.revision = writer.revision
    response.deleted = len(deleted)
    if request.prev_kv:
        response.prev_kvs.extend(record.to_pb() for record in deleted)
