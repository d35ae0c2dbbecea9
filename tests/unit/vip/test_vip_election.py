"""The election's rules one by one."""

import pytest

from vip.election import (
    Action,
    Bind,
    Call,
    Claim,
    Election,
    Extend,
    Grant,
    KeepAlive,
    LeaseId,
    LetGo,
    Probe,
    Read,
    Revoke,
    Timing,
)

TIMING = Timing()
MINE, OTHERS = LeaseId(7), LeaseId(8)


def kinds(actions: list[Action]) -> list[type]:
    return [type(action) for action in actions]


def standby(*, has_witness: bool = True, revision: int = 5) -> Election:
    """An agent that has read another's record at time 0 and probed a live holder."""
    election = Election(TIMING, has_witness=has_witness)
    election.decide(0.0)
    election.on_read(revision, OTHERS if revision else LeaseId(0), now=0.0, call=Call.READ)
    if has_witness:
        election.on_probed(refused=False, sent_at=0.0)
    return election


def holder(*, at: float = 0.0) -> Election:
    """An agent that holds the address by a lease asked for at `at`."""
    election = Election(TIMING, has_witness=True)
    election.decide(at)
    election.on_read(0, LeaseId(0), now=at, call=Call.READ)
    election.on_probed(refused=True, sent_at=at)
    election.decide(at)
    election.on_granted(MINE, 3, sent_at=at)
    election.decide(at)
    election.on_claimed(6, MINE, now=at)
    assert Bind(at + 2.7) in election.decide(at)
    election.on_renewed(MINE, 3, sent_at=at)
    election.on_bound()
    return election


def test_first_agent_reads_then_claims_what_is_absent() -> None:
    election = Election(TIMING, has_witness=False)
    assert election.decide(0.0) == [Read()]
    election.on_read(0, LeaseId(0), now=0.0, call=Call.READ)
    assert election.decide(0.0) == [Grant(3)]
    election.on_granted(MINE, 3, sent_at=0.0)
    assert election.decide(0.01) == [Claim(MINE, 0)]
    election.on_claimed(6, MINE, now=0.02)
    assert kinds(election.decide(0.02)) == [KeepAlive, Bind]


def test_standby_does_not_claim_what_a_live_holder_holds() -> None:
    election = standby()
    actions = election.decide(1.5)
    assert kinds(actions) == [Probe, Read]


def test_refused_connection_lets_a_standby_replace_the_record_at_once() -> None:
    election = standby()
    election.decide(0.2)
    election.on_probed(refused=True, sent_at=0.2)
    assert election.decide(0.21) == [Grant(3)]
    election.on_granted(MINE, 3, sent_at=0.21)
    assert election.decide(0.22) == [Claim(MINE, 5)]


def test_refusal_does_not_count_against_a_fresh_record() -> None:
    election = standby()
    election.decide(0.2)
    election.on_probed(refused=True, sent_at=TIMING.settle_s / 2)
    assert Grant(3) not in election.decide(0.21)


def test_without_a_witness_only_the_end_of_the_lease_counts() -> None:
    election = standby(has_witness=False)
    assert election.decide(1.0) == [Read()]
    election.on_read(5, OTHERS, now=1.0, call=Call.READ)
    assert election.decide(1.5) == []
    assert election.decide(2.0) == [Read()]
    election.on_read(0, LeaseId(0), now=2.0, call=Call.READ)
    assert election.decide(2.0) == [Grant(3)]


def test_lost_claim_gives_the_lease_back() -> None:
    election = standby(revision=0)
    election.decide(0.0)
    election.on_granted(MINE, 3, sent_at=0.0)
    assert Claim(MINE, 0) in election.decide(0.0)
    election.on_read(9, OTHERS, now=0.1, call=Call.CLAIM)
    assert Revoke(MINE) in election.decide(0.1)
    assert not election.is_holder


def test_claim_with_a_lost_answer_is_found_by_reading() -> None:
    election = standby(revision=0)
    election.decide(0.0)
    election.on_granted(MINE, 3, sent_at=0.0)
    election.decide(0.0)
    election.on_failed(Call.CLAIM, now=0.8)
    assert Read() in election.decide(0.8)
    election.on_read(9, MINE, now=0.81, call=Call.READ)
    assert election.is_holder


