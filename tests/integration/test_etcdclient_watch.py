"""Watches against real servers: order, resuming, progress, compaction, and the raw protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
import pytest_asyncio

from etcdclient.client import EtcdClient
from etcdclient.connection import Connection
from etcdclient.pb.kv_pb2 import Event
from etcdclient.pb.rpc_pb2 import (
    CompactionRequest,
    DeleteRangeRequest,
    PutRequest,
    RequestOp,
    TxnRequest,
    WatchCancelRequest,
    WatchCreateRequest,
    WatchRequest,
    WatchResponse,
)
from etcdclient.rpcs import WATCH
from etcdclient.watch import WatchStream
from tests.support.stores import StoreCluster, make_store

TIMEOUT_S = 20


@pytest.fixture(scope="module", params=[("etcd", 1), ("raftstore", 1), ("raftstore", 3)], ids=str)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoreCluster]:
    kind, members = request.param
    cluster = make_store(kind, tmp_path_factory.mktemp(kind), members)
    cluster.start()
    try:
        asyncio.run(cluster.wait_until_serving())
        yield cluster
    finally:
        cluster.stop_all()


@pytest_asyncio.fixture
async def client(store: StoreCluster) -> AsyncIterator[EtcdClient]:
    async with store.client() as one:
        yield one


async def put(client: EtcdClient, key: bytes, value: bytes = b"v") -> int:
    """Write a key; its revision."""
    return (await client.put(PutRequest(key=key, value=value))).header.revision


async def events_of(stream: WatchStream, count: int) -> list[Event]:
    """The next `count` events, whatever responses they come in."""
    events: list[Event] = []
    async with asyncio.timeout(TIMEOUT_S):
        while len(events) < count:
            events += (await anext(stream)).events
    assert len(events) == count, events
    return events


def prefix(text: bytes, **fields: object) -> WatchCreateRequest:
    """A watch of all keys that begin with `text`, which ends in a slash."""
    request = WatchCreateRequest(key=text, range_end=text[:-1] + b"0")
    for name, value in fields.items():
        setattr(request, name, value)
    return request


async def test_events_come_once_and_in_order(client: EtcdClient) -> None:
    start = await client.read_revision() + 1
    stream = client.watch(prefix(b"order/", start_revision=start, prev_kv=True))
    await put(client, b"order/a", b"1")
    await put(client, b"other")
    await put(client, b"order/a", b"2")
    await client.delete_range(DeleteRangeRequest(key=b"order/a"))
    events = await events_of(stream, 3)
    assert [event.type for event in events] == [Event.PUT, Event.PUT, Event.DELETE]
    assert [event.prev_kv.value for event in events] == [b"", b"1", b"2"]
    revisions = [event.kv.mod_revision for event in events]
    assert revisions == [start, start + 2, start + 3]
    await stream.close()


async def test_a_txn_is_one_response(client: EtcdClient) -> None:
    start = await client.read_revision() + 1
    stream = client.watch(prefix(b"txn/", start_revision=start))
    ops = [RequestOp(request_put=PutRequest(key=b"txn/%d" % n)) for n in range(10)]
    await client.txn(TxnRequest(success=ops))
    async with asyncio.timeout(TIMEOUT_S):
        response = await anext(stream)
    assert [event.kv.key for event in response.events] == [b"txn/%d" % n for n in range(10)]
    assert {event.kv.mod_revision for event in response.events} == {start}
    await stream.close()


async def test_the_past_is_replayed_and_joins_the_present(client: EtcdClient) -> None:
    first = await put(client, b"past/0")
    for number in range(1, 1_500):
        if number % 100:
            continue
        await put(client, b"past/%d" % number)
    stream = client.watch(prefix(b"past/", start_revision=first))
    past = await events_of(stream, 15)
    await put(client, b"past/live")
    live = await events_of(stream, 1)
    assert past[0].kv.mod_revision == first
    assert live[0].kv.key == b"past/live"
    await stream.close()


async def test_a_future_start_skips_what_comes_before(client: EtcdClient) -> None:
    now = await client.read_revision()
    stream = client.watch(prefix(b"future/", start_revision=now + 2))
    await put(client, b"future/skipped")
    wanted = await put(client, b"future/seen")
    events = await events_of(stream, 1)
    assert events[0].kv.mod_revision == wanted
    await stream.close()


async def test_filters(client: EtcdClient) -> None:
    start = await client.read_revision() + 1
    no_put = prefix(b"filter/", start_revision=start)
    no_put.filters.append(WatchCreateRequest.NOPUT)
    no_delete = prefix(b"filter/", start_revision=start)
    no_delete.filters.append(WatchCreateRequest.NODELETE)
    deletes, puts = client.watch(no_put), client.watch(no_delete)
    await put(client, b"filter/a")
    await client.delete_range(DeleteRangeRequest(key=b"filter/a"))
    await put(client, b"filter/b")
    assert [event.type for event in await events_of(deletes, 1)] == [Event.DELETE]
    assert [event.kv.key for event in await events_of(puts, 2)] == [b"filter/a", b"filter/b"]
    await deletes.close()
    await puts.close()


async def test_compaction_ends_a_watch_that_is_too_late(client: EtcdClient) -> None:
    first = await put(client, b"compacted/a")
    last = await put(client, b"compacted/a")
    await client.compact(CompactionRequest(revision=last))
    stream = client.watch(prefix(b"compacted/", start_revision=first))
    async with asyncio.timeout(TIMEOUT_S):
        responses = [response async for response in stream]
    assert [response.compact_revision for response in responses] == [last]
    assert responses[0].canceled
    await stream.close()


async def test_progress_covers_all_that_was_sent(client: EtcdClient) -> None:
    start = await client.read_revision() + 1
    stream = client.watch(prefix(b"progress/", start_revision=start))
    written = await put(client, b"progress/a")
    await events_of(stream, 1)
    async with asyncio.timeout(TIMEOUT_S):
        assert await stream.request_progress()
        progress = await anext(stream)
    assert (progress.watch_id, len(progress.events)) == (-1, 0)
    assert progress.header.revision >= written
    await stream.close()


async def test_closing_ends_the_iteration(client: EtcdClient) -> None:
    stream = client.watch(prefix(b"closed/"))

    async def follow() -> list[WatchResponse]:
        return [response async for response in stream]

    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow())
        await asyncio.sleep(0)
        await stream.close()
    assert following.result() == []
    assert not await stream.request_progress()


async def raw_watch(
    store: StoreCluster, requests: Sequence[WatchRequest], answers: int
) -> list[WatchResponse]:
    """Send requests on a stream of its own and read so many answers, headers' ids left out."""
    connection = Connection(store.endpoints[0], store.tls)
    stream = connection.stream(WATCH)
    responses = []
    try:
        async with asyncio.timeout(TIMEOUT_S):
            for request in requests:
                await stream.write(request)
            for _ in range(answers):
                response = await stream.read()
                assert isinstance(response, WatchResponse)
                response.header.ClearField("cluster_id")
                response.header.ClearField("member_id")
                response.header.ClearField("raft_term")
                responses.append(response)
    finally:
        stream.cancel()
        await connection.close()
    return responses


