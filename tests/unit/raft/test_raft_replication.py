"""Log replication, back-off, flow control and batching (Raft paper §5.3)."""

from typing import Any

import pytest

from raftstore.raft import (
    Entry,
    EntryKind,
    Index,
    LostLogError,
    Message,
    MessageKind,
    ProposalDropped,
    Role,
    Term,
)
from raftstore.raft.log import ENTRY_OVERHEAD_BYTES
from raftstore.raft.progress import ProgressState
from raftstore.raft.types import MemberId
from tests.support.raft_network import Actor, Network, actor, cluster, entries


def elected(**settings: Any) -> Actor:
    """Member 1 of three, leading term 1, its no-op at index 1 acknowledged by both others."""
    one = actor(**settings)
    one.raft.campaign(transfer=True)
    one.step(response(MessageKind.VOTE_RESP))
    for follower in (2, 3):
        one.step(response(MessageKind.APP_RESP, follower, index=1))
    one.drain()
    assert one.raft.role is Role.LEADER
    return one


def response(kind: MessageKind, follower: int = 2, **fields: object) -> Message:
    defaults: dict[str, object] = {
        "to": MemberId(1),
        "from_": MemberId(follower),
        "term": Term(1),
    }
    return Message(kind=kind, **{**defaults, **fields})  # type: ignore[arg-type]


def appends(sent: list[Message], to: int = 2) -> list[Message]:
    return [m for m in sent if m.kind is MessageKind.APP and m.to == to]


def append(prev: int, prev_term: int, *new: int, term: int = 0, commit: int = 0) -> Message:
    """From leader 2 to follower 1."""
    return Message(
        kind=MessageKind.APP,
        to=MemberId(1),
        from_=MemberId(2),
        term=Term(term or max((*new, prev_term, 1))),
        index=Index(prev),
        log_term=Term(prev_term),
        entries=entries(*new, first=prev + 1),
        commit=Index(commit),
    )


def test_a_leader_opens_its_term_with_an_empty_entry() -> None:
    """§8: "having each leader commit a blank no-op entry into the log at the start of its term"."""
    net = cluster()
    net.elect(1)
    assert net[2].committed == [Entry(Term(1), Index(1), EntryKind.NORMAL, b"")]


def test_a_proposal_reaches_everyone_in_order() -> None:
    net = cluster()
    net.elect(1)
    for member, data in ((1, b"a"), (2, b"b"), (3, b"c")):
        net[member].raft.propose(data)
        net.settle()
    for one in net.actors.values():
        assert [e.data for e in one.committed] == [b"", b"a", b"b", b"c"]


def test_a_follower_tells_what_the_append_said_of_the_commit_index() -> None:
    """§5.3: followers learn it from the leader; at most up to what this append vouches for."""
    one = actor(log=entries(1, 1, 1))
    one.step(append(1, 1, 1, commit=9))
    assert one.raft.commit_index == 2


def test_the_commit_index_is_sent_at_once() -> None:
    one = elected()
    one.raft.propose(b"x")
    one.drain()
    sent = one.step(response(MessageKind.APP_RESP, index=2))
    assert [(m.to, m.commit) for m in sent] == [(2, 2), (3, 2)]


def test_a_resent_append_does_not_undo_a_later_one() -> None:
    """S1: (prev=1, [2]) again must not delete the acknowledged entries 3 to 5."""
    one = actor()
    one.step(append(0, 0, 1, 1, 1, 1, 1, commit=1))
    (answer,) = one.step(append(1, 1, 1, commit=1))
    assert (one.raft.log.last_index, answer.index, answer.reject) == (5, 2, False)


def test_an_append_before_the_commit_index_is_answered_with_it() -> None:
    one = actor(log=entries(1, 1, 1), commit=3)
    (answer,) = one.step(append(1, 1, 1))
    assert (answer.index, answer.reject) == (3, False)


@pytest.mark.parametrize(
    "ours",
    [
        (1, 1, 1, 4, 4, 5, 5, 6, 6),
        (1, 1, 1, 4),
        (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6),
        (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7),
        (1, 1, 1, 4, 4, 4, 4),
        (1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3),
    ],
)
def test_a_leader_brings_every_log_into_line_with_its_own(ours: tuple[int, ...]) -> None:
    """Figure 7: missing entries, extra uncommitted entries, or both."""
    leader_log = entries(1, 1, 1, 4, 4, 5, 5, 6, 6, 6)
    net = Network(
        actor(1, log=leader_log, term=7, commit=9),
        actor(2, log=entries(*ours), term=7),
        actor(3, log=leader_log, term=7),
    )
    net.elect(1)
    net.tick(2)
    assert [e.term for e in net[2].raft.log.slice(Index(1), Index(11), 1 << 30)] == [
        *(1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 8)
    ]
    assert net[2].raft.commit_index == 11


def test_back_off_takes_a_round_trip_for_a_term_not_for_an_entry() -> None:
    """§5.3, end (L3): a thousand conflicting entries of one term cost one refusal."""
    net = Network(
        actor(1, log=entries(*[1] * 3, *[3] * 1000)),
        actor(2, log=entries(*[1] * 3, *[2] * 1000), term=3),
        actor(3, log=entries(*[1] * 3, *[3] * 1000)),
    )
    net.elect(1)
    refused = [m for m in net.delivered if m.kind is MessageKind.APP_RESP and m.reject]
    assert len(refused) == 1
    assert net[2].raft.log.last_term == 4