def test_deadline_counts_from_before_the_renewal_was_sent() -> None:
    election = holder(at=0.0)
    assert KeepAlive(MINE) in election.decide(1.0)
    election.on_renewed(MINE, 3, sent_at=1.0)  # answered at 2.5, say
    assert Extend(3.7) in election.decide(2.5)
    assert kinds(election.decide(3.69))[:1] != [LetGo]
    assert kinds(election.decide(3.7))[0] is LetGo


def test_holder_that_cannot_renew_lets_go_before_the_lease_ends() -> None:
    election = holder(at=0.0)
    now = 0.0
    while now < 2.69:
        now += 0.05
        for action in election.decide(now):
            assert not isinstance(action, LetGo)
            if isinstance(action, KeepAlive):
                election.on_failed(Call.KEEP_ALIVE, now=now)
    actions = election.decide(2.7)
    assert LetGo("the lease could not be renewed in time") in actions
    assert Revoke(MINE) in actions, "so that others need not wait for it to run out"


def test_two_lost_renewals_do_not_move_the_address() -> None:
    election = holder(at=0.0)
    for sent_at in (0.3, 1.25):
        assert KeepAlive(MINE) in election.decide(sent_at)
        election.on_failed(Call.KEEP_ALIVE, now=sent_at + 0.8)
    assert KeepAlive(MINE) in election.decide(2.2)
    election.on_renewed(MINE, 3, sent_at=2.2)
    assert election.bound
    assert kinds(election.decide(2.75)).count(LetGo) == 0


def test_revoked_lease_ends_it_at_once() -> None:
    election = holder()
    election.decide(0.5)
    election.on_renewed(MINE, 0, sent_at=0.5)
    assert election.decide(0.5)[0] == LetGo("the store no longer knows the lease")


def test_replaced_record_ends_it_at_once() -> None:
    election = holder()
    assert Read() in election.decide(1.0)
    election.on_read(99, OTHERS, now=1.0, call=Call.READ)
    assert election.decide(1.0)[0] == LetGo("another agent's record stands in the store")


def test_renewal_of_an_older_lease_is_not_ours() -> None:
    election = holder()
    election.decide(0.5)
    election.on_renewed(OTHERS, 3, sent_at=0.5)
    assert election.lease is not None
    assert election.lease.deadline == pytest.approx(2.7)


def test_address_taken_too_late_is_let_go() -> None:
    election = standby(revision=0)
    election.decide(0.0)
    election.on_granted(MINE, 3, sent_at=0.0)
    election.decide(0.0)
    election.on_claimed(6, MINE, now=0.1)
    assert kinds(election.decide(0.1)) == [KeepAlive, Bind]
    election.decide(2.8)  # the lease ran out while the address was being taken
    election.on_bound()
    assert kinds(election.decide(2.9))[0] is LetGo


def test_address_held_by_another_process_is_tried_again() -> None:
    election = standby(revision=0)
    election.decide(0.0)
    election.on_granted(MINE, 3, sent_at=0.0)
    election.decide(0.0)
    election.on_claimed(6, MINE, now=0.0)
    assert Bind in kinds(election.decide(0.0))
    election.on_failed(Call.BIND, now=0.0)
    assert Bind not in kinds(election.decide(TIMING.bind_every_s / 2))
    assert Bind in kinds(election.decide(TIMING.bind_every_s))


def test_stopping_lets_go_then_revokes_then_is_idle() -> None:
    election = holder()
    election.decide(0.5)
    election.on_renewed(MINE, 3, sent_at=0.5)
    election.stop()
    assert election.decide(0.6) == [LetGo("stopping"), Revoke(MINE)]
    assert not election.is_idle
    election.on_revoked()
    assert election.is_idle


def test_lease_granted_while_stopping_is_revoked() -> None:
    election = standby(revision=0, has_witness=False)
    assert election.decide(0.0) == [Grant(3)]
    election.stop()
    assert election.decide(0.1) == []
    election.on_granted(MINE, 3, sent_at=0.0)
    assert election.decide(0.2) == [Revoke(MINE)]
    election.on_revoked()
    assert election.is_idle


def test_one_call_of_each_kind_at_a_time() -> None:
    election = holder()
    first = election.decide(1.0)
    assert {KeepAlive, Read} == set(kinds(first))
    assert election.decide(2.0) == []


@pytest.mark.parametrize("ttl_s", [0, -1])
def test_leases_without_time_for_renewals_are_refused(ttl_s: int) -> None:
    with pytest.raises(ValueError, match="two lost renewals"):
        Timing.of_ttl(ttl_s)