def create(**fields: object) -> WatchRequest:
    request = WatchRequest()
    request.create_request.SetInParent()
    for name, value in fields.items():
        setattr(request.create_request, name, value)
    return request


async def test_raw_answers_are_etcds(client: EtcdClient, store: StoreCluster) -> None:
    now = await put(client, b"raw/a")
    await client.compact(CompactionRequest(revision=now))
    header = {"revision": now}
    answers = await raw_watch(
        store,
        [
            create(key=b"raw/a"),
            create(key=b"raw/a", watch_id=7),
            create(key=b"raw/a", watch_id=7),
            create(key=b"b", range_end=b"a"),
            WatchRequest(cancel_request=WatchCancelRequest(watch_id=7)),
            WatchRequest(cancel_request=WatchCancelRequest(watch_id=99)),
            create(key=b"raw/a"),
        ],
        6,
    )
    assert answers == [
        WatchResponse(header=header, watch_id=0, created=True),
        WatchResponse(header=header, watch_id=7, created=True),
        WatchResponse(
            header=header,
            watch_id=-1,
            created=True,
            canceled=True,
            cancel_reason="mvcc: duplicate watch ID provided on the WatchStream",
        ),
        WatchResponse(
            header=header,
            watch_id=-1,
            created=True,
            canceled=True,
            cancel_reason="mvcc: watcher range is empty",
        ),
        WatchResponse(header=header, watch_id=7, canceled=True),
        WatchResponse(header=header, watch_id=1, created=True),
    ]


async def test_raw_compaction_answer_is_etcds(client: EtcdClient, store: StoreCluster) -> None:
    await put(client, b"raw/b")
    now = await put(client, b"raw/b")
    await client.compact(CompactionRequest(revision=now))
    created, canceled = await raw_watch(store, [create(key=b"raw/b", start_revision=1)], 2)
    assert created == WatchResponse(header={"revision": now}, watch_id=0, created=True)
    assert canceled == WatchResponse(header={}, watch_id=0, canceled=True, compact_revision=now)


async def test_fragments_come_together_as_one(client: EtcdClient) -> None:
    start = await client.read_revision() + 1
    for number in range(6):
        await put(client, b"fragment/%d" % number, bytes(700_000))
    stream = client.watch(prefix(b"fragment/", start_revision=start, fragment=True))
    events = await events_of(stream, 6)
    assert [event.kv.key for event in events] == [b"fragment/%d" % number for number in range(6)]
    await stream.close()
