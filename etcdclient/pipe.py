"""Many transactions and reads over one stream, where the server offers `raftstore.v1.Pipe`.

Whatever waits goes out as one message; a lone caller waits for nothing. When the stream is lost,
what was written to it is unknown and what still waited is definite. A server without the service
says so once, and `Pipe.absent` tells the caller to make plain calls from then on.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, TypeAlias

import grpc.aio

from etcdclient import errors
from etcdclient.errors import EtcdError, Kind
from etcdclient.pb.pipe_pb2 import (
    PipeCall,
    PipeRequest,
    PipeResponse,
    PipeResult,
    ReadRevision,
)

WAITING_MAX = 10_000
BATCH_CALLS_MAX = 256
BATCH_BYTES_MAX = 1 << 20
"""Of one message. Larger calls stay off the pipe: a message that the server finds too large ends
the stream, and with it everybody else's calls."""
PROBE_ID = 0
"""The id of the probe that opens a stream; those of calls begin at 1."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}

_Open: TypeAlias = grpc.aio.StreamStreamMultiCallable[PipeRequest, PipeResponse]
_Stream: TypeAlias = grpc.aio.StreamStreamCall[PipeRequest, PipeResponse]


class PipeAbsentError(Exception):
    """The server does not offer the pipe; the call was not made."""


class _Waiter(NamedTuple):
    future: asyncio.Future[PipeResult]
    kind: Kind


class Pipe:
    """The stream to one endpoint, opened by the first call and again after a loss."""

    def __init__(self, open_stream: _Open, endpoint: str) -> None:
        self._open_stream = open_stream
        self._endpoint = endpoint
        self._queued: dict[int, PipeCall] = {}
        self._waiters: dict[int, _Waiter] = {}
        self._wake = asyncio.Event()
        self._last_id = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        # Set once the server has answered on the stream that is open now.
        self._answers = asyncio.Event()
        self.absent = False

    async def call(self, call: PipeCall, *, kind: Kind, timeout_s: float) -> PipeResult:
        """The result of one call; its `id` is ours to set. Raises EtcdError, PipeAbsentError."""
        if self._closed:
            raise errors.closed()
        if len(self._waiters) >= WAITING_MAX:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            raise EtcdError(code, "too many calls wait in this client", definite=True)
        loop = asyncio.get_running_loop()
        self._last_id += 1
        call_id = call.id = self._last_id
        future: asyncio.Future[PipeResult] = loop.create_future()
        self._waiters[call_id] = _Waiter(future, kind)
        self._queued[call_id] = call
        self._wake.set()
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run(), name=f"pipe {self._endpoint}")
        timer = loop.call_later(timeout_s, self._expire, call_id, timeout_s)
        try:
            result = await future
        finally:
            timer.cancel()
            self._waiters.pop(call_id, None)
            self._queued.pop(call_id, None)
        if result.HasField("error"):
            failure = result.error
            code = _CODES.get(failure.code, grpc.StatusCode.UNKNOWN)
            raise errors.from_status(
                code, failure.message, kind, self._endpoint, told_definite=failure.definite
            )
        return result

    def _expire(self, call_id: int, timeout_s: float) -> None:
        waiter = self._waiters.get(call_id)
        if waiter is not None and not waiter.future.done():
            kind = Kind.READ if call_id in self._queued else waiter.kind
            waiter.future.set_exception(errors.timed_out(kind, timeout_s, self._endpoint))

    async def _run(self) -> None:
        """One life of the stream: ends when the stream does, and settles whoever waits on it."""
        stream = self._open_stream()
        self._answers.clear()
        code, text = grpc.StatusCode.UNAVAILABLE, "the pipe was closed"
        writer = asyncio.create_task(self._write(stream), name=f"pipe writer {self._endpoint}")
        try:
            await self._read(stream)
        except grpc.aio.AioRpcError as error:
            code, text = error.code(), error.details() or ""
        finally:
            writer.cancel()
            stream.cancel()
            await asyncio.wait((writer,))
            self._settle(code, text)

    async def _write(self, stream: _Stream) -> None:
        """Write what waits, once a probe has shown that the service is there.

        Until then nothing that may change the store has left this process: where a write meets a
        refusal, gRPC reports an error of its own in place of the server's, and it would be unknown
        what became of the calls in it.
        """
        try:
            probe = PipeCall(id=PROBE_ID, read_revision=ReadRevision())
            await stream.write(PipeRequest(calls=[probe]))
            await self._answers.wait()
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queued:
                    await stream.write(PipeRequest(calls=self._take_batch()))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the reader learns the status of the stream

    def _take_batch(self) -> list[PipeCall]:
        batch: list[PipeCall] = []
        size = 0
        for call in self._queued.values():
            size += call.ByteSize()
            if len(batch) == BATCH_CALLS_MAX or (batch and size > BATCH_BYTES_MAX):
                break
            batch.append(call)
        for call in batch:
            del self._queued[call.id]
        return batch

    async def _read(self, stream: _Stream) -> None:
        while True:
            response = await stream.read()
            if not isinstance(response, PipeResponse):
                return  # end of the stream, with status OK
            self._answers.set()
            for result in response.results:
                waiter = self._waiters.get(result.id)
                if waiter is not None and not waiter.future.done():
                    waiter.future.set_result(result)

    def _settle(self, code: grpc.StatusCode, text: str) -> None:
        """The stream is gone: nobody who waits will be answered on it."""
        if code is grpc.StatusCode.UNIMPLEMENTED:
            self.absent = True
        for call_id, (future, kind) in self._waiters.items():
            if future.done():
                continue
            if self.absent:
                future.set_exception(PipeAbsentError())
                continue
            kind = Kind.READ if call_id in self._queued else kind
            future.set_exception(errors.from_status(code, text, kind, self._endpoint))
        self._queued.clear()

    async def close(self) -> None:
        """End the stream; who waits gets an error."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
