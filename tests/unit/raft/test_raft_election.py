"""Terms, elections, pre-vote, CheckQuorum and leader stickiness.

Raft paper §5.1, §5.2, §5.4.1; thesis §4.2.3, §6.2, §9.6.
"""

import pytest

from raftstore.raft import Message, MessageKind, Role
from raftstore.raft.messages import CAMPAIGN_TRANSFER
from raftstore.raft.types import Index, MemberId, Term
from tests.support.raft_network import Network, actor, cluster, entries


def message(kind: MessageKind, *, term: int, **fields: object) -> Message:
    """To member 1 from member 2, unless said otherwise."""
    defaults: dict[str, object] = {"to": MemberId(1), "from_": MemberId(2), "term": Term(term)}
    return Message(kind=kind, **{**defaults, **fields})  # type: ignore[arg-type]


def test_members_start_as_followers() -> None:
    """§5.2: "When servers start up, they begin as followers"."""
    assert actor().raft.role is Role.FOLLOWER


@pytest.mark.parametrize(
    "kind", [MessageKind.APP, MessageKind.HEARTBEAT, MessageKind.VOTE, MessageKind.APP_RESP]
)
@pytest.mark.parametrize("role", list(Role))
def test_a_newer_term_makes_a_follower(kind: MessageKind, role: Role) -> None:
    """§5.1: a candidate or leader whose term is out of date reverts to follower state."""
    one = actor(term=1)
    if role is Role.PRE_CANDIDATE:
        one.raft.campaign()
    elif role in (Role.CANDIDATE, Role.LEADER):
        one.raft.campaign(transfer=True)
        if role is Role.LEADER:
            one.step(message(MessageKind.VOTE_RESP, term=2))
    one.drain()
    assert one.raft.role == role
    one.step(message(kind, term=9, context=CAMPAIGN_TRANSFER))
    assert (one.raft.role, one.raft.term) == (Role.FOLLOWER, 9)


def test_an_older_term_is_answered_and_has_no_effect() -> None:
    """§5.1: "If a server receives a request with a stale term number, it rejects the request"."""
    one = actor(term=5)
    for kind in (MessageKind.APP, MessageKind.HEARTBEAT, MessageKind.SNAP, MessageKind.VOTE):
        (answer,) = one.step(message(kind, term=4, entries=entries(4)))
        assert (answer.to, answer.term) == (2, 5)
    assert (one.raft.leader, one.raft.log.last_index) == (0, 0)


def test_a_deposed_leader_learns_of_it_by_the_answer() -> None:
    """A stale leader steps down when its heartbeat is answered from a newer term."""
    net = cluster()
    net.elect(1)
    net.isolate(1)
    net.elect(2)
    net.heal()
    net[1].raft.tick()
    net.settle()
    assert net.leaders() == [2]
    net.tick()
    assert net[1].raft.leader == 2


def test_a_follower_that_hears_nobody_campaigns() -> None:
    """§5.2: election timeout; §9.6: by a pre-vote first, which leaves term and vote alone."""
    one = actor(term=1)
    sent = one.tick(19)
    assert [m.kind for m in sent] == [MessageKind.PRE_VOTE] * 2
    assert {m.to for m in sent} == {2, 3}
    assert {m.term for m in sent} == {2}
    assert (one.raft.role, one.raft.term, one.raft.vote) == (Role.PRE_CANDIDATE, 1, 0)


def test_timeouts_are_random_between_one_and_two_election_timeouts() -> None:
    """§5.2: "election timeouts are chosen randomly from a fixed interval"."""
    seen = set()
    for member in range(1, 60):
        one = actor(member, voters=(member, 100))
        ticks = 0
        while one.raft.role is Role.FOLLOWER:
            one.tick()
            ticks += 1
        seen.add(ticks)
    assert seen == set(range(10, 20))


