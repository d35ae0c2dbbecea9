"""Snapshot bytes: read back in pieces of any size; nothing altered, cut or added goes unnoticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftstore.membership import Membership
from raftstore.raft.types import Index, Term
from raftstore.snap.codec import (
    SnapshotDamagedError,
    SnapshotDecoder,
    SnapshotEncoder,
    SnapshotHead,
)

MEMBERSHIP = Membership.initial({"a": ("https://a:1",), "b": ("https://b:1",)}, "token")
HEAD = SnapshotHead(Index(42), Term(7), MEMBERSHIP)
CHUNK_MAX = 1_000


def encoded(chunks: list[bytes]) -> bytes:
    encoder = SnapshotEncoder()
    parts = [encoder.head(HEAD), *(encoder.chunk(chunk) for chunk in chunks), encoder.tail()]
    return b"".join(parts)


def decoded(data: bytes, piece: int = 7) -> tuple[SnapshotDecoder, list[bytes]]:
    decoder = SnapshotDecoder(chunk_bytes_max=CHUNK_MAX)
    chunks: list[bytes] = []
    for begin in range(0, len(data), piece):
        chunks += decoder.feed(data[begin : begin + piece])
    return decoder, chunks


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=6), st.integers(1, 500))
def test_a_snapshot_is_read_back_in_pieces_of_any_size(chunks: list[bytes], piece: int) -> None:
    decoder, found = decoded(encoded(chunks), piece)
    assert found == chunks
    assert decoder.complete
    assert decoder.head is not None
    assert decoder.head.meta == HEAD.meta
    assert decoder.head.membership.to_json() == MEMBERSHIP.to_json()


def test_every_altered_byte_is_noticed() -> None:
    data = encoded([b"first", b"second"])
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 0x01
        try:
            decoder, _ = decoded(bytes(altered))
        except SnapshotDamagedError:
            continue
        assert not decoder.complete, f"byte {position} may be altered unnoticed"


def test_no_prefix_is_complete() -> None:
    data = encoded([b"first", b"second"])
    for length in range(len(data)):
        assert not decoded(data[:length])[0].complete


def test_chunks_cannot_change_places_or_vanish() -> None:
    encoder = SnapshotEncoder()
    head, first, second = encoder.head(HEAD), encoder.chunk(b"aaaa"), encoder.chunk(b"bbbb")
    tail = encoder.tail()
    for wrong in (head + second + first + tail, head + second + tail, head + first + first + tail):
        with pytest.raises(SnapshotDamagedError, match="checksum of chunk"):
            decoded(wrong)
    with pytest.raises(SnapshotDamagedError, match="tail"):
        decoded(head + first + tail)


def test_bytes_behind_the_end_are_refused() -> None:
    with pytest.raises(SnapshotDamagedError, match="after the end"):
        decoded(encoded([b"x"]) + b"y")


def test_impossible_lengths_are_refused_before_they_are_waited_for() -> None:
    data = encoded([b"x" * (CHUNK_MAX + 1)])
    with pytest.raises(SnapshotDamagedError, match="impossible"):
        decoded(data)
