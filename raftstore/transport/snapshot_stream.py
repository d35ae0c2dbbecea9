"""A snapshot on its way to one peer: the file as it is, frame by frame, at the peer's pace."""

from __future__ import annotations

import asyncio
import functools
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import DecodeError

from raftstore.pb.peer_pb2 import SnapshotChunk
from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.types import SnapshotMeta
from raftstore.snap.codec import SnapshotDamagedError
from raftstore.snap.store import SnapshotGoneError, SnapshotStore
from raftstore.transport.connection import FrameConnection
from raftstore.transport.wire import FrameError, FrameKind, decode_messages, encode_messages
from raftstore.wal.reserve import DiskFullError
from raftstore.wal.worker import Worker

STALL_MAX_S = 10.0
"""A transfer that makes no step for so long is given up; Raft will ask for another."""
FRAMES_QUEUED_MAX = 8


class TransferError(Exception):
    """A snapshot did not arrive. The text says why; nothing of it was kept."""


async def send_snapshot(
    connection: FrameConnection, message: Message, store: SnapshotStore, worker: Worker
) -> None:
    """Stream the snapshot that `message` speaks of, and wait until the peer has it on disk.

    Raises TransferError.
    """
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_frame(kind: FrameKind, _body: bytes) -> None:
        if kind == FrameKind.DONE and not done.done():
            done.set_result(None)

    connection.on_frame = on_frame
    assert message.snapshot is not None
    reader = store.begin_send(message.snapshot)
    try:
        connection.send(FrameKind.RAFT, encode_messages([message]))
        while True:
            data = await worker.run(reader.read)
            chunk = SnapshotChunk(data=data, last=not data, crc=zlib.crc32(data))
            connection.send(FrameKind.CHUNK, chunk.SerializeToString())
            await _within(connection.drain(), "the peer takes no more bytes")
            if connection.closed.done():
                raise TransferError("the connection broke")
            if not data:
                break
        waiting = {done, connection.closed}
        await asyncio.wait(waiting, timeout=STALL_MAX_S, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            raise TransferError("the peer did not confirm it")
    except SnapshotGoneError as error:
        raise TransferError(str(error)) from error
    finally:
        await worker.run(reader.close)


async def _within(step: Awaitable[None], what: str) -> None:
    try:
        async with asyncio.timeout(STALL_MAX_S):
            await step
    except TimeoutError:
        raise TransferError(what) from None


class IncomingSnapshot:
    """The receiving end. `on_frame` queues frames, at most a few; `run` takes them to disk."""

    def __init__(self, connection: FrameConnection, store: SnapshotStore, worker: Worker) -> None:
        self._connection = connection
        self._store = store
        self._worker = worker
        self._frames: asyncio.Queue[tuple[FrameKind, bytes]] = asyncio.Queue()

    def on_frame(self, kind: FrameKind, body: bytes) -> None:
        """Called by the connection; pauses it while the disk is behind."""
        self._frames.put_nowait((kind, body))
        if self._frames.qsize() >= FRAMES_QUEUED_MAX:
            self._connection.pause_reading()

    async def run(
        self, check: Callable[[Message], SnapshotMeta], installed: Callable[[Message], None]
    ) -> None:
        """Receive one snapshot; `installed` is called once it is checked and durable.

        `check` judges the message that announces it. Raises TransferError.
        """
        message = self._announcement(await self._next())
        meta = check(message)
        receiver = self._store.begin_receive()
        try:
            while True:
                chunk = _chunk(await self._next())
                if chunk.last:
                    break
                await self._worker.run(functools.partial(receiver.feed, chunk.data))
            await self._worker.run(lambda: receiver.finish(meta))
        except SnapshotDamagedError as error:
            raise TransferError(f"damaged on its way: {error}") from error
        except DiskFullError as error:
            raise TransferError(str(error)) from error
        finally:
            await self._worker.run(receiver.abandon)
        installed(message)
        self._connection.send(FrameKind.DONE)

    async def _next(self) -> tuple[FrameKind, bytes]:
        getting = asyncio.ensure_future(self._frames.get())
        try:
            either: set[asyncio.Future[Any]] = {getting, self._connection.closed}
            await asyncio.wait(either, timeout=STALL_MAX_S, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                raise TransferError("the sender stopped before the end")
            frame = getting.result()
        finally:
            getting.cancel()
        if self._frames.qsize() < FRAMES_QUEUED_MAX:
            self._connection.resume_reading()
        return frame

    def _announcement(self, frame: tuple[FrameKind, bytes]) -> Message:
        kind, body = frame
        if kind != FrameKind.RAFT:
            raise TransferError(f"a {kind.name} frame where the snapshot's message was expected")
        try:
            messages = decode_messages(body)
        except FrameError as error:
            raise TransferError(str(error)) from error
        if len(messages) != 1 or messages[0].kind != MessageKind.SNAP:
            raise TransferError("the stream does not begin with one SNAP message")
        return messages[0]


def _chunk(frame: tuple[FrameKind, bytes]) -> SnapshotChunk:
    kind, body = frame
    if kind != FrameKind.CHUNK:
        raise TransferError(f"a {kind.name} frame within a snapshot")
    try:
        chunk = SnapshotChunk.FromString(body)
    except DecodeError as error:
        raise TransferError(f"a chunk cannot be read: {error}") from error
    if zlib.crc32(chunk.data) != chunk.crc:
        raise TransferError("a chunk's checksum does not match")
    return chunk
