"""Linearizable reads by ReadIndex (thesis §6.4) and leadership transfer (thesis §3.10)."""

import pytest

from raftstore.raft import (
    ConfChange,
    ConfChangeKind,
    Message,
    MessageKind,
    ProposalDropped,
    ReadState,
    Role,
)
from raftstore.raft.read_index import ReadQueue, ReadRequest
from raftstore.raft.types import Index, MemberId
from tests.support.raft_member import encode_conf_change
from tests.support.raft_network import acknowledge, actor, cluster, entries, lead, members


def test_a_read_on_the_leader_takes_one_heartbeat_round() -> None:
    net = cluster()
    net.elect(1)
    net[1].raft.read_index(b"r")
    sent = net[1].drain()
    assert [(m.kind, m.to) for m in sent] == [
        (MessageKind.HEARTBEAT, 2),
        (MessageKind.HEARTBEAT, 3),
    ]
    assert net[1].reads == []
    net[1].step(net[2].step(sent[0])[0])
    assert net[1].reads == [ReadState(b"r", Index(1))]


def test_a_read_on_a_follower_is_asked_of_the_leader() -> None:
    net = cluster()
    net.elect(1)
    net[1].raft.propose(b"x")
    net.settle()
    net[3].raft.read_index(b"r")
    net.settle()
    assert net[3].reads == [ReadState(b"r", Index(2))]


def test_reads_that_come_together_share_a_round() -> None:
    net = cluster()
    net.elect(1)
    for n in range(10):
        net[1].raft.read_index(b"%d" % n)
    assert len(net[1].drain()) == 2
    for n in range(10, 20):
        net[1].raft.read_index(b"%d" % n)
    late = net[1].drain()
    # An answer to the later round vouches for the earlier one, whose heartbeats were lost.
    net[1].step(net[2].step(late[0])[0])
    assert len(net[1].reads) == 20


def test_a_lost_round_is_asked_again_by_the_next_heartbeat() -> None:
    net = cluster()
    net.elect(1)
    net.isolate(1)
    net[1].raft.read_index(b"r")
    net.settle()
    assert net[1].reads == []
    net.heal()
    net.tick()
    assert net[1].reads == [ReadState(b"r", Index(1))]


def test_a_new_leader_answers_only_after_a_commit_of_its_own_term() -> None:
    """§6.4, step 1: until then it may not know what was committed before."""
    net = cluster()
    net.elect(1)
    net[1].raft.propose(b"x")
    net.settle()
    net.lost = lambda m: m.kind is MessageKind.APP
    net.elect(2)
    net[2].raft.read_index(b"r")
    net.tick(2)
    assert net[2].reads == []
    net.heal()
    net.tick(2)
    assert net[2].reads == [ReadState(b"r", Index(3))]


def test_a_leader_cut_off_answers_no_read_and_aborts_it_when_it_steps_down() -> None:
    """§6.4: the other side has moved on; the stale index must not come out."""
    net = cluster()
    net.elect(1)
    net.isolate(1)
    net.elect(2)
    net[2].raft.propose(b"new")
    net.settle()
    net[1].raft.read_index(b"r")
    net.tick(30)
    assert net[1].raft.role is Role.FOLLOWER or net[1].raft.role is Role.PRE_CANDIDATE
    assert (net[1].reads, net[1].aborted) == ([], [b"r"])


def test_a_forwarded_read_is_aborted_when_the_leader_changes() -> None:
    net = cluster()
    net.elect(1)
    net.lost = lambda m: m.kind is MessageKind.READ_INDEX_RESP
    net[3].raft.read_index(b"r")
    net.settle()
    net.heal()
    net.elect(2)
    assert (net[3].reads, net[3].aborted) == ([], [b"r"])


def test_without_a_leader_a_read_is_aborted_at_once() -> None:
    one = actor()
    one.raft.read_index(b"r")
    one.drain()
    assert one.aborted == [b"r"]


def test_an_answer_to_an_aborted_read_is_ignored() -> None:
    net = cluster()
    net.elect(1)
    net[3].raft.read_index(b"r")
    (question,) = net[3].drain()
    net[1].raft.step(question)
    net.settle()
    assert len(net[3].reads) == 1
    net[1].raft.step(question)
    net.settle()
    assert len(net[3].reads) == 1


def test_more_reads_than_the_bound_are_aborted() -> None:
    one = actor(voters=(1, 2), reads_max=3)
    net_reads = [b"%d" % n for n in range(5)]
    one.raft.campaign(transfer=True)
    one.drain()
    one.raft.become_leader()
    for context in net_reads:
        one.raft.read_index(context)
    one.drain()
    assert one.aborted == [b"3", b"4"]


