"""`raftstore.v1.Pipe`: many transactions and reads over one stream, answered as each is done.

The same code answers as in `kv`; what is saved is gRPC's cost per call. Whatever is done while one
response is being written goes out as the next. A stream with too many calls in flight is not read
from until some are answered.
"""

from __future__ import annotations

import asyncio
import logging

from etcdclient.pb.pipe_pb2 import PipeCall, PipeRequest, PipeResponse, PipeResult
from raftstore.errors import Code, StoreError
from raftstore.pb.command_pb2 import Command
from raftstore.rpc.handlers import Context, Handler, stream
from raftstore.rpc.headers import Headers
from raftstore.rpc.kv import KvService

log = logging.getLogger(__name__)

IN_FLIGHT_MAX = 4_096
RESPONSE_BYTES_MAX = 1 << 20


class PipeService:
    """Transact on one member."""

    def __init__(self, kv: KvService, headers: Headers) -> None:
        self._kv = kv
        self._headers = headers

    def handlers(self) -> dict[str, Handler]:
        """By full path."""
        return {"/raftstore.v1.Pipe/Transact": stream(self.transact, PipeRequest, PipeResponse)}

    async def transact(self, context: Context) -> None:
        """Serve one stream until the client half-closes or leaves."""
        served = _Stream(self, context)
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(served.write_for_ever(), name="pipe-writer")
            try:
                await served.read(tasks)
            finally:
                writer.cancel()

    async def answer(self, call: PipeCall) -> PipeResult:
        """The result of one call; a StoreError becomes an error result."""
        result = PipeResult(id=call.id)
        try:
            match call.WhichOneof("call"):
                case "txn":
                    command = Command(txn=call.txn)
                    result.txn.CopyFrom(await self._kv.txn(command))
                case "range":
                    result.range.CopyFrom(await self._kv.range(call.range))
                case "read_revision":
                    result.read_revision.revision = await self._kv.read_revision()
                    self._headers.fill(result.read_revision)
                case _:
                    text = "raftstore: the pipe carries txn, range and read_revision"
                    raise StoreError(Code.UNIMPLEMENTED, text, definite=True)
        except StoreError as error:
            result.error.code = error.code
            result.error.message = error.text
            result.error.definite = error.definite
        return result


class _Stream:
    def __init__(self, service: PipeService, context: Context) -> None:
        self._service = service
        self._context = context
        self._in_flight = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._results: list[PipeResult] = []
        self._filled = asyncio.Event()

    async def read(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._has_room.wait()
            request = await self._context.read()
            if not isinstance(request, PipeRequest):
                break
            self._in_flight += len(request.calls)
            if self._in_flight >= IN_FLIGHT_MAX:
                self._has_room.clear()
            for call in request.calls:
                tasks.create_task(self._serve(call))

    async def _serve(self, call: PipeCall) -> None:
        self._results.append(await self._service.answer(call))
        self._filled.set()

    async def write_for_ever(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._results:
                batch = self._take_batch()
                await self._context.write(PipeResponse(results=batch))
                self._in_flight -= len(batch)
                if self._in_flight < IN_FLIGHT_MAX:
                    self._has_room.set()

    def _take_batch(self) -> list[PipeResult]:
        count, size = 0, 0
        while count < len(self._results) and size < RESPONSE_BYTES_MAX:
            size += self._results[count].ByteSize()
            count += 1
        batch = self._results[:count]
        del self._results[:count]
        return batch
