"""Bytes of the journal: what is written is read back, and every altered byte is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftstore.raft.types import Entry, EntryKind, HardState, Index, MemberId, Term
from raftstore.wal.codec import (
    DamagedError,
    FileHeader,
    Record,
    SnapshotMark,
    decode_batch,
    decode_header,
    encode_batch,
    encode_header,
)

U64 = st.integers(0, 2**64 - 1)
ENTRIES = st.builds(Entry, U64, U64, st.sampled_from(EntryKind), st.binary(max_size=300))
RECORDS = st.one_of(
    ENTRIES,
    st.builds(HardState, U64, U64, U64),
    st.builds(SnapshotMark, U64, U64, st.booleans()),
)
HEADER = FileHeader(sequence=7, cluster_id=2**63, member_id=3, first_index=12, chain=99)
SAMPLE: list[Record] = [
    HardState(Term(3), MemberId(2), Index(1)),
    Entry(Term(3), Index(5), EntryKind.NORMAL, b"hello"),
]


@given(st.lists(RECORDS, max_size=5), st.integers(0, 2**32 - 1), st.integers(0, 2**40))
def test_a_batch_is_read_back_as_written(
    records: list[Record], previous_crc: int, sequence: int
) -> None:
    data, crc = encode_batch(records, previous_crc=previous_crc, sequence=sequence, offset=64)
    batch, follows = decode_batch(b"\0" * 64 + data, 64, sequence=sequence)
    assert list(batch.records) == records
    assert (batch.crc, follows, batch.end) == (crc, previous_crc, 64 + len(data))
    assert len(data) % 8 == 0


def test_every_flipped_bit_of_a_batch_is_noticed() -> None:
    data, crc = encode_batch(SAMPLE, previous_crc=1, sequence=1, offset=0)
    payload_end = 16 + int.from_bytes(data[4:8], "little")
    for position in range(payload_end):
        for bit in range(8):
            altered = bytearray(data)
            altered[position] ^= 1 << bit
            with pytest.raises(DamagedError):
                decode_batch(bytes(altered), 0, sequence=1)
    assert decode_batch(data, 0, sequence=1)[0].crc == crc


def test_a_batch_is_valid_only_in_its_own_place() -> None:
    data, _ = encode_batch(SAMPLE, previous_crc=1, sequence=1, offset=0)
    with pytest.raises(DamagedError, match="checksum"):
        decode_batch(b"\0" * 8 + data, 8, sequence=1)
    with pytest.raises(DamagedError, match="checksum"):
        decode_batch(data, 0, sequence=2)


def test_every_truncation_of_a_batch_is_noticed() -> None:
    data, _ = encode_batch(SAMPLE, previous_crc=1, sequence=1, offset=0)
    payload_end = 16 + int.from_bytes(data[4:8], "little")
    for length in range(payload_end):
        with pytest.raises(DamagedError):
            decode_batch(data[:length], 0, sequence=1)


def test_a_header_is_read_back_and_every_altered_byte_noticed() -> None:
    data = encode_header(HEADER)
    assert decode_header(data) == HEADER
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 0x10
        with pytest.raises(DamagedError):
            decode_header(bytes(altered))
    with pytest.raises(DamagedError, match="shorter"):
        decode_header(data[:-1])