@pytest.mark.parametrize(
    ("voters", "granted", "refused", "role"),
    [
        ((1,), (), (), Role.LEADER),
        ((1, 2, 3), (2,), (), Role.LEADER),
        ((1, 2, 3), (), (), Role.CANDIDATE),
        ((1, 2, 3), (), (2, 3), Role.FOLLOWER),
        ((1, 2, 3, 4, 5), (2, 3), (), Role.LEADER),
        ((1, 2, 3, 4, 5), (2,), (3, 4), Role.CANDIDATE),
        ((1, 2, 3, 4, 5), (2,), (3, 4, 5), Role.FOLLOWER),
    ],
)
def test_an_election_needs_a_majority(
    voters: tuple[int, ...], granted: tuple[int, ...], refused: tuple[int, ...], role: Role
) -> None:
    """§5.2: "A candidate wins an election if it receives votes from a majority"."""
    one = actor(voters=voters)
    one.raft.campaign(transfer=True)
    for voter in granted + refused:
        one.raft.step(
            message(
                MessageKind.VOTE_RESP,
                term=1,
                from_=MemberId(voter),
                reject=voter in refused,
            )
        )
    assert one.raft.role is role


def test_a_voter_counts_once_however_often_it_answers() -> None:
    """S9: a repeated vote is one vote; a member's first answer stands."""
    one = actor(voters=(1, 2, 3, 4, 5))
    one.raft.campaign(transfer=True)
    for _ in range(3):
        one.step(message(MessageKind.VOTE_RESP, term=1))
    assert one.raft.role is Role.CANDIDATE


def test_the_first_answer_of_a_voter_stands() -> None:
    one = actor(voters=(1, 2, 3, 4, 5))
    one.raft.campaign(transfer=True)
    one.step(message(MessageKind.VOTE_RESP, term=1, reject=True))
    one.step(message(MessageKind.VOTE_RESP, term=1))
    one.step(message(MessageKind.VOTE_RESP, term=1, from_=MemberId(3)))
    assert one.raft.role is Role.CANDIDATE


def test_votes_of_strangers_and_learners_do_not_count() -> None:
    one = actor(voters=(1, 2, 3), learners=(4,))
    one.raft.campaign(transfer=True)
    for stranger in (4, 9):
        one.step(message(MessageKind.VOTE_RESP, term=1, from_=MemberId(stranger)))
    assert one.raft.role is Role.CANDIDATE


def test_a_member_votes_once_in_a_term_first_come_first_served() -> None:
    """§5.2: "Each server will vote for at most one candidate in a given term"."""
    one = actor()
    (first,) = one.step(message(MessageKind.VOTE, term=1))
    (again,) = one.step(message(MessageKind.VOTE, term=1))
    (other,) = one.step(message(MessageKind.VOTE, term=1, from_=MemberId(3)))
    assert [first.reject, again.reject, other.reject] == [False, False, True]


def test_who_grants_a_vote_waits_a_whole_timeout_again() -> None:
    """§5.2: a follower remains one as long as it grants votes."""
    for voter in range(1, 9):
        one = actor(voter, voters=(*range(1, 9), 20), term=1)
        one.tick(9)
        one.step(message(MessageKind.VOTE, term=1, to=MemberId(voter), from_=MemberId(20)))
        one.tick(9)
        assert one.raft.role is Role.FOLLOWER


def test_a_vote_survives_a_restart() -> None:
    """Figure 2: votedFor is persistent state."""
    one = actor(term=1, vote=3)
    (answer,) = one.step(message(MessageKind.VOTE, term=1))
    assert answer.reject


def test_the_vote_is_in_the_ready_that_sends_it_and_must_be_synced() -> None:
    one = actor()
    one.raft.step(message(MessageKind.VOTE, term=1))
    ready = one.raft.ready()
    assert ready.hard_state is not None
    assert (ready.hard_state.term, ready.hard_state.vote, ready.must_sync) == (1, 2, True)
    assert [m.kind for m in ready.messages] == [MessageKind.VOTE_RESP]


