"""ARP frames, byte by byte."""

import pytest

from vip.arp import build_announcement, build_probe, owner_of

OURS = bytes.fromhex("020000000001")
THEIRS = bytes.fromhex("020000000002")
ADDRESS = bytes([10, 0, 0, 100])


def test_probe_claims_nothing() -> None:
    assert build_probe(OURS, ADDRESS).hex() == (
        "ffffffffffff" "020000000001" "0806"  # broadcast, from us, ARP
        "0001" "0800" "06" "04" "0001"  # Ethernet, IPv4, request
        "020000000001" "00000000"  # sender without an address (RFC 5227 §2.1.1)
        "000000000000" "0a000064"
    )  # fmt: skip


def test_announcement_names_the_address_twice() -> None:
    frame = build_announcement(OURS, ADDRESS)
    assert frame[28:32] == ADDRESS
    assert frame[38:42] == ADDRESS


def test_owner_is_another_machine_that_says_so() -> None:
    assert owner_of(build_announcement(THEIRS, ADDRESS), ADDRESS, OURS) == THEIRS


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(60),
        build_announcement(OURS, ADDRESS),  # our own
        build_announcement(THEIRS, bytes([10, 0, 0, 101])),
        build_probe(THEIRS, ADDRESS),  # asks, has it not
        build_announcement(THEIRS, ADDRESS)[:-1],
    ],
)
def test_other_frames_show_no_owner(frame: bytes) -> None:
    assert owner_of(frame, ADDRESS, OURS) is None
