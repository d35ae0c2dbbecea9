"""The watch service over a real store: slow readers, exact progress, compaction, leaders lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable

import grpc.aio
import pytest
import pytest_asyncio

from etcdclient.pb.rpc_pb2 import (
    WatchCreateRequest,
    WatchProgressRequest,
    WatchRequest,
    WatchResponse,
)
from raftstore.apply import ApplyResult
from raftstore.engine.protocol import AppliedBatch, NodeStatus
from raftstore.errors import StoreError
from raftstore.mvcc.store import Store
from raftstore.raft.types import Role
from raftstore.rpc.headers import Headers
from raftstore.rpc.watch import WatchService
from raftstore.rpc.watch_stream import QUEUE_BYTES_MAX

MIB = 1 << 20
TIMEOUT_S = 20
ALL = WatchRequest(create_request=WatchCreateRequest(key=b"\0", range_end=b"\0", start_revision=1))
PROGRESS = WatchRequest(progress_request=WatchProgressRequest())


class FakeMember:
    """A store that commits what it is told, and whoever is named leads."""

    def __init__(self) -> None:
        self.store = Store()
        self.leader = 7
        self._callbacks: list[Callable[[AppliedBatch], None]] = []

    def on_applied(self, callback: Callable[[AppliedBatch], None], /) -> None:
        self._callbacks.append(callback)

    def status(self) -> NodeStatus:
        return NodeStatus(
            member_id=7,
            cluster_id=1,
            leader=self.leader,
            role=Role.LEADER,
            term=3,
            commit_index=1,
            applied_index=1,
            is_learner=False,
            journal_bytes=0,
        )

    def put(self, key: bytes, value: bytes = b"") -> int:
        """Commit one put; its revision."""
        writer = self.store.write()
        writer.put(key, value, 0)
        result = ApplyResult(None, None, writer.end())
        batch = AppliedBatch(applied_index=1, results=[result], restored=False)
        for callback in self._callbacks:
            callback(batch)
        return self.store.revision


class FakeContext:
    """gRPC's side of a stream: requests come from a queue, responses pass while `open` is set."""

    def __init__(self, *, hasleader: bool = False) -> None:
        self.requests: asyncio.Queue[WatchRequest | object] = asyncio.Queue()
        self.responses: list[WatchResponse] = []
        self.open = asyncio.Event()
        self.open.set()
        self._metadata = (("hasleader", "true"),) if hasleader else ()

    async def read(self) -> WatchRequest | object:
        return await self.requests.get()

    async def write(self, response: WatchResponse) -> None:
        await self.open.wait()
        self.responses.append(response)

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    @property
    def revisions(self) -> list[int]:
        """Of all events, in the order in which they came."""
        return [event.kv.mod_revision for one in self.responses for event in one.events]


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0)


async def end_of(service: WatchService, context: FakeContext) -> str:
    """Serve a stream to its end; the text of its status."""
    with pytest.raises(StoreError) as ended:
        await service.watch(context)  # type: ignore[arg-type]
    return ended.value.text


@pytest.fixture
def member() -> FakeMember:
    return FakeMember()


@pytest_asyncio.fixture
async def service(member: FakeMember) -> AsyncIterator[WatchService]:
    one = WatchService(
        member,
        Headers(member),
        chance=random.Random(1),
        election_ms=10,
        progress_interval_s=0.05,
        fragment_bytes=MIB,
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(one.run())
        yield one
        running.cancel()


@contextlib.asynccontextmanager
async def served(service: WatchService, context: FakeContext) -> AsyncIterator[FakeContext]:
    """Serve a stream until the end of the block, where the client half-closes."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.watch(context))  # type: ignore[arg-type]
        yield context
        context.requests.put_nowait(grpc.aio.EOF)


async def test_a_slow_reader_is_bounded_and_misses_nothing(
    member: FakeMember, service: WatchService
) -> None:
    async with served(service, FakeContext()) as context:
        context.requests.put_nowait(ALL)
        await until(lambda: len(context.responses) == 1)
        context.open.clear()
        written = []
        for number in range(40):
            written.append(member.put(b"%d" % number, bytes(MIB)))
            await asyncio.sleep(0)
            assert service.queued_bytes <= QUEUE_BYTES_MAX
        context.open.set()
        await until(lambda: len(context.revisions) >= len(written))
        written.append(member.put(b"live"))
        await until(lambda: context.revisions[-1] == written[-1])
        assert context.revisions == written


async def test_progress_comes_after_all_that_it_speaks_for(
    member: FakeMember, service: WatchService
) -> None:
    async with served(service, FakeContext()) as context:
        context.requests.put_nowait(ALL)
        await until(lambda: len(context.responses) == 1)
        context.open.clear()
        for number in range(20):
            member.put(b"%d" % number, bytes(MIB))
        context.requests.put_nowait(PROGRESS)
        await until(context.requests.empty)
        context.open.set()
        await until(lambda: context.responses[-1].watch_id == -1)
        progress = context.responses[-1]
        assert not progress.events
        assert progress.header.revision == member.store.revision == context.revisions[-1]
        assert len(context.revisions) == 20


async def test_progress_of_a_stream_without_watches_is_the_stores_revision(
    member: FakeMember, service: WatchService
) -> None:
    now = member.put(b"a")
    async with served(service, FakeContext()) as context:
        context.requests.put_nowait(PROGRESS)
        await until(lambda: bool(context.responses))
        assert context.responses[0].header.revision == now


async def test_a_paused_watch_that_is_compacted_ends_with_the_compact_revision(
    member: FakeMember, service: WatchService
) -> None:
    async with served(service, FakeContext()) as context:
        context.requests.put_nowait(ALL)
        await until(lambda: len(context.responses) == 1)
        context.open.clear()
        for _ in range(20):
            now = member.put(b"same", bytes(MIB))
        member.store.compact(now)
        context.open.set()
        await until(lambda: context.responses[-1].canceled)
        last = context.responses[-1]
        assert (last.watch_id, last.compact_revision) == (0, now)
        assert context.revisions == sorted(set(context.revisions))
        assert service.queued_bytes == 0


async def test_a_quiet_watch_is_told_how_far_it_is(
    member: FakeMember, service: WatchService
) -> None:
    now = member.put(b"other")
    request = WatchCreateRequest(key=b"quiet", progress_notify=True)
    async with served(service, FakeContext()) as context:
        context.requests.put_nowait(WatchRequest(create_request=request))
        await until(lambda: len(context.responses) == 2)
        told = context.responses[1]
        assert (told.watch_id, told.created, len(told.events)) == (0, False, 0)
        assert told.header.revision == now


async def test_only_streams_that_demand_a_leader_end_without_one(
    member: FakeMember, service: WatchService
) -> None:
    async with served(service, FakeContext()) as patient:
        patient.requests.put_nowait(ALL)
        demanding = FakeContext(hasleader=True)
        demanding.requests.put_nowait(ALL)
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(end_of(service, demanding))
            await until(lambda: len(demanding.responses) == 1)
            member.leader = 0
        assert ending.result() == "etcdserver: no leader"
        assert await end_of(service, FakeContext(hasleader=True)) == "etcdserver: no leader"
        now = member.put(b"still")
        await until(lambda: patient.revisions == [now])