def test_a_single_voter_reads_at_once() -> None:
    one = actor(voters=(1,))
    one.raft.campaign()
    one.drain()
    one.raft.read_index(b"r")
    one.drain()
    assert one.reads == [ReadState(b"r", Index(1))]


def test_a_learner_may_read() -> None:
    net = cluster()
    net.actors[MemberId(4)] = actor(4, learners=(4,))
    for member in (1, 2, 3):
        net.actors[MemberId(member)] = actor(member, learners=(4,))
    net.elect(1)
    net[4].raft.read_index(b"r")
    net.settle()
    assert net[4].reads == [ReadState(b"r", Index(1))]


@pytest.mark.parametrize("asked", [1, 2, 3])
def test_leadership_is_handed_over_at_once(asked: int) -> None:
    """§3.10, whoever is asked."""
    net = cluster()
    net.elect(1)
    net[asked].raft.transfer_leadership(MemberId(3))
    net.settle()
    assert net.leaders() == [3]
    assert net[1].raft.leader == 3


def test_a_transferee_is_brought_up_to_date_first() -> None:
    """§3.10: "sends ... to bring its log up to date, then TimeoutNow"."""
    net = cluster()
    net.elect(1)
    net.isolate(3)
    for _ in range(5):
        net[1].raft.propose(b"x")
        net.settle()
    net[1].raft.transfer_leadership(MemberId(3))
    net.settle()
    assert net.leaders() == [1]
    net.heal()
    net.tick(3)
    assert net.leaders() == [3]
    assert net[3].raft.log.last_index == 7


def test_a_transfer_to_a_member_that_is_removed_ends() -> None:
    one = actor()
    lead(one, 2)
    acknowledge(one, 2, 1)
    removal = ConfChange(ConfChangeKind.REMOVE, MemberId(3))
    one.raft.propose_conf_change(encode_conf_change(removal))
    one.raft.transfer_leadership(MemberId(3))
    one.drain()
    acknowledge(one, 2, 2)
    assert one.raft.conf_state.voters == (1, 2)
    one.raft.propose(b"x")


def test_a_read_can_be_confirmed_by_a_smaller_majority() -> None:
    """Once a voter is removed, the answers that came already may be enough."""
    one = actor(voters=(1, 2, 3, 4))
    lead(one, 2, 3)
    for follower in (2, 3):
        acknowledge(one, follower, 1)
    removal = ConfChange(ConfChangeKind.REMOVE, MemberId(4))
    one.raft.propose_conf_change(encode_conf_change(removal))
    one.raft.read_index(b"r")
    heartbeat = next(m for m in one.drain() if m.kind is MessageKind.HEARTBEAT)
    answer = Message(
        kind=MessageKind.HEARTBEAT_RESP,
        to=MemberId(1),
        from_=MemberId(2),
        term=one.raft.term,
        context=heartbeat.context,
    )
    one.step(answer)
    assert one.reads == []
    for follower in (2, 3):
        acknowledge(one, follower, 2)
    assert one.reads == [ReadState(b"r", Index(1))]


def test_an_answer_to_an_earlier_round_takes_nothing_back() -> None:
    queue = ReadQueue(10)
    voters = members(1, 2, 3)
    contexts = []
    for name in (b"a", b"b"):
        queue.add(ReadRequest(MemberId(1), name))
        contexts.append(queue.start_round(Index(1)))
    queue.on_answer(MemberId(2), contexts[1])
    queue.on_answer(MemberId(2), contexts[0])
    assert [r.number for r in queue.take_confirmed(MemberId(1), voters)] == [1, 2]
    assert queue.take_confirmed(MemberId(1), voters) == []


def test_during_a_transfer_proposals_are_dropped_and_later_taken_again() -> None:
    """§3.10: "the prior leader stops accepting new client requests"; it resumes after a timeout."""
    net = cluster()
    net.elect(1)
    net.isolate(3)
    net[1].raft.transfer_leadership(MemberId(3))
    with pytest.raises(ProposalDropped, match="being handed over to 3"):
        net[1].raft.propose(b"x")
    net.tick(10)
    net[1].raft.propose(b"x")
    net.settle()
    assert net[2].committed[-1].data == b"x"


@pytest.mark.parametrize("to", [1, 4, 9])
def test_leadership_goes_to_no_learner_stranger_or_self(to: int) -> None:
    one = actor(learners=(4,), log=entries(1))
    one.raft.campaign(transfer=True)
    one.drain()
    one.raft.become_leader()
    one.drain()
    one.raft.transfer_leadership(MemberId(to))
    assert one.drain() == []
    one.raft.propose(b"x")
