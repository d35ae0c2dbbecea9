"""Membership changes, one server at a time (Raft paper §6, thesis §4)."""

import itertools

import pytest

from raftstore.raft import (
    ConfChange,
    ConfChangeKind,
    ConfState,
    MemberId,
    MessageKind,
    ProposalDropped,
    Role,
)
from raftstore.raft.confchange import changed
from raftstore.raft.quorum import majority, reached_by_majority
from tests.support.raft_member import encode_conf_change
from tests.support.raft_network import Network, acknowledge, actor, cluster, lead, members

ADD_VOTER, ADD_LEARNER = ConfChangeKind.ADD_VOTER, ConfChangeKind.ADD_LEARNER
PROMOTE, REMOVE, UPDATE = ConfChangeKind.PROMOTE, ConfChangeKind.REMOVE, ConfChangeKind.UPDATE


def conf(voters: tuple[int, ...], learners: tuple[int, ...] = ()) -> ConfState:
    return ConfState(members(*voters), members(*learners))


def propose(net: Network, member: int, kind: ConfChangeKind, target: int) -> None:
    change = ConfChange(kind, MemberId(target))
    net[member].raft.propose_conf_change(encode_conf_change(change))


@pytest.mark.parametrize(
    ("before", "kind", "member", "after"),
    [
        (conf((1, 2)), ADD_VOTER, 3, conf((1, 2, 3))),
        (conf((1, 2), (3,)), ADD_VOTER, 3, conf((1, 2, 3))),
        (conf((1, 2)), ADD_VOTER, 2, conf((1, 2))),
        (conf((1, 2)), ADD_LEARNER, 3, conf((1, 2), (3,))),
        (conf((1, 2)), ADD_LEARNER, 2, conf((1, 2))),
        (conf((1, 2), (3,)), PROMOTE, 3, conf((1, 2, 3))),
        (conf((1, 2)), PROMOTE, 3, conf((1, 2))),
        (conf((1, 2, 3)), REMOVE, 2, conf((1, 3))),
        (conf((1, 2), (3,)), REMOVE, 3, conf((1, 2))),
        (conf((1, 2)), REMOVE, 9, conf((1, 2))),
        (conf((1,)), REMOVE, 1, conf((1,))),
        (conf((1, 2)), UPDATE, 2, conf((1, 2))),
    ],
)
def test_a_change_has_one_outcome(
    before: ConfState, kind: ConfChangeKind, member: int, after: ConfState
) -> None:
    assert changed(before, ConfChange(kind, MemberId(member))) == after


@pytest.mark.parametrize("count", range(1, 8))
def test_majorities_before_and_after_one_change_overlap(count: int) -> None:
    """Thesis §4.1, figure 4.3."""
    voters = range(count)
    more = range(count + 1)
    for old in itertools.combinations(voters, majority(count)):
        for new in itertools.combinations(more, majority(count + 1)):
            assert set(old) & set(new)


@pytest.mark.parametrize(
    ("reached", "expected"),
    [
        ([5], 5),
        ([5, 3], 3),
        ([5, 3, 1], 3),
        ([1, 9, 9], 9),
        ([4, 3, 2, 1], 2),
        ([5, 5, 3, 1, 0], 3),
    ],
)
def test_what_a_majority_reached(reached: list[int], expected: int) -> None:
    assert reached_by_majority(reached) == expected


def test_a_new_voter_is_fed_and_then_counts() -> None:
    net = cluster()
    net.elect(1)
    net.actors[MemberId(4)] = actor(4, voters=(1, 2, 3))
    propose(net, 1, ADD_VOTER, 4)
    net.tick(2)
    assert {one.raft.conf_state for one in net.actors.values()} == {conf((1, 2, 3, 4))}
    net.isolate(3, 4)
    net[1].raft.propose(b"x")
    net.settle()
    assert net[1].committed[-1].data != b"x"


def test_a_voter_just_added_counts_as_alive_until_the_next_check() -> None:
    """Else a leader that was alone would step down before the new one can say anything."""
    one = actor(voters=(1,))
    one.raft.campaign()
    one.tick(9)
    one.raft.propose_conf_change(encode_conf_change(ConfChange(ADD_VOTER, MemberId(2))))
    one.drain()
    assert one.raft.conf_state == conf((1, 2))
    roles = []
    for ticks in (1, 10):
        one.tick(ticks)
        roles.append(one.raft.role)
    assert roles == [Role.LEADER, Role.FOLLOWER]


