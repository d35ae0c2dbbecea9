"""Leases: what apply decides for everyone, and what the leader counts on its own."""

from __future__ import annotations

import pytest

from raftstore.errors import Code, StoreError
from raftstore.lease.lessor import (
    CHECKPOINT_INTERVAL_MS,
    REVOKE_RETRY_MS,
    SWEEP_MIN,
    TTL_MAX_S,
    LeaseCheckpoint,
    LeaseGrant,
    LeaseId,
    LeaseTtl,
    Lessor,
    ttl_min_of,
)

NOT_FOUND = "etcdserver: requested lease not found"


def leading(ttl_min_s: int = 1) -> Lessor:
    lessor = Lessor(ttl_min_s)
    lessor.promote(0)
    return lessor


def refusal(code: Code, text: str) -> pytest.RaisesExc[StoreError]:
    return pytest.RaisesExc(
        StoreError, check=lambda error: (error.code, error.text) == (code, text)
    )


def test_a_grant_needs_a_new_id_and_a_countable_time() -> None:
    lessor = Lessor(2)
    assert lessor.grant(7, 60) == 60
    assert lessor.grant(8, 0) == lessor.grant(9, -5) == 2
    assert lessor.grant(10, TTL_MAX_S) == TTL_MAX_S
    with refusal(Code.FAILED_PRECONDITION, "etcdserver: lease already exists"):
        lessor.grant(7, 60)
    with refusal(Code.OUT_OF_RANGE, "etcdserver: too large lease TTL"):
        lessor.grant(11, TTL_MAX_S + 1)
    with refusal(Code.NOT_FOUND, NOT_FOUND):
        lessor.grant(0, 60)
    assert lessor.leases() == [7, 8, 9, 10]


def test_what_is_not_granted_is_not_found() -> None:
    lessor = leading()
    for ask in (
        lessor.check,
        lessor.keys_of,
        lessor.revoke,
        lessor.keep_alive,
        lessor.time_to_live,
    ):
        with refusal(Code.NOT_FOUND, NOT_FOUND):
            ask(7)


def test_keys_hang_on_a_lease_until_they_are_taken_off() -> None:
    lessor = Lessor(1)
    lessor.grant(7, 60)
    for key in (b"b", b"a", b"c"):
        lessor.attach(7, key)
    lessor.detach(7, b"b")
    lessor.detach(7, b"never there")
    assert lessor.keys_of(7) == [b"a", b"c"]
    assert lessor.time_to_live(7) == LeaseTtl(0, 60, [b"a", b"c"])
    with pytest.raises(AssertionError):
        lessor.revoke(7)


def test_only_the_leader_counts_time() -> None:
    lessor = Lessor(1)
    lessor.grant(7, 1)
    assert lessor.tick(3_600_000) == ([], [])
    lessor.promote(500)
    assert lessor.tick(1_499).expired == []
    lessor.demote()
    assert lessor.tick(1_000).expired == []
    lessor.promote(0)
    assert lessor.tick(999).expired == []
    assert lessor.tick(1).expired == [7]


def test_an_expired_lease_is_named_once_and_again_if_its_revocation_is_lost() -> None:
    lessor = leading()
    lessor.grant(7, 1)
    assert lessor.tick(1_000).expired == [7]
    assert lessor.tick(REVOKE_RETRY_MS - 1).expired == []
    assert lessor.tick(1).expired == [7]
    lessor.revoke(7)
    assert lessor.tick(REVOKE_RETRY_MS).expired == []


def test_a_tick_names_a_bounded_number_earliest_first() -> None:
    lessor = leading()
    for lease in range(1, 8):
        lessor.grant(lease, 20 - lease)
    assert lessor.tick(60_000, expired_max=3).expired == [7, 6, 5]
    assert lessor.tick(1, expired_max=3).expired == [4, 3, 2]
    assert lessor.tick(1, expired_max=3).expired == [1]


def test_keep_alive_gives_the_full_time_again() -> None:
    lessor = leading()
    lessor.grant(7, 2)
    for _ in range(10):
        assert lessor.tick(1_500).expired == []
        assert lessor.time_to_live(7).ttl_s == 0
        assert lessor.keep_alive(7) == 2
        assert lessor.time_to_live(7).ttl_s == 2
    assert lessor.tick(2_000).expired == [7]
    with refusal(Code.NOT_FOUND, NOT_FOUND):
        lessor.keep_alive(7)


