"""Raft messages as protobuf and back, and the frames that carry them.

A frame is a u32 length (big endian, of what follows), one byte of kind, and the body.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError

from raftstore.pb.peer_pb2 import EntryRecord, RaftBatch, RaftMessage, SnapshotRecord
from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.types import (
    ConfState,
    Entry,
    EntryKind,
    Index,
    MemberId,
    SnapshotMeta,
    Term,
)

PROTOCOL = 1

_FRAME = struct.Struct(">IB")
_NO_ENTRIES: tuple[Entry, ...] = ()


class FrameKind(enum.IntEnum):
    """What a frame carries. The numbers are part of the wire format."""

    HELLO = 1
    RAFT = 2
    PING = 3
    PONG = 4
    QUESTION = 5
    ANSWER = 6
    CHUNK = 7
    DONE = 8
    """The receiver of a snapshot has it, checked and durable."""


class Purpose(enum.IntEnum):
    """What a stream is for (Hello.purpose). Questions travel on the Raft stream."""

    RAFT = 1
    SNAPSHOT = 2
    MEMBERS = 4
    """Nothing: the answer to the hello tells who belongs to the cluster."""


class FrameError(ValueError):
    """Bytes that are no frame of this protocol, or a frame over its bound."""


def encode_frame(kind: FrameKind, body: bytes) -> bytes:
    """One frame, ready to be written."""
    return _FRAME.pack(len(body) + 1, kind) + body


class FrameParser:
    """Cuts a stream of bytes into frames. Buffers at most one frame of `frame_bytes_max`."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[FrameKind, bytes]]:
        """The frames completed by `data`. Raises FrameError; the stream is then of no use."""
        if self._buffer:
            self._buffer += data
            source: bytes | bytearray = self._buffer
        else:
            source = data
        position = 0
        available = len(source)
        while available - position >= _FRAME.size:
            length, kind = _FRAME.unpack_from(source, position)
            if length < 1 or length > self._frame_bytes_max:
                raise FrameError(f"a frame of {length} bytes (limit {self._frame_bytes_max})")
            end = position + 4 + length
            if end > available:
                break
            try:
                frame_kind = FrameKind(kind)
            except ValueError:
                raise FrameError(f"frame kind {kind} is not known to this release") from None
            yield frame_kind, bytes(source[position + _FRAME.size : end])
            position = end
        if source is data:
            self._buffer += data[position:]
        else:
            del self._buffer[:position]


def encode_messages(messages: Sequence[Message]) -> bytes:
    """A RAFT frame's body."""
    return RaftBatch(messages=[to_wire(message) for message in messages]).SerializeToString()


def decode_messages(body: bytes) -> list[Message]:
    """The messages of a RAFT frame. Raises FrameError if they cannot be read."""
    try:
        return [from_wire(message) for message in RaftBatch.FromString(body).messages]
    except (DecodeError, ValueError) as error:
        raise FrameError(f"a Raft batch cannot be read: {error}") from error


def to_wire(message: Message) -> RaftMessage:
    """One message as protobuf."""
    snapshot = message.snapshot
    return RaftMessage(
        kind=message.kind,
        to=message.to,
        term=message.term,
        log_term=message.log_term,
        index=message.index,
        commit=message.commit,
        reject=message.reject,
        reject_hint=message.reject_hint,
        context=message.context,
        entries=[
            EntryRecord(term=entry.term, index=entry.index, kind=entry.kind, data=entry.data)
            for entry in message.entries
        ],
        snapshot=None
        if snapshot is None
        else SnapshotRecord(
            index=snapshot.index,
            term=snapshot.term,
            voters=snapshot.conf_state.voters,
            learners=snapshot.conf_state.learners,
        ),
        **{"from": message.from_},
    )


def from_wire(wire: RaftMessage) -> Message:
    """One message from protobuf. Raises ValueError for kinds this release does not know."""
    snapshot = None
    if wire.HasField("snapshot"):
        record = wire.snapshot
        conf_state = ConfState(
            voters=tuple(sorted({MemberId(member) for member in record.voters})),
            learners=tuple(sorted({MemberId(member) for member in record.learners})),
        )
        snapshot = SnapshotMeta(Index(record.index), Term(record.term), conf_state)
    entries: Sequence[Entry] = _NO_ENTRIES
    if wire.entries:
        entries = [
            Entry(Term(entry.term), Index(entry.index), EntryKind(entry.kind), entry.data)
            for entry in wire.entries
        ]
    return Message(
        kind=MessageKind(wire.kind),
        to=MemberId(wire.to),
        from_=MemberId(getattr(wire, "from")),
        term=Term(wire.term),
        log_term=Term(wire.log_term),
        index=Index(wire.index),
        commit=Index(wire.commit),
        entries=entries,
        snapshot=snapshot,
        reject=wire.reject,
        reject_hint=Index(wire.reject_hint),
        context=wire.context,
    )