def test_while_probing_one_message_is_in_flight() -> None:
    one = actor()
    one.raft.campaign(transfer=True)
    assert len(appends(one.step(response(MessageKind.VOTE_RESP)))) == 1
    for _ in range(5):
        one.raft.propose(b"x")
        assert appends(one.drain()) == []
    assert len(appends(one.step(response(MessageKind.HEARTBEAT_RESP)))) == 1


def test_the_window_bounds_messages_in_flight() -> None:
    one = elected(inflight_messages_max=3)
    sent = []
    for _ in range(10):
        one.raft.propose(b"x")
        sent += appends(one.drain())
    assert len(sent) == 3
    freed = appends(one.step(response(MessageKind.APP_RESP, index=2)))
    assert [len(m.entries) for m in freed if m.entries] == [7]


def test_the_window_bounds_bytes_in_flight() -> None:
    each = 100 + ENTRY_OVERHEAD_BYTES
    one = elected(append_bytes_max=each, inflight_bytes_max=2 * each)
    for _ in range(5):
        one.raft.propose(b"x" * 100)
    assert len(appends(one.drain())) == 2


def test_appends_are_cut_to_the_batch_size() -> None:
    one = elected(append_bytes_max=3 * (10 + ENTRY_OVERHEAD_BYTES))
    for _ in range(7):
        one.raft.propose(b"x" * 10)
    assert [len(m.entries) for m in appends(one.drain())] == [3, 3, 1]


def test_an_entry_over_the_batch_size_goes_alone() -> None:
    """L1: it must not be stuck for ever."""
    net = Network(*(actor(m, append_bytes_max=64) for m in (1, 2, 3)))
    net.elect(1)
    for data in (b"a", b"x" * 10_000, b"b"):
        net[2].raft.propose(data)
    net.settle()
    for one in net.actors.values():
        assert [len(e.data) for e in one.committed] == [0, 1, 10_000, 1]


def test_a_lost_append_is_found_by_the_next_heartbeat() -> None:
    net = cluster()
    net.elect(1)
    net.lost = lambda m: m.kind is MessageKind.APP
    net[1].raft.propose(b"x")
    net.settle()
    net.heal()
    net.tick(2)
    assert [e.data for e in net[3].committed] == [b"", b"x"]


def test_a_full_window_of_lost_appends_is_found_too() -> None:
    net = Network(*(actor(m, inflight_messages_max=2) for m in (1, 2, 3)))
    net.elect(1)
    net.lost = lambda m: m.kind is MessageKind.APP and m.to == 3
    for _ in range(9):
        net[1].raft.propose(b"x")
        net.settle()
    leadership = net[1].raft.leadership
    assert leadership is not None
    assert leadership.progress[MemberId(3)].window_full
    net.heal()
    net.tick(2)
    assert net[3].raft.log.last_index == 10


def test_an_unreachable_follower_is_probed() -> None:
    one = elected()
    one.raft.propose(b"x")
    one.drain()
    one.raft.report_unreachable(MemberId(2))
    one.raft.propose(b"y")
    assert appends(one.drain()) == []
    (probe,) = appends(one.step(response(MessageKind.HEARTBEAT_RESP)))
    assert (probe.index, len(probe.entries)) == (1, 2)
    one.step(response(MessageKind.APP_RESP, index=3))
    leadership = one.raft.leadership
    assert leadership is not None
    assert leadership.progress[MemberId(2)].state is ProgressState.REPLICATE


def test_an_overtaken_refusal_is_ignored() -> None:
    one = elected()
    one.raft.propose(b"x")
    one.drain()
    one.step(response(MessageKind.APP_RESP, index=2))
    assert one.step(response(MessageKind.APP_RESP, index=1, reject=True)) == []


def test_heartbeats_never_name_a_commit_beyond_what_the_follower_holds() -> None:
    one = elected()
    one.raft.propose(b"x")
    one.drain()
    one.step(response(MessageKind.APP_RESP, 2, index=2))
    sent = {m.to: m.commit for m in one.tick() if m.kind is MessageKind.HEARTBEAT}
    assert sent == {2: 2, 3: 1}


def test_without_a_leader_proposals_are_dropped() -> None:
    for one in (actor(), actor(voters=())):
        with pytest.raises(ProposalDropped, match="no leader is known"):
            one.raft.propose(b"x")


def test_too_much_uncommitted_is_refused_but_one_entry_always_goes() -> None:
    one = elected(uncommitted_bytes_max=100)
    one.raft.propose(b"x" * 1000)
    with pytest.raises(ProposalDropped, match="waiting to be committed"):
        one.raft.propose(b"y")
    one.drain()
    one.step(response(MessageKind.APP_RESP, index=2))
    one.raft.propose(b"y")


def test_a_follower_forwards_what_waits_in_one_message() -> None:
    net = cluster()
    net.elect(1)
    for data in (b"a", b"b", b"c"):
        net[2].raft.propose(data)
    (forwarded,) = net[2].drain()
    assert (forwarded.kind, forwarded.to) == (MessageKind.PROP, 1)
    assert [e.data for e in forwarded.entries] == [b"a", b"b", b"c"]


def test_a_log_shorter_than_acknowledged_is_not_hidden() -> None:
    """A member that lost its data must not go on as if nothing had happened."""
    one = actor()
    heartbeat = Message(
        kind=MessageKind.HEARTBEAT,
        to=MemberId(1),
        from_=MemberId(2),
        term=Term(1),
        commit=Index(5),
    )
    with pytest.raises(LostLogError, match="add it anew"):
        one.raft.step(heartbeat)