def test_a_new_leader_starts_from_the_checkpoint() -> None:
    lessor = leading()
    lessor.grant(7, 3_600)
    lessor.grant(8, 300)
    assert lessor.tick(CHECKPOINT_INTERVAL_MS - 1).checkpoints == []
    named = lessor.tick(1).checkpoints
    assert named == [LeaseCheckpoint(LeaseId(7), 3_300)]
    lessor.checkpoint(*named[0])
    lessor.checkpoint(99, 5)
    lessor.promote(2_000)
    assert lessor.time_to_live(7).ttl_s == 3_302
    assert lessor.tick(CHECKPOINT_INTERVAL_MS).checkpoints == [LeaseCheckpoint(LeaseId(7), 3_002)]
    assert lessor.keep_alive(7) == 3_600
    assert lessor.tick(0).checkpoints == [LeaseCheckpoint(LeaseId(7), 0)]
    lessor.checkpoint(7, 0)
    lessor.keep_alive(7)
    assert lessor.tick(0).checkpoints == []


def test_renewing_changes_nothing_that_members_share() -> None:
    lessor = leading()
    lessor.grant(7, 3_600)
    lessor.checkpoint(7, 100)
    before = lessor.grants()
    lessor.keep_alive(7)
    lessor.tick(1_000)
    assert lessor.grants() == before == [LeaseGrant(LeaseId(7), 3_600, 100)]


def test_an_id_granted_again_counts_anew() -> None:
    lessor = leading()
    lessor.grant(7, 5)
    lessor.revoke(7)
    lessor.grant(7, 60)
    assert lessor.tick(59_999).expired == []
    lessor.revoke(7)
    lessor.grant(7, 1)
    assert lessor.tick(1_000).expired == [7]
    assert lessor.tick(REVOKE_RETRY_MS).expired == [7]


def test_revoked_leases_leave_nothing_behind() -> None:
    lessor = leading()
    for _ in range(5 * SWEEP_MIN):
        lessor.grant(7, TTL_MAX_S)
        lessor.revoke(7)
    assert len(lessor._due) <= SWEEP_MIN + 1
    assert len(lessor._checkpoints_due) <= SWEEP_MIN + 1


def test_restoring_replaces_everything_and_stops_counting() -> None:
    lessor = leading()
    lessor.grant(1, 1)
    grants = [LeaseGrant(LeaseId(7), 60, 0), LeaseGrant(LeaseId(8), 600, 90)]
    lessor.restore(grants, [(7, b"a"), (7, b"b")])
    assert lessor.grants() == grants
    assert lessor.keys_of(7) == [b"a", b"b"]
    assert not lessor.is_primary
    assert lessor.tick(1_000_000) == ([], [])
    lessor.promote(0)
    assert (lessor.time_to_live(7).ttl_s, lessor.time_to_live(8).ttl_s) == (60, 90)


def test_the_shortest_lease_outlives_an_election() -> None:
    assert [ttl_min_of(300), ttl_min_of(1_000), ttl_min_of(5_000)] == [1, 2, 8]


def test_a_renewal_that_a_new_leader_learns_of_late_still_counts() -> None:
    """Its client was answered by the old leader; the entry is applied after the promotion."""
    lessor = Lessor(1)
    lessor.restore([LeaseGrant(LeaseId(7), 3_600, 300)], [])
    lessor.promote(0)
    lessor.checkpoint(7, 0)
    assert lessor.tick(301_000).expired == []
    assert lessor.time_to_live(7).ttl_s == 3_600 - 301


def test_a_late_renewal_brings_no_expired_lease_back() -> None:
    lessor = Lessor(1)
    lessor.restore([LeaseGrant(LeaseId(7), 3_600, 300)], [])
    lessor.promote(0)
    assert lessor.tick(300_000).expired == [7]
    lessor.checkpoint(7, 0)
    assert lessor.time_to_live(7).ttl_s == 0
