"""Messages and frames on the peer streams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.types import ConfState, Entry, EntryKind, SnapshotMeta
from raftstore.transport.wire import (
    FrameError,
    FrameKind,
    FrameParser,
    decode_messages,
    encode_frame,
    encode_messages,
)

U64 = st.integers(0, 2**64 - 1)
IDS = st.lists(U64, unique=True, max_size=4).map(lambda ids: tuple(sorted(ids)))
SNAPSHOTS = st.builds(
    SnapshotMeta, U64, U64, st.builds(ConfState, voters=IDS, learners=st.just(()))
)
MESSAGES = st.builds(
    Message,
    kind=st.sampled_from(MessageKind),
    to=U64,
    from_=U64,
    term=U64,
    log_term=U64,
    index=U64,
    commit=U64,
    entries=st.lists(
        st.builds(Entry, U64, U64, st.sampled_from(EntryKind), st.binary(max_size=40)), max_size=3
    ),
    snapshot=st.none() | SNAPSHOTS,
    reject=st.booleans(),
    reject_hint=U64,
    context=st.binary(max_size=16),
)


@given(st.lists(MESSAGES, max_size=4))
def test_messages_are_read_back_as_sent(messages: list[Message]) -> None:
    found = decode_messages(encode_messages(messages))
    for message in found:
        message.entries = list(message.entries)
    assert found == messages


@given(
    st.lists(st.tuples(st.sampled_from(FrameKind), st.binary(max_size=50)), max_size=6),
    st.integers(1, 60),
)
def test_frames_are_found_however_the_stream_is_cut(
    frames: list[tuple[FrameKind, bytes]], piece: int
) -> None:
    stream = b"".join(encode_frame(kind, body) for kind, body in frames)
    parser = FrameParser(frame_bytes_max=100)
    found = []
    for begin in range(0, len(stream), piece):
        found += list(parser.feed(stream[begin : begin + piece]))
    assert found == frames


def test_a_frame_over_the_bound_is_refused_by_its_length_alone() -> None:
    with pytest.raises(FrameError, match="limit 100"):
        list(FrameParser(frame_bytes_max=100).feed(b"\x00\x00\x00\x65\x02"))
    with pytest.raises(FrameError, match="0 bytes"):
        list(FrameParser(frame_bytes_max=100).feed(b"\x00\x00\x00\x00\x02"))


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(FrameError, match="kind 200"):
        list(FrameParser(frame_bytes_max=100).feed(b"\x00\x00\x00\x01\xc8"))
    with pytest.raises(FrameError, match="cannot be read"):
        decode_messages(b"\x0a\x02\x08\x63")  # a message of kind 99
    with pytest.raises(FrameError, match="cannot be read"):
        decode_messages(b"\xff\xff")
