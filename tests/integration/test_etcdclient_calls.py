"""The client's calls against real servers: Debian's etcd, one member of ours, three of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
import pytest_asyncio

from etcdclient.client import EtcdClient
from etcdclient.errors import CompactedError, EtcdError
from etcdclient.pb.rpc_pb2 import (
    CompactionRequest,
    Compare,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)
from etcdclient.tls import TlsFiles
from tests.support.stores import StoreCluster, leader_of, make_store


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


def put_op(key: bytes, value: bytes) -> RequestOp:
    return RequestOp(request_put=PutRequest(key=key, value=value))


def range_op(key: bytes) -> RequestOp:
    return RequestOp(request_range=RangeRequest(key=key))


def mod_is(key: bytes, revision: int) -> Compare:
    return Compare(key=key, target=Compare.MOD, result=Compare.EQUAL, mod_revision=revision)


async def test_put_then_range_sees_it(client: EtcdClient) -> None:
    written = await client.put(PutRequest(key=b"put/a", value=b"1"))
    found = await client.range(RangeRequest(key=b"put/a"))
    assert [kv.value for kv in found.kvs] == [b"1"]
    assert found.kvs[0].mod_revision == written.header.revision
    assert found.header.cluster_id == written.header.cluster_id != 0
    assert found.header.raft_term > 0


async def test_range_of_a_prefix_pages_and_counts(client: EtcdClient) -> None:
    for number in range(5):
        await client.put(PutRequest(key=b"page/%d" % number, value=b"v"))
    page = await client.range(RangeRequest(key=b"page/", range_end=b"page0", limit=2))
    assert [kv.key for kv in page.kvs] == [b"page/0", b"page/1"]
    assert (page.more, page.count) == (True, 5)
    counted = await client.range(RangeRequest(key=b"page/", range_end=b"page0", count_only=True))
    assert (len(counted.kvs), counted.count) == (0, 5)


async def test_txn_swaps_only_what_it_compared(client: EtcdClient) -> None:
    key = b"swap"
    made = await client.txn(
        TxnRequest(compare=[mod_is(key, 0)], success=[put_op(key, b"1")], failure=[range_op(key)])
    )
    assert made.succeeded
    lost = await client.txn(
        TxnRequest(compare=[mod_is(key, 0)], success=[put_op(key, b"2")], failure=[range_op(key)])
    )
    assert not lost.succeeded
    assert lost.responses[0].response_range.kvs[0].value == b"1"
    assert lost.header.revision == made.header.revision


async def test_concurrent_txns_each_win_once(client: EtcdClient) -> None:
    await client.put(PutRequest(key=b"counter", value=b"0"))

    async def increment() -> None:
        while True:
            now = (await client.range(RangeRequest(key=b"counter"))).kvs[0]
            done = await client.txn(
                TxnRequest(
                    compare=[mod_is(b"counter", now.mod_revision)],
                    success=[put_op(b"counter", b"%d" % (int(now.value) + 1))],
                )
            )
            if done.succeeded:
                return

    await asyncio.gather(*(increment() for _ in range(20)))
    found = await client.range(RangeRequest(key=b"counter"))
    assert found.kvs[0].value == b"20"


async def test_read_revision_is_that_of_the_last_write(client: EtcdClient) -> None:
    written = await client.put(PutRequest(key=b"revision", value=b"1"))
    assert await client.read_revision() == written.header.revision


async def test_delete_range_answers_what_it_deleted(client: EtcdClient) -> None:
    await client.put(PutRequest(key=b"gone", value=b"1"))
    deleted = await client.delete_range(DeleteRangeRequest(key=b"gone", prev_kv=True))
    assert deleted.deleted == 1
    assert deleted.prev_kvs[0].value == b"1"
    assert (await client.range(RangeRequest(key=b"gone"))).count == 0


async def test_compacted_and_future_revisions_are_refused(client: EtcdClient) -> None:
    first = (await client.put(PutRequest(key=b"old", value=b"1"))).header.revision
    second = (await client.put(PutRequest(key=b"old", value=b"2"))).header.revision
    await client.compact(CompactionRequest(revision=second, physical=True))
    with pytest.raises(CompactedError):
        await client.range(RangeRequest(key=b"old", revision=first))
    with pytest.raises(EtcdError) as compacting:
        await client.compact(CompactionRequest(revision=second))
    assert compacting.value.definite
    with pytest.raises(EtcdError) as future:
        await client.range(RangeRequest(key=b"old", revision=second + 1_000))
    assert future.value.code is grpc.StatusCode.OUT_OF_RANGE
    assert future.value.text == "etcdserver: mvcc: required revision is a future revision"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (TxnRequest(success=[put_op(b"", b"")]), "etcdserver: key is not provided"),
        (
            TxnRequest(success=[put_op(b"twice", b"1"), put_op(b"twice", b"2")]),
            "etcdserver: duplicate key given in txn request",
        ),
        (
            TxnRequest(success=[put_op(b"many/%d" % n, b"") for n in range(129)]),
            "etcdserver: too many operations in txn request",
        ),
        (
            TxnRequest(success=[put_op(b"large", bytes(1_600_000))]),
            "etcdserver: request is too large",
        ),
    ],
    ids=["no key", "same key twice", "129 operations", "1.6 MB"],
)
async def test_bad_txns_get_etcds_words(
    client: EtcdClient, request_: TxnRequest, text: str
) -> None:
    with pytest.raises(EtcdError) as refused:
        await client.txn(request_)
    assert refused.value.text == text
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.definite


async def test_a_message_beyond_any_limit_harms_nobody_else(client: EtcdClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        small = [
            tasks.create_task(client.txn(TxnRequest(success=[put_op(b"small/%d" % n, b"1")])))
            for n in range(20)
        ]
        with pytest.raises(EtcdError) as refused:
            await client.txn(TxnRequest(success=[put_op(b"huge", bytes(3_000_000))]))
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.definite
    assert all(task.result().succeeded for task in small)


async def test_lease_holds_its_keys_until_revoked(client: EtcdClient) -> None:
    granted = await client.lease_grant(60)
    assert granted.ID != 0
    await client.put(PutRequest(key=b"leased", value=b"1", lease=granted.ID))
    left = await client.lease_time_to_live(granted.ID, keys=True)
    assert left.grantedTTL == 60
    assert 0 < left.TTL <= 60
    assert list(left.keys) == [b"leased"]
    assert (await client.lease_keep_alive_once(granted.ID)).TTL == 60
    await client.lease_revoke(granted.ID)
    assert (await client.range(RangeRequest(key=b"leased"))).count == 0
    assert (await client.lease_keep_alive_once(granted.ID)).TTL == 0
    assert (await client.lease_time_to_live(granted.ID)).TTL == -1
    with pytest.raises(EtcdError) as gone:
        await client.lease_revoke(granted.ID)
    assert gone.value.text == "etcdserver: requested lease not found"


async def test_lease_runs_out_unless_kept(client: EtcdClient) -> None:
    keeper = await client.keep_lease(1)
    left_alone = await client.lease_grant(1)
    await client.put(PutRequest(key=b"kept", value=b"1", lease=keeper.lease_id))
    async with asyncio.timeout(20):
        while (await client.lease_time_to_live(left_alone.ID)).TTL != -1:
            await asyncio.sleep(0.1)
    assert not keeper.lost.is_set()
    assert (await client.range(RangeRequest(key=b"kept"))).count == 1
    await client.lease_revoke(keeper.lease_id)
    async with asyncio.timeout(5):
        await keeper.lost.wait()
    await keeper.close()


async def test_status_and_members_agree(client: EtcdClient, store: StoreCluster) -> None:
    members = (await client.member_list()).members
    assert {url for member in members for url in member.clientURLs} == set(store.endpoints)
    leader = await leader_of(client, store.endpoints)
    status = await client.status(leader)
    assert status.leader == status.header.member_id
    assert status.raftAppliedIndex <= status.raftIndex
    assert status.dbSize > 0
    with pytest.raises(ValueError, match="not one of this client's"):
        await client.status("https://192.0.2.1:2379")


async def test_members_hash_alike(client: EtcdClient, store: StoreCluster) -> None:
    revision = await client.read_revision()
    hashes = set()
    for endpoint in store.endpoints:
        async with asyncio.timeout(10):
            while (await client.status(endpoint)).header.revision < revision:
                await asyncio.sleep(0.02)
        answer = await client.hash_kv(endpoint, revision)
        hashes.add((answer.hash, answer.compact_revision))
    assert len(hashes) == 1


async def test_without_a_client_certificate_nothing_is_answered(store: StoreCluster) -> None:
    stranger_tls = TlsFiles(
        ca=store.tls.ca,
        cert=store.root / "pki" / "apiserver-kubelet-client.crt",
        key=store.root / "pki" / "apiserver-kubelet-client.key",
    )
    async with EtcdClient(store.endpoints, tls=stranger_tls, timeout_s=0.5) as stranger:
        with pytest.raises(EtcdError) as refused:
            await stranger.range(RangeRequest(key=b"a"))
    assert refused.value.code is grpc.StatusCode.UNAVAILABLE
