"""The pipe's client side: what is batched, what a lost stream means, who may be answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc
import grpc.aio
import pytest

from etcdclient.errors import EtcdError, Kind
from etcdclient.pb.pipe_pb2 import PipeCall, PipeRequest, PipeResponse, PipeResult
from etcdclient.pb.rpc_pb2 import PutRequest, RequestOp, TxnRequest
from etcdclient.pipe import BATCH_BYTES_MAX, Pipe, PipeAbsentError

TIMEOUT_S = 10.0


class FakeStream:
    """gRPC's side: written requests are kept, responses are given by the test."""

    def __init__(self) -> None:
        self.written: list[PipeRequest] = []
        self.may_write = asyncio.Event()
        self.may_write.set()
        self._responses: asyncio.Queue[PipeResponse | Exception] = asyncio.Queue()

    async def write(self, request: PipeRequest) -> None:
        await self.may_write.wait()
        self.written.append(request)

    async def read(self) -> PipeResponse:
        response = await self._responses.get()
        if isinstance(response, Exception):
            raise response
        return response

    def cancel(self) -> bool:
        return True

    def answer(self, *call_ids: int) -> None:
        results = [PipeResult(id=call_id, txn={"succeeded": True}) for call_id in call_ids]
        self._responses.put_nowait(PipeResponse(results=results))

    def fail(self, code: grpc.StatusCode, text: str) -> None:
        metadata = grpc.aio.Metadata()
        self._responses.put_nowait(grpc.aio.AioRpcError(code, metadata, metadata, details=text))

    @property
    def call_ids(self) -> list[list[int]]:
        """By message, the probe left out."""
        return [[call.id for call in request.calls] for request in self.written[1:]]


def txn(value_bytes: int = 1) -> PipeCall:
    put = PutRequest(key=b"a", value=bytes(value_bytes))
    return PipeCall(txn=TxnRequest(success=[RequestOp(request_put=put)]))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0)


class Bench:
    """A pipe over fake streams, and calls on it as tasks of the test's group."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.streams: list[FakeStream] = []
        self.pipe = Pipe(self._open, "here")  # type: ignore[arg-type]
        self._tasks = tasks

    def _open(self) -> FakeStream:
        self.streams.append(FakeStream())
        return self.streams[-1]

    def call(
        self, call: PipeCall, kind: Kind = Kind.WRITE, timeout_s: float = TIMEOUT_S
    ) -> asyncio.Task[PipeResult | Exception]:
        return self._tasks.create_task(self._outcome(call, kind, timeout_s))

    async def _outcome(
        self, call: PipeCall, kind: Kind, timeout_s: float
    ) -> PipeResult | Exception:
        try:
            return await self.pipe.call(call, kind=kind, timeout_s=timeout_s)
        except (EtcdError, PipeAbsentError) as error:
            return error

    async def opened(self) -> FakeStream:
        """The stream, once its probe is answered."""
        await until(lambda: bool(self.streams) and bool(self.streams[-1].written))
        self.streams[-1].answer(0)
        return self.streams[-1]


async def test_what_waits_goes_out_together_and_is_answered_by_id() -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tasks)
        calls = [bench.call(txn()) for _ in range(5)]
        stream = await bench.opened()
        await until(lambda: bool(stream.call_ids))
        assert stream.call_ids == [[1, 2, 3, 4, 5]]
        stream.answer(5, 3, 1)
        await until(lambda: calls[0].done() and calls[2].done() and calls[4].done())
        assert not calls[1].done()
        stream.answer(2, 4)
    assert all(isinstance(call.result(), PipeResult) for call in calls)
    await bench.pipe.close()


async def test_messages_are_bounded() -> None:
    half = BATCH_BYTES_MAX // 2
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tasks)
        for _ in range(3):
            bench.call(txn(half))
        stream = await bench.opened()
        await until(lambda: sum(map(len, stream.call_ids)) == 3)
        assert all(request.ByteSize() <= BATCH_BYTES_MAX + 64 for request in stream.written)
        stream.answer(1, 2, 3)
    await bench.pipe.close()


async def test_a_lost_stream_leaves_written_writes_unknown_and_all_else_definite() -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tasks)
        written = bench.call(txn())
        read = bench.call(txn(), Kind.READ)
        stream = await bench.opened()
        await until(lambda: bool(stream.call_ids))
        stream.may_write.clear()
        held = bench.call(txn())  # taken by the writer, perhaps on the wire
        await asyncio.sleep(0)
        queued = bench.call(txn())
        await asyncio.sleep(0)
        stream.fail(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    outcomes = [one.result() for one in (written, read, held, queued)]
    assert all(isinstance(error, EtcdError) for error in outcomes)
    definite = [isinstance(error, EtcdError) and error.definite for error in outcomes]
    assert definite == [False, True, False, True]
    await bench.pipe.close()


async def test_a_server_without_the_service_is_asked_once() -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tasks)
        call = bench.call(txn())
        await until(lambda: bool(bench.streams))
        bench.streams[0].fail(grpc.StatusCode.UNIMPLEMENTED, "unknown service")
    assert isinstance(call.result(), PipeAbsentError)
    assert bench.pipe.absent
    assert bench.streams[0].call_ids == []
    await bench.pipe.close()


async def test_a_new_stream_follows_a_lost_one() -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tasks)
        first = bench.call(txn())
        (await bench.opened()).fail(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        await until(first.done)
        second = bench.call(txn())
        await until(lambda: len(bench.streams) == 2)
        stream = await bench.opened()
        await until(lambda: bool(stream.call_ids))
        stream.answer(2)
    assert isinstance(second.result(), PipeResult)
    await bench.pipe.close()


async def test_time_out_is_definite_only_for_what_never_left() -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tasks)
        never_left = bench.call(txn(), timeout_s=0.01)
        await until(never_left.done)
        stream = await bench.opened()
        left = bench.call(txn(), timeout_s=0.01)
        await until(left.done)
        assert stream.call_ids == [[2]]
        stream.answer(2)  # too late: nobody waits any more
    for call, definite in ((never_left, True), (left, False)):
        error = call.result()
        assert isinstance(error, EtcdError)
        assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error.definite is definite
    await bench.pipe.close()


async def test_a_closed_pipe_takes_no_calls() -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tasks)
        waiting = bench.call(txn())
        stream = await bench.opened()
        await until(lambda: bool(stream.call_ids))
        await bench.pipe.close()
    error = waiting.result()
    assert isinstance(error, EtcdError)
    assert not error.definite
    with pytest.raises(EtcdError, match="closed") as refused:
        await bench.pipe.call(txn(), kind=Kind.WRITE, timeout_s=1)
    assert refused.value.definite
