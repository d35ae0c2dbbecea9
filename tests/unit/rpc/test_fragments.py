"""Splitting a watch response, as etcd's sendFragments does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from etcdclient.pb.kv_pb2 import Event, KeyValue
from etcdclient.pb.rpc_pb2 import ResponseHeader, WatchResponse
from raftstore.rpc.watch_stream import fragments

HEADER = ResponseHeader(cluster_id=1, member_id=2, revision=3, raft_term=4)


def response(sizes: list[int]) -> WatchResponse:
    events = [
        Event(kv=KeyValue(key=b"%d" % number, value=bytes(size)))
        for number, size in enumerate(sizes)
    ]
    return WatchResponse(header=HEADER, watch_id=5, events=events)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=30), st.integers(100, 1_000))
def test_parts_hold_all_events_in_order_and_fit(sizes: list[int], bytes_max: int) -> None:
    whole = response(sizes)
    parts = list(fragments(whole, bytes_max))
    assert [event for part in parts for event in part.events] == list(whole.events)
    assert [part.fragment for part in parts] == [True] * (len(parts) - 1) + [False]
    for part in parts:
        assert part.ByteSize() < bytes_max or len(part.events) == 1
        assert (part.watch_id, part.header) == (5, HEADER)


def test_a_single_event_is_never_split() -> None:
    (part,) = fragments(response([5_000]), 100)
    assert not part.fragment
