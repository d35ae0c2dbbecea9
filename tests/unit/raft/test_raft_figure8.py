"""What may be committed, and what may not: §5.4.2 and stale acknowledgements.

The last two scenes are also played with the bug planted, which must break them.
"""

import pytest

from raftstore.raft import Index, Message, MessageKind, Raft, Role, Term
from raftstore.raft.leader import Leader
from raftstore.raft.types import MemberId
from tests.support.raft_network import Network, acknowledge, actor, entries, lead


class CountingLeader(Leader):
    """Commits entries of older terms by counting."""

    def may_commit(self, index: Index) -> bool:
        return True


class CountingRaft(Raft):
    leader_type = CountingLeader


class StaleAckRaft(Raft):
    """Counts acknowledgements of an earlier leadership."""

    def step(self, message: Message) -> None:
        if message.kind is MessageKind.APP_RESP and message.term < self.term:
            message.term = self.term
        super().step(message)


@pytest.mark.parametrize(
    ("voters", "acknowledged", "committed"),
    [
        ((1,), (), 1),
        ((1, 2), (), 0),
        ((1, 2), (2,), 1),
        ((1, 2, 3), (), 0),
        ((1, 2, 3), (2,), 1),
        ((1, 2, 3, 4), (2,), 0),
        ((1, 2, 3, 4), (2, 3), 1),
        ((1, 2, 3, 4, 5), (2,), 0),
        ((1, 2, 3, 4, 5), (2, 2, 2), 0),
        ((1, 2, 3, 4, 5), (2, 3), 1),
    ],
)
def test_a_majority_commits(
    voters: tuple[int, ...], acknowledged: tuple[int, ...], committed: int
) -> None:
    """§5.3: "once the leader has replicated it on a majority"; each voter counts once (S9)."""
    one = actor(voters=voters)
    lead(one, *voters[1:])
    for follower in acknowledged:
        acknowledge(one, follower, 1)
    assert one.raft.commit_index == committed


def test_learners_do_not_count() -> None:
    one = actor(voters=(1, 2, 3), learners=(4, 5))
    lead(one, 2)
    for learner in (4, 5):
        acknowledge(one, learner, 1)
    assert one.raft.commit_index == 0


def test_a_leader_counts_itself_only_when_its_log_is_persisted() -> None:
    one = actor()
    lead(one, 2)
    acknowledge(one, 2, 1)
    one.raft.propose(b"x")
    ready = one.raft.ready()
    one.raft.step(
        Message(
            kind=MessageKind.APP_RESP,
            to=MemberId(1),
            from_=MemberId(2),
            term=Term(1),
            index=Index(2),
        )
    )
    assert one.raft.commit_index == 1
    one.raft.advance(ready)
    assert one.raft.commit_index == 2


def figure_8(raft_type: type[Raft]) -> tuple[Network, Index]:
    """S1 has led term 2 and left its entry at index 2 on S2; S5 has led term 3 and left another.

    Now S1 leads term 4 and replicates the old entry to S3, but not its new one: (c) of figure 8.
    Returns what S1 then takes for committed.
    """
    net = Network(
        actor(1, voters=(1, 2, 3, 4, 5), log=entries(1, 2), term=3, raft_type=raft_type),
        actor(2, voters=(1, 2, 3, 4, 5), log=entries(1, 2), term=3),
        actor(3, voters=(1, 2, 3, 4, 5), log=entries(1), term=3),
        actor(4, voters=(1, 2, 3, 4, 5), log=entries(1), term=3),
        actor(5, voters=(1, 2, 3, 4, 5), log=entries(1, 3), term=4),
    )
    net.isolate(1, 2, 3)
    net.lost = lambda m: m.kind is MessageKind.APP
    one = net.elect(1)
    acknowledge(one, 2, 2)
    acknowledge(one, 3, 2)
    net[3].raft.log.maybe_append(Index(1), Term(1), entries(2, first=2))
    return net, one.raft.commit_index


def test_figure_8_an_old_term_is_not_committed_by_counting() -> None:
    """§5.4.2: a majority holds (2, term 2), and still S5 can overwrite it: (d) of figure 8."""
    net, committed = figure_8(Raft)
    assert committed == 0
    net.heal()
    net.isolate(1)
    net.elect(5)
    assert net[2].raft.log.term_at(Index(2)) == net[3].raft.log.term_at(Index(2)) == 3


def test_figure_8_an_own_entry_behind_it_commits_both() -> None:
    """(e) of figure 8: once an entry of term 4 is on a majority, S5 cannot win any more."""
    net, _ = figure_8(Raft)
    net.heal()
    net.isolate(4)
    net.cut |= {(5, other) for other in range(1, 5)} | {(other, 5) for other in range(1, 5)}
    net.tick(2)
    assert net[1].raft.commit_index == 3
    net.heal()
    net[5].raft.campaign(transfer=True)
    net.settle()
    assert net[5].raft.role is not Role.LEADER
    net.tick(30)
    assert net[5].raft.log.term_at(Index(2)) == 2


def test_figure_8_goes_wrong_if_old_terms_are_counted() -> None:
    """The scene can tell: with the bug planted, what S1 committed is overwritten by S5."""
    net, committed = figure_8(CountingRaft)
    assert committed == 2
    assert [e.term for e in net[1].committed] == [1, 2]
    net.heal()
    net.isolate(1)
    net.elect(5)
    assert [e.term for e in net[2].committed][:2] == [1, 3]


def stale_acknowledgement(raft_type: type[Raft]) -> Index:
    """S1 led term 1 and wrote entries 2 to 4, which S2 acknowledged; the answer is under way.

    Term 2 had another leader, which overwrote them by its entry 2. S1 leads again in term 3; now
    that answer arrives. Returns the commit index of S1.
    """
    one = actor(1, log=entries(1, 2), term=2, raft_type=raft_type)
    lead(one, 3)
    one.raft.propose(b"x")
    one.drain()
    assert (one.raft.term, one.raft.log.last_index) == (3, 4)
    acknowledge(one, 2, 4, term=1)
    return one.raft.commit_index


def test_an_acknowledgement_of_an_earlier_leadership_does_not_count() -> None:
    """S8: terms are on every message, and an older one has no effect (§5.1)."""
    assert stale_acknowledgement(Raft) == 0


def test_the_stale_acknowledgement_would_commit_if_it_counted() -> None:
    """The scene can tell: with the bug planted, nobody but S1 holds what it commits."""
    assert stale_acknowledgement(StaleAckRaft) == 4
