"""Answering a RangeRequest: which records, in which order, how many, and how much of each.

Source: etcd server/etcdserver/txn/range.go, whose order of filtering, sorting and cutting is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from operator import attrgetter
from typing import Any, Final, NamedTuple

from etcdclient.pb.rpc_pb2 import RangeRequest, RangeResponse
from raftstore.mvcc.history import History
from raftstore.mvcc.key_index import KeyIndex
from raftstore.mvcc.key_range import KeyRange
from raftstore.mvcc.revision import Record

_SORT_KEYS: Final[dict[int, Callable[[Record], Any]]] = {
    RangeRequest.KEY: attrgetter("key"),
    RangeRequest.VERSION: attrgetter("key_version"),
    RangeRequest.CREATE: attrgetter("create_revision"),
    RangeRequest.MOD: attrgetter("main"),
    RangeRequest.VALUE: attrgetter("value"),
}


class KeySpace(NamedTuple):
    """What there is to read: an index and the history that it was made from."""

    keys: KeyIndex
    history: History


def fill_range(
    response: RangeResponse, request: RangeRequest, key_space: KeySpace, revision: int
) -> None:
    """Put into `response` what `request` finds at `revision`, all but the header.

    A request for 0 or a revision not below `revision` sees the newest records, those of an
    unfinished txn included. The caller has checked that the revision can be read.
    """
    key = request.key
    if not request.range_end and not 0 < request.revision < revision and not _has_bounds(request):
        record = key_space.keys.live.get(key)
        if record is None:
            return
        response.count = 1
        if not request.count_only:
            _add_kv(response, record, keys_only=request.keys_only)
        return
    records, count = _find(request, KeyRange.of(key, request.range_end), key_space, revision)
    response.count = count
    if request.count_only:
        return
    if _has_bounds(request):
        records = [record for record in records if _within_bounds(record, request)]
    records = _sorted(records, request)
    limit = request.limit
    if 0 < limit < len(records):
        del records[limit:]
        response.more = True
    keys_only = request.keys_only
    for record in records:
        _add_kv(response, record, keys_only=keys_only)


def _find(
    request: RangeRequest, keys: KeyRange, key_space: KeySpace, revision: int
) -> tuple[list[Record], int]:
    """The records to choose from, and how many keys the range has whatever the limit.

    One more than the limit is enough to know whether there is more, unless records get sorted or
    filtered.
    """
    fetch = 0
    if request.limit > 0 and request.sort_order == RangeRequest.NONE and not _has_bounds(request):
        fetch = request.limit + 1
    index = key_space.keys
    if not 0 < request.revision < revision:
        count = index.count(keys)
        return ([] if request.count_only else index.current(keys, fetch)), count
    past = index.past(keys, request.revision)
    if request.count_only:
        return [], _count_past(keys, request.revision, key_space)
    if not fetch:
        records = list(past)
        return records, len(records)
    records = list(islice(past, fetch))
    if len(records) < fetch:
        return records, len(records)
    return records, _count_past(keys, request.revision, key_space)


def _count_past(keys: KeyRange, revision: int, key_space: KeySpace) -> int:
    """How many keys of the range lived at `revision`.

    Worked out from how many live now and what changed since, unless that is more than there are
    keys: so the pages of a long list, all read at one revision, cost what they hold.
    """
    index = key_space.keys
    living = index.count(keys)
    changes = list(islice(key_space.history.since(revision + 1), living + 1))
    if len(changes) > living:
        return sum(1 for _ in index.past(keys, revision))
    changed = {record.key for record in changes if record.key in keys}
    lived = sum(index.at(key, revision) is not None for key in changed)
    return living + lived - sum(key in index.live for key in changed)


def _has_bounds(request: RangeRequest) -> bool:
    return bool(
        request.min_mod_revision
        or request.max_mod_revision
        or request.min_create_revision
        or request.max_create_revision
    )


def _within_bounds(record: Record, request: RangeRequest) -> bool:
    if request.max_mod_revision and record.main > request.max_mod_revision:
        return False
    if request.min_mod_revision and record.main < request.min_mod_revision:
        return False
    if request.max_create_revision and record.create_revision > request.max_create_revision:
        return False
    return not request.min_create_revision or record.create_revision >= request.min_create_revision


def _sorted(records: list[Record], request: RangeRequest) -> list[Record]:
    """Records come by key, ascending; a target other than KEY without an order means ascending."""
    order, target = request.sort_order, request.sort_target
    if order == RangeRequest.DESCEND:
        return sorted(records, key=_SORT_KEYS[target], reverse=True)
    if target == RangeRequest.KEY:
        return records
    return sorted(records, key=_SORT_KEYS[target])


def _add_kv(response: RangeResponse, record: Record, *, keys_only: bool) -> None:
    main, _, key, value, create_revision, key_version, lease = record
    response.kvs.add(
        key=key,
        create_revision=create_revision,
        mod_revision=main,
        version=key_version,
        value=b"" if keys_only else value,
        lease=lease,
    )