@pytest.mark.parametrize(
    ("ours", "last_term", "last_index", "granted"),
    [
        ((1, 2), 2, 2, True),
        ((1, 2), 2, 3, True),
        ((1, 2), 3, 1, True),
        ((1, 2), 2, 1, False),
        ((1, 2), 1, 9, False),
    ],
)
@pytest.mark.parametrize("kind", [MessageKind.VOTE, MessageKind.PRE_VOTE])
def test_votes_go_to_logs_that_hold_all_of_ours(
    kind: MessageKind, ours: tuple[int, ...], last_term: int, last_index: int, granted: bool
) -> None:
    """§5.4.1: the voter denies its vote if its own log is more up-to-date."""
    one = actor(log=entries(*ours))
    (answer,) = one.step(message(kind, term=4, log_term=Term(last_term), index=Index(last_index)))
    assert answer.reject is not granted


def test_a_candidate_follows_the_leader_of_its_term() -> None:
    """§5.2: if the leader's term is at least as large, the candidate recognizes it."""
    one = actor()
    one.raft.campaign(transfer=True)
    one.step(message(MessageKind.HEARTBEAT, term=1))
    assert (one.raft.role, one.raft.leader) == (Role.FOLLOWER, 2)


def test_a_pre_vote_changes_nothing_at_the_voter() -> None:
    """§9.6."""
    one = actor(term=1)
    (answer,) = one.step(message(MessageKind.PRE_VOTE, term=2))
    assert (answer.kind, answer.term, answer.reject) == (MessageKind.PRE_VOTE_RESP, 2, False)
    assert (one.raft.term, one.raft.vote) == (1, 0)


def test_a_late_pre_vote_grant_does_not_count() -> None:
    """A grant names the term it was asked for; one of an earlier try is void."""
    one = actor(term=5)
    one.raft.campaign()
    roles = []
    for term in (5, 6):
        one.step(message(MessageKind.PRE_VOTE_RESP, term=term))
        roles.append(one.raft.role)
    assert roles == [Role.PRE_CANDIDATE, Role.CANDIDATE]


def test_a_member_with_a_shorter_log_cannot_raise_the_term() -> None:
    """§9.6: "a candidate only increments its term if it first learns that it could win"."""
    net = cluster()
    net.elect(1)
    net.isolate(3)
    net[1].raft.propose(b"x")
    net.settle()
    net.cut = {(1, 3), (3, 1)}
    for _ in range(60):
        net[3].raft.tick()
        net[1].raft.tick()
        net[2].raft.tick()
        net.settle()
    assert [net[m].raft.term for m in (1, 2, 3)] == [1, 1, 1]


def test_a_returning_member_does_not_depose_a_healthy_leader() -> None:
    """L2; §4.2.3, §9.6: it was cut off for long, comes back, and the term stays as it is."""
    net = cluster()
    net.elect(1)
    net.isolate(3)
    net.tick(100)
    net.heal()
    net.tick(30)
    assert (net.leaders(), net[1].raft.term) == ([1], 1)
    assert net[3].raft.leader == 1


def test_who_hears_a_leader_does_not_vote_it_away() -> None:
    """§4.2.3: the disruptive server; a request within the minimum election timeout is ignored."""
    net = cluster()
    net.elect(1)
    for kind in (MessageKind.VOTE, MessageKind.PRE_VOTE):
        disruptive = message(kind, term=9, to=MemberId(2), from_=MemberId(7), index=Index(99))
        assert net[2].step(disruptive) == []
    assert net[2].raft.term == 1
    assert net[1].step(message(MessageKind.VOTE, term=9, from_=MemberId(7))) == []


def test_who_has_not_heard_the_leader_for_a_timeout_votes() -> None:
    net = cluster()
    net.elect(1)
    for _ in range(10):
        net[2].raft.tick()
        net[2].drain()
    (answer,) = net[2].step(
        message(
            MessageKind.VOTE,
            term=9,
            to=MemberId(2),
            from_=MemberId(3),
            index=Index(99),
            log_term=Term(8),
        )
    )
    assert not answer.reject


def test_a_transfer_overrides_stickiness() -> None:
    """§4.2.3: the flag says that the leader itself gave way."""
    net = cluster()
    net.elect(1)
    (answer,) = net[2].step(
        message(
            MessageKind.VOTE,
            term=2,
            to=MemberId(2),
            from_=MemberId(3),
            index=Index(1),
            log_term=Term(1),
            context=CAMPAIGN_TRANSFER,
        )
    )
    assert not answer.reject


