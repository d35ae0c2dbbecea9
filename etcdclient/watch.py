"""One watch on one stream, resumed elsewhere when the way to its server is lost.

Promises that no event is lost or repeated: a revision is delivered whole or not at all, and a
resumed watch starts one past the last revision delivered (etcd API, WatchCreateRequest).
What is not promised is an end: where resuming is impossible, the stream says why and ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Self, TypeAlias

import grpc.aio

from etcdclient import errors
from etcdclient.connection import Connection
from etcdclient.endpoints import Endpoints
from etcdclient.errors import EtcdError, Kind
from etcdclient.pb.rpc_pb2 import (
    WatchCreateRequest,
    WatchProgressRequest,
    WatchRequest,
    WatchResponse,
)
from etcdclient.rpcs import WATCH

log = logging.getLogger(__name__)

BUFFERED_RESPONSES_MAX = 64
RESUME_PAUSE_S = 0.02
STREAM_PROGRESS_ID = -1
"""The watch id of an answer to a progress request: it speaks for the whole stream."""

_Stream: TypeAlias = grpc.aio.StreamStreamCall[WatchRequest, WatchResponse]


class WatchStream:
    """An async iterator of WatchResponse: events, progress, and at last a canceled response.

    Ends after a response with `canceled` (for compaction with `compact_revision`), or when closed;
    raises EtcdError when the stream is lost and cannot be, or may not be, resumed. At most
    `BUFFERED_RESPONSES_MAX` responses wait here; beyond that, flow control holds the server back.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        request: WatchCreateRequest,
        *,
        require_leader: bool,
        resume: bool,
        exact_progress: bool,
        timeout_s: float,
        on_close: Callable[[WatchStream], None],
    ) -> None:
        self._endpoints = endpoints
        self._request = WatchCreateRequest()
        self._request.CopyFrom(request)
        self._metadata = (("hasleader", "true"),) if require_leader else ()
        self._resume = resume
        self._exact_progress = exact_progress
        self._timeout_s = timeout_s
        self._on_close = on_close
        self._buffer: asyncio.Queue[WatchResponse | EtcdError | None] = asyncio.Queue(
            BUFFERED_RESPONSES_MAX
        )
        self._stream: _Stream | None = None
        self._writing = asyncio.Lock()
        self._ended = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="etcdclient watch")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchResponse:
        if self._ended:
            raise StopAsyncIteration
        item = await self._buffer.get()
        if isinstance(item, WatchResponse):
            return item
        self._ended = True
        if item is None:
            raise StopAsyncIteration
        raise item

    async def request_progress(self) -> bool:
        """Ask how far this stream is; the answer comes as a response with watch id -1.

        Returns False, and asks nothing, while no stream is open.
        """
        stream = self._stream
        if stream is None:
            return False
        return await self._send(stream, WatchRequest(progress_request=WatchProgressRequest()))

    async def close(self) -> None:
        """End the watch. Iteration stops; may be called twice."""
        self._task.cancel()
        await asyncio.wait((self._task,))
        while not self._buffer.empty():
            self._buffer.get_nowait()
        self._buffer.put_nowait(None)
        self._on_close(self)

    async def _run(self) -> None:
        last: WatchResponse | EtcdError | None = None
        try:
            last = await self._watch()
        except EtcdError as error:
            last = error
        except Exception as error:
            log.exception("watch failed")
            last = EtcdError(grpc.StatusCode.INTERNAL, repr(error), definite=True)
        await self._buffer.put(last)
        if isinstance(last, WatchResponse):
            await self._buffer.put(None)

    async def _watch(self) -> WatchResponse:
        """Follow one stream after the other; returns the response that cancels the watch."""
        loop = asyncio.get_running_loop()
        while True:
            connection = await self._endpoints.pick(loop.time() + self._timeout_s)
            try:
                return await self._follow(connection)
            except EtcdError as error:
                if not self._resume or not errors.is_elsewhere_worthwhile(error):
                    raise
                log.info("watch resumes at revision %d: %s", self._request.start_revision, error)
            connection.set_aside(loop.time())
            await asyncio.sleep(RESUME_PAUSE_S)

    async def _follow(self, connection: Connection) -> WatchResponse:
        stream = connection.stream(WATCH, metadata=self._metadata)
        try:
            await self._send(stream, WatchRequest(create_request=self._request))
            return await self._read(stream, connection)
        except grpc.aio.AioRpcError as error:
            raise errors.from_rpc_error(error, Kind.READ, connection.endpoint) from None
        finally:
            self._stream = None
            stream.cancel()

    async def _send(self, stream: _Stream, request: WatchRequest) -> bool:
        async with self._writing:
            try:
                await stream.write(request)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return False  # whoever reads the stream learns its status
            return True

    async def _read(self, stream: _Stream, connection: Connection) -> WatchResponse:
        whole: WatchResponse | None = None
        while True:
            response = await stream.read()
            if not isinstance(response, WatchResponse):
                text = "the server ended the watch stream"
                code = grpc.StatusCode.UNAVAILABLE
                raise EtcdError(code, text, definite=True, endpoint=connection.endpoint)
            if response.canceled:
                return response
            if response.created:
                connection.restore()
                self._stream = stream
                if not self._request.start_revision:
                    self._request.start_revision = response.header.revision + 1
                continue
            if whole is not None and response.events:
                whole.events.extend(response.events)
            if response.fragment:
                whole = whole or response
                continue
            delivered, whole = whole or response, None
            delivered.fragment = False
            await self._buffer.put(delivered)
            self._advance(delivered)

    def _advance(self, delivered: WatchResponse) -> None:
        """Move the revision to resume from past what is in the reader's buffer."""
        if delivered.events:
            revision = delivered.events[-1].kv.mod_revision
        elif delivered.watch_id != STREAM_PROGRESS_ID or self._exact_progress:
            revision = delivered.header.revision
        else:
            return
        self._request.start_revision = max(self._request.start_revision, revision + 1)
