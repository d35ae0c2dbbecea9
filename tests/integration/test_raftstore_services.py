"""Services of our store beyond keys and watches: health, quota, membership, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2

from etcdclient.client import EtcdClient
from etcdclient.errors import EtcdError
from etcdclient.pb import rpc_pb2 as pb
from etcdclient.pb.pipe_pb2 import PipeCall, PipeRequest, PipeResponse, PipeResult, ReadRevision
from etcdclient.rpcs import TRANSACT
from tests.support.stores import StoreCluster, make_store

QUOTA_BYTES = 200_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreCluster]:
    cluster = make_store(
        "raftstore",
        tmp_path_factory.mktemp("services"),
        3,
        [f"--quota-backend-bytes={QUOTA_BYTES}"],
    )
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


@pytest_asyncio.fixture
async def channel(store: StoreCluster) -> AsyncIterator[grpc.aio.Channel]:
    """To the first member, without our client in between."""
    target = store.endpoints[0].removeprefix("https://")
    async with grpc.aio.secure_channel(target, store.tls.credentials()) as one:
        await one.channel_ready()
        yield one


async def status_of(channel: grpc.aio.Channel, path: str, request: bytes) -> tuple[str, str]:
    """Code and text of a call that must fail."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path, bytes, bytes)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call(request)
    return failed.value.code().name, failed.value.details() or ""


async def test_grpc_health(channel: grpc.aio.Channel) -> None:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        health_pb2.HealthCheckRequest.SerializeToString,
        health_pb2.HealthCheckResponse.FromString,
    )
    answer = await check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_authentication_is_off_and_says_so(channel: grpc.aio.Channel) -> None:
    status = channel.unary_unary(
        "/etcdserverpb.Auth/AuthStatus",
        pb.AuthStatusRequest.SerializeToString,
        pb.AuthStatusResponse.FromString,
    )
    assert not (await status(pb.AuthStatusRequest())).enabled
    code, text = await status_of(channel, "/etcdserverpb.Auth/UserAdd", b"")
    assert code == "UNIMPLEMENTED"
    assert "Auth/UserAdd" in text


@pytest.mark.parametrize(
    ("path", "request_", "code", "text"),
    [
        ("Maintenance/Downgrade", b"", "UNIMPLEMENTED", "Maintenance/Downgrade is not offered"),
        ("KV/Put", b"", "INVALID_ARGUMENT", "etcdserver: key is not provided"),
        ("KV/Range", b"", "INVALID_ARGUMENT", "etcdserver: key is not provided"),
        ("KV/DeleteRange", b"", "INVALID_ARGUMENT", "etcdserver: key is not provided"),
        (
            "KV/Compact",
            pb.CompactionRequest(revision=-1).SerializeToString(),
            "OUT_OF_RANGE",
            "etcdserver: mvcc: required revision has been compacted",
        ),
        ("Lease/LeaseRevoke", b"", "NOT_FOUND", "etcdserver: requested lease not found"),
        (
            "Lease/LeaseGrant",
            pb.LeaseGrantRequest(TTL=9_000_000_001).SerializeToString(),
            "OUT_OF_RANGE",
            "etcdserver: too large lease TTL",
        ),
        ("Cluster/MemberRemove", b"", "NOT_FOUND", "etcdserver: member not found"),
        ("Cluster/MemberAdd", b"", "INVALID_ARGUMENT", "etcdserver: given member URLs are invalid"),
        (
            "KV/Range",
            pb.RangeRequest(key=b"a", sort_order=7).SerializeToString(),  # type: ignore[arg-type]
            "INVALID_ARGUMENT",
            "etcdserver: invalid sort option",
        ),
    ],
)
async def test_empty_and_odd_requests_are_refused(
    channel: grpc.aio.Channel, path: str, request_: bytes, code: str, text: str
) -> None:
    got_code, got_text = await status_of(channel, f"/etcdserverpb.{path}", request_)
    assert got_code == code, got_text
    assert text in got_text


async def test_bytes_that_are_no_message_harm_nothing(
    channel: grpc.aio.Channel, client: EtcdClient
) -> None:
    code, _ = await status_of(channel, "/etcdserverpb.KV/Txn", b"\xff\xff\xff")
    assert code in ("INTERNAL", "UNKNOWN")
    assert await client.read_revision() > 0


async def test_an_unknown_method_is_unimplemented(channel: grpc.aio.Channel) -> None:
    code, _ = await status_of(channel, "/etcdserverpb.KV/Guess", b"")
    assert code == "UNIMPLEMENTED"


async def test_the_pipe_answers_each_call_by_its_id(
    channel: grpc.aio.Channel, client: EtcdClient
) -> None:
    written = await client.put(pb.PutRequest(key=b"pipe", value=b"1"))
    stream = TRANSACT.stream(channel)()
    bad = pb.TxnRequest(success=[pb.RequestOp(request_put=pb.PutRequest())])
    request = PipeRequest(
        calls=[
            PipeCall(id=1, range=pb.RangeRequest(key=b"pipe")),
            PipeCall(id=2, read_revision=ReadRevision()),
            PipeCall(id=3, txn=bad),
            PipeCall(id=4),
        ]
    )
    await stream.write(request)
    results: dict[int, PipeResult] = {}
    async with asyncio.timeout(10):
        while len(results) < 4:
            response = await stream.read()
            assert isinstance(response, PipeResponse)
            results.update({result.id: result for result in response.results})
    await stream.done_writing()
    assert await stream.code() is grpc.StatusCode.OK
    assert results[1].range.kvs[0].value == b"1"
    assert results[2].read_revision.revision == written.header.revision
    assert results[3].error.message == "etcdserver: key is not provided"
    assert results[3].error.definite
    assert results[4].error.code == grpc.StatusCode.UNIMPLEMENTED.value[0]


async def test_a_full_store_takes_deletes_only_until_it_is_disarmed(
    channel: grpc.aio.Channel, client: EtcdClient
) -> None:
    put = pb.PutRequest(key=b"full", value=bytes(50_000))
    for _ in range(3):
        await client.put(put)
    with pytest.raises(EtcdError) as full:
        await client.put(put)
    assert full.value.text == "etcdserver: mvcc: database space exceeded"
    assert full.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert full.value.definite
    alarm = channel.unary_unary(
        "/etcdserverpb.Maintenance/Alarm",
        pb.AlarmRequest.SerializeToString,
        pb.AlarmResponse.FromString,
    )
    (raised,) = (await alarm(pb.AlarmRequest())).alarms
    assert raised.alarm == pb.NOSPACE
    with pytest.raises(EtcdError, match="space exceeded"):
        await client.put(pb.PutRequest(key=b"small"))
    await client.delete_range(pb.DeleteRangeRequest(key=b"full"))
    revision = await client.read_revision()
    await client.compact(pb.CompactionRequest(revision=revision, physical=True))
    disarm = pb.AlarmRequest(
        action=pb.AlarmRequest.DEACTIVATE, memberID=raised.memberID, alarm=pb.NOSPACE
    )
    assert len((await alarm(disarm)).alarms) == 1
    await client.put(pb.PutRequest(key=b"small"))