def test_a_leader_without_a_majority_steps_down() -> None:
    """§6.2 (CheckQuorum): clients must not wait for a leader that can commit nothing."""
    net = cluster()
    net.elect(1)
    net.isolate(1)
    for _ in range(20):
        net[1].raft.tick()
        net[1].drain()
    assert (net[1].raft.role, net[1].raft.leader, net[1].raft.term) == (Role.FOLLOWER, 0, 1)


def test_a_leader_with_a_bare_majority_stays() -> None:
    net = cluster()
    net.elect(1)
    net.isolate(3)
    net.tick(50)
    assert net.leaders() == [1]


def test_a_stuck_candidate_of_a_newer_term_is_freed() -> None:
    """§4.2.3: its answer raises the leader's term, so that it can follow again."""
    net = cluster()
    net.elect(1)
    net[3].raft.become_candidate(transfer=False)
    net[3].drain()
    net.tick(40)
    assert len(net.leaders()) == 1
    assert len({net[m].raft.term for m in (1, 2, 3)}) == 1
    assert {net[m].raft.leader for m in (1, 2, 3)} == set(net.leaders())


def test_learners_and_strangers_never_campaign() -> None:
    for one in (
        actor(3, voters=(1, 2), learners=(3,)),
        actor(3, voters=(1, 2)),
        actor(3, voters=()),
    ):
        assert one.tick(100) == []
        assert one.raft.role is Role.FOLLOWER


def test_a_single_voter_leads_and_commits_at_once() -> None:
    one = actor(voters=(1,))
    one.raft.campaign()
    one.raft.propose(b"x")
    ready = one.raft.ready()
    assert [e.data for e in ready.entries] == [b"", b"x"]
    assert list(ready.committed) == list(ready.entries)
    assert (ready.must_sync, ready.messages) == (True, [])
    assert ready.hard_state is not None
    assert (ready.hard_state.term, ready.hard_state.vote) == (1, 1)


def test_a_cluster_elects_one_leader_by_itself() -> None:
    """§5.2, liveness and election safety together."""
    net: Network = cluster(5)
    net.tick(60)
    assert len(net.leaders()) == 1
    assert {one.raft.leader for one in net.actors.values()} == set(net.leaders())


def test_a_leader_known_to_be_gone_is_succeeded_within_a_few_ticks() -> None:
    """No election timeout need pass: the transport saw the leader's process end."""
    net = cluster()
    net.elect(1)
    net.isolate(1)
    for survivor in (2, 3):
        net[survivor].raft.report_gone(MemberId(1))
        assert net[survivor].raft.leader == 0
    net[2].raft.tick()
    net.settle()
    assert (net[2].raft.role, net[3].raft.leader) == (Role.LEADER, 2)


def test_the_next_in_turn_campaigns_if_the_first_lags_behind() -> None:
    """§5.4.1: a member whose log is behind gets no vote; the other's turn comes a tick later."""
    net = cluster()
    net.elect(1)
    net.isolate(2)
    net[1].raft.propose(b"acknowledged")
    net.settle()
    net.heal()
    net.isolate(1)
    for survivor in (2, 3):
        net[survivor].raft.report_gone(MemberId(1))
    for _ in range(2):
        net[2].raft.tick()
        net[3].raft.tick()
        net.settle()
    assert (net[3].raft.role, net[2].raft.leader) == (Role.LEADER, 3)


def test_one_member_that_believes_the_leader_gone_disturbs_nobody() -> None:
    """§9.6: the others still hear the leader, so the pre-vote fails and the term stands."""
    net = cluster()
    net.elect(1)
    term = net[1].raft.term
    net[2].raft.report_gone(MemberId(1))
    net[2].raft.tick()
    net.settle()
    net[1].raft.tick()
    net.settle()
    assert (net[1].raft.role, net[1].raft.term, net[2].raft.leader) == (Role.LEADER, term, 1)


def test_only_the_leaders_end_matters() -> None:
    """The end of a peer that does not lead changes nothing."""
    net = cluster()
    net.elect(1)
    net[2].raft.report_gone(MemberId(3))
    assert net[2].raft.leader == 1