def test_a_learner_follows_and_does_not_count_until_promoted() -> None:
    """Thesis §4.2.1."""
    net = cluster()
    net.elect(1)
    net.actors[MemberId(4)] = actor(4, voters=(1, 2, 3))
    propose(net, 2, ADD_LEARNER, 4)
    net.tick(2)
    assert net[4].raft.conf_state == conf((1, 2, 3), (4,))
    assert net[4].raft.log.last_index == net[1].raft.log.last_index
    propose(net, 1, PROMOTE, 4)
    net.tick(2)
    assert net[4].raft.conf_state == conf((1, 2, 3, 4))
    net.elect(4)


def test_a_member_that_knows_nobody_takes_nothing_but_a_snapshot() -> None:
    """Without the membership at the log's beginning, ADD_VOTER of itself would make it a majority
    of its own."""
    net = cluster()
    net.elect(1)
    net.actors[MemberId(4)] = actor(4, voters=())
    propose(net, 1, ADD_VOTER, 4)
    net.tick(30)
    assert (net[4].raft.log.last_index, net[4].raft.role) == (0, Role.FOLLOWER)
    assert net.leaders() == [1]


def test_a_second_change_must_wait_until_the_first_is_applied() -> None:
    """S6, thesis §4.1: two at once could have disjoint majorities."""
    net = cluster()
    net.elect(1)
    propose(net, 1, ADD_VOTER, 4)
    with pytest.raises(ProposalDropped, match="another membership change is not applied"):
        propose(net, 1, ADD_VOTER, 5)
    net.settle()
    propose(net, 1, ADD_VOTER, 5)


def test_a_forwarded_second_change_is_dropped() -> None:
    net = cluster()
    net.elect(1)
    propose(net, 2, ADD_LEARNER, 4)
    propose(net, 2, ADD_LEARNER, 5)
    net.settle()
    assert net[1].raft.conf_state == conf((1, 2, 3), (4,))


def test_a_new_leader_first_commits_an_entry_of_its_term() -> None:
    """Erratum to thesis §4.1 (raft-dev, 2015): an older leader's change may be under way."""
    net = cluster()
    net.elect(1)
    net.lost = lambda m: m.kind is MessageKind.APP
    net.elect(2)
    with pytest.raises(ProposalDropped):
        propose(net, 2, ADD_VOTER, 4)
    net.heal()
    net.tick(2)
    propose(net, 2, ADD_VOTER, 4)


def test_a_removed_leader_steps_down_and_the_rest_goes_on() -> None:
    """§6: "the leader steps down ... once it has committed the log entry"; thesis §4.2.2."""
    net = cluster()
    net.elect(1)
    propose(net, 1, REMOVE, 1)
    net.settle()
    assert net[1].raft.role is Role.FOLLOWER
    assert net[2].raft.conf_state == net[3].raft.conf_state == conf((2, 3))
    net.tick(40)
    assert net.leaders() in ([2], [3])
    assert net[1].raft.role is Role.FOLLOWER


def test_a_removal_can_complete_what_waits_for_a_majority() -> None:
    """Removing a dead voter makes the majority smaller, so what waited is committed."""
    one = actor(voters=(1, 2, 3, 4))
    lead(one, 2, 3)
    for follower in (2, 3):
        acknowledge(one, follower, 1)
    one.raft.propose_conf_change(encode_conf_change(ConfChange(REMOVE, MemberId(4))))
    one.raft.propose(b"x")
    one.drain()
    acknowledge(one, 2, 3)
    assert one.raft.commit_index == 1
    acknowledge(one, 3, 2)
    assert one.raft.conf_state == conf((1, 2, 3))
    assert one.committed[-1].data == b"x"


def test_a_removed_member_cannot_disturb_the_rest() -> None:
    """§6, thesis §4.2.3: it was cut off and does not know that it was removed."""
    net = cluster(4)
    net.elect(1)
    net.isolate(4)
    propose(net, 1, REMOVE, 4)
    net.settle()
    net.heal()
    net.tick(60)
    assert (net.leaders(), net[1].raft.term) == ([1], 1)


def test_who_has_a_change_to_apply_does_not_campaign() -> None:
    """It would ask the voters of a membership that it knows to be over."""
    net = cluster()
    net.elect(1)
    propose(net, 1, ADD_VOTER, 4)
    net.settle()
    behind = actor(2)
    for message in net.delivered:
        if message.to == 2 and message.kind is MessageKind.APP:
            behind.raft.step(message)
    assert behind.raft.commit_index > behind.raft.applied_index
    behind.raft.campaign()
    assert behind.raft.role is Role.FOLLOWER
