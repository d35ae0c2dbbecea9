"""Members that die, hang or lose their leader, and what the client makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

import grpc.aio
import pytest
import pytest_asyncio

from etcdclient.client import EtcdClient
from etcdclient.connection import Connection
from etcdclient.errors import EtcdError
from etcdclient.pb.rpc_pb2 import (
    Compare,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
    WatchCreateRequest,
    WatchRequest,
    WatchResponse,
)
from etcdclient.rpcs import WATCH
from tests.support.stores import StoreCluster, leader_of, make_store

TIMEOUT_S = 30
LEADERLESS_MAX_S = 0.3
"""Less than an election takes: 300 ms and more until somebody stands, then the vote."""


@pytest_asyncio.fixture(params=["etcd", "raftstore"])
async def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StoreCluster]:
    cluster = make_store(request.param, tmp_path_factory.mktemp(request.param), 3)
    cluster.start()
    try:
        await cluster.wait_until_serving()
        yield cluster
    finally:
        cluster.stop_all()


def put_txn(key: bytes, value: bytes) -> TxnRequest:
    return TxnRequest(success=[RequestOp(request_put=PutRequest(key=key, value=value))])


async def test_reads_go_elsewhere_when_the_preferred_endpoint_dies(store: StoreCluster) -> None:
    async with store.client() as client:
        await client.put(PutRequest(key=b"a", value=b"1"))
        leader = store.place_of(await leader_of(client, store.endpoints))
        preferred = 0 if leader != 0 else 1
        endpoints = [store.endpoints[preferred]]
        endpoints += [one for one in store.endpoints if one not in endpoints]
        async with EtcdClient(endpoints, tls=store.tls) as ordered:
            await ordered.range(RangeRequest(key=b"a"))
            store.stop(preferred)
            loop = asyncio.get_running_loop()
            asked_at = loop.time()
            found = await ordered.range(RangeRequest(key=b"a"))
            assert found.kvs[0].value == b"1"
            assert loop.time() - asked_at < 1.0


async def test_a_preferred_endpoint_that_comes_back_is_used_again(store: StoreCluster) -> None:
    async with store.client() as client:
        first = (await client.status(store.endpoints[0])).header.member_id
        assert (await client.range(RangeRequest(key=b"a"))).header.member_id == first
        store.stop(0)
        assert (await client.range(RangeRequest(key=b"a"))).header.member_id != first
        store.start(0)
        async with asyncio.timeout(TIMEOUT_S):
            while (await client.range(RangeRequest(key=b"a"))).header.member_id != first:
                await asyncio.sleep(0.02)


async def test_no_endpoint_at_all_is_definite(store: StoreCluster) -> None:
    async with store.client(timeout_s=0.5) as client:
        for place in range(3):
            store.stop(place)
        with pytest.raises(EtcdError, match="could be reached") as refused:
            await client.txn(put_txn(b"a", b"1"))
        assert refused.value.definite


async def test_a_write_in_flight_when_its_server_dies_is_unknown(store: StoreCluster) -> None:
    async with EtcdClient(store.endpoints[:1], tls=store.tls) as client:
        await client.txn(put_txn(b"a", b"1"))
        store.send(0, signal.SIGSTOP)  # it takes the bytes and does not answer
        async with asyncio.TaskGroup() as tasks:
            write = tasks.create_task(outcome_of(client, put_txn(b"a", b"2")))
            other = tasks.create_task(outcome_of(client, put_txn(b"b", b"2")))
            await asyncio.sleep(0.2)
            store.stop(0)
        for error in (write.result(), other.result()):
            assert error is not None
            assert not error.definite, error


async def test_a_member_that_hangs_is_avoided_until_it_answers(store: StoreCluster) -> None:
    async with store.client() as client:
        leader = store.place_of(await leader_of(client, store.endpoints))
        hung = 0 if leader != 0 else 1
        endpoints = [store.endpoints[hung]]
        endpoints += [one for one in store.endpoints if one not in endpoints]
    loop = asyncio.get_running_loop()
    async with EtcdClient(endpoints, tls=store.tls, timeout_s=3.0) as client:
        hung_id = (await client.range(RangeRequest(key=b"a"))).header.member_id
        store.send(hung, signal.SIGSTOP)
        await client.range(RangeRequest(key=b"a"))
        asked_at = loop.time()
        for number in range(20):
            await client.put(PutRequest(key=b"a", value=b"%d" % number))
        assert loop.time() - asked_at < 2.0
        store.send(hung, signal.SIGCONT)
        async with asyncio.timeout(TIMEOUT_S):
            while (await client.range(RangeRequest(key=b"a"))).header.member_id != hung_id:
                await asyncio.sleep(0.02)


async def outcome_of(client: EtcdClient, request: TxnRequest) -> EtcdError | None:
    try:
        await client.txn(request)
    except EtcdError as error:
        return error
    return None


async def test_counting_through_a_leaders_death_loses_nothing(store: StoreCluster) -> None:
    """Increments that were acknowledged are in the counter; unknown ones may be."""
    key = b"counter"
    acknowledged = unknown = 0
    async with store.client() as client:
        await client.put(PutRequest(key=key, value=b"0"))
        victim = store.place_of(await leader_of(client, store.endpoints))
        for turn in range(60):
            if turn == 20:
                store.stop(victim)
            now = (await client.range(RangeRequest(key=key))).kvs[0]
            request = put_txn(key, b"%d" % (int(now.value) + 1))
            request.compare.add(
                key=key,
                target=Compare.MOD,
                result=Compare.EQUAL,
                mod_revision=now.mod_revision,
            )
            try:
                answer = await client.txn(request)
            except EtcdError as error:
                unknown += not error.definite
            else:
                acknowledged += answer.succeeded
        final = int((await client.range(RangeRequest(key=key))).kvs[0].value)
    assert acknowledged >= 50
    assert acknowledged <= final <= acknowledged + unknown


async def test_a_watch_resumes_elsewhere_without_loss_or_repetition(store: StoreCluster) -> None:
    async with store.client() as client:
        start = await client.read_revision() + 1
        stream = client.watch(WatchCreateRequest(key=b"w/", range_end=b"w0", start_revision=start))
        seen: list[int] = []
        written: list[int] = []

        async def follow() -> None:
            async for response in stream:
                seen.extend(int(event.kv.value) for event in response.events)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow())
            for number in range(90):
                if number in (30, 60):  # the stream's server, whichever it is by then
                    watched = 0 if number == 30 else 1
                    store.stop(watched)
                    store.start(watched)
                with contextlib.suppress(EtcdError):
                    await client.put(PutRequest(key=b"w/%d" % number, value=b"%d" % number))
                    written.append(number)
            async with asyncio.timeout(TIMEOUT_S):
                while not seen or seen[-1] < written[-1]:
                    await asyncio.sleep(0.02)
            await stream.close()
    assert seen == sorted(set(seen))
    assert set(written) <= set(seen)


async def test_without_a_leader_the_stream_says_so(store: StoreCluster) -> None:
    connection = Connection(store.endpoints[0], store.tls)
    stream = connection.stream(WATCH, metadata=(("hasleader", "true"),))
    try:
        await stream.write(WatchRequest(create_request=WatchCreateRequest(key=b"a")))
        assert isinstance(await stream.read(), WatchResponse)
        store.stop(1)
        store.stop(2)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            async with asyncio.timeout(TIMEOUT_S):
                await stream.read()
    finally:
        stream.cancel()
        await connection.close()
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    assert ended.value.details() == "etcdserver: no leader"


async def test_sigterm_hands_leadership_over_first(store: StoreCluster) -> None:
    """The leader stops in order, and no write waits for an election."""
    async with store.client() as client:
        leader = await leader_of(client, store.endpoints)
        place = store.place_of(leader)
        others = [one for one in store.endpoints if one != leader]
        loop = asyncio.get_running_loop()
        async with EtcdClient(others, tls=store.tls) as rest:
            await rest.put(PutRequest(key=b"a"))
            longest_s = 0.0
            async with asyncio.TaskGroup() as tasks:
                ended = asyncio.to_thread(store.stop, place, signal.SIGTERM)
                stopping = tasks.create_task(ended)
                while not stopping.done():
                    asked_at = loop.time()
                    await rest.put(PutRequest(key=b"a"))
                    longest_s = max(longest_s, loop.time() - asked_at)
                    await asyncio.sleep(0.005)
            assert longest_s < LEADERLESS_MAX_S, f"a write waited {longest_s:.3f} s"
            assert stopping.result() == (0 if store.kind == "raftstore" else -signal.SIGTERM)
