"""Snapshots and compaction (Raft paper §7), the Ready contract, Config, rendering."""

from random import Random

import pytest

from raftstore.raft import (
    ConfChange,
    ConfChangeKind,
    Config,
    ConfState,
    Entry,
    EntryKind,
    Index,
    MemberId,
    Message,
    MessageKind,
    Raft,
    RaftLog,
    Role,
    SnapshotMeta,
    SoftState,
    Term,
)
from raftstore.raft.progress import ProgressState
from raftstore.raft.render import describe_message
from tests.support.raft_network import Actor, Network, actor, cluster, entries, lead, members


def snapshot_message(index: int, term: int, *, voters: tuple[int, ...] = (1, 2, 3)) -> Message:
    """From leader 2 to member 1, in term 5."""
    meta = SnapshotMeta(Index(index), Term(term), ConfState(members(*voters)))
    return Message(
        kind=MessageKind.SNAP,
        to=MemberId(1),
        from_=MemberId(2),
        term=Term(5),
        snapshot=meta,
    )


def compact(one: Actor, keep: int = 0) -> SnapshotMeta:
    raft = one.raft
    term = raft.log.term_at(raft.applied_index)
    assert term is not None
    meta = SnapshotMeta(raft.applied_index, term, raft.conf_state)
    raft.compact(Index(raft.applied_index - keep), meta)
    return meta


def test_a_snapshot_ahead_replaces_log_and_membership() -> None:
    one = actor(log=entries(1, 1, 1), commit=1)
    one.raft.step(snapshot_message(9, 4, voters=(1, 2, 5)))
    ready = one.raft.ready()
    assert ready.snapshot == SnapshotMeta(Index(9), Term(4), ConfState(members(1, 2, 5)))
    assert (ready.entries, ready.committed, ready.must_sync) == ([], [], True)
    assert [(m.kind, m.index) for m in ready.messages] == [(MessageKind.APP_RESP, 9)]
    one.raft.advance(ready)
    assert (one.raft.applied_index, one.raft.log.last_index) == (9, 9)
    assert one.raft.conf_state.voters == members(1, 2, 5)


def test_an_older_snapshot_is_refused() -> None:
    """S4: it must not roll the log back."""
    one = actor(log=entries(1, 1, 1), commit=3)
    (answer,) = one.step(snapshot_message(2, 1))
    assert (answer.index, one.raft.log.last_index, one.raft.commit_index) == (3, 3, 3)


def test_a_snapshot_does_not_commit_entries_that_do_not_match_it() -> None:
    """S2: a deposed leader's own uncommitted entries are not what the snapshot holds."""
    one = actor(log=entries(1, 1, 1, 1))
    one.step(snapshot_message(3, 4))
    assert [e.index for e in one.committed] == []
    assert (one.raft.log.last_index, one.raft.log.last_term) == (3, 4)


def test_a_log_that_holds_the_snapshots_entry_stays() -> None:
    """§7: "If it has the entry, it retains what follows"; only the commit index moves on."""
    one = actor(log=entries(1, 1, 1, 1))
    (answer,) = one.step(snapshot_message(3, 1))
    assert (one.raft.commit_index, one.raft.log.last_index, answer.index) == (3, 4, 3)


def test_a_member_far_behind_gets_the_snapshot_then_the_rest() -> None:
    net = cluster()
    net.elect(1)
    net.isolate(3)
    for _ in range(5):
        net[1].raft.propose(b"x")
        net.settle()
    meta = compact(net[1])
    net.heal()
    net.tick(2)
    assert net[3].raft.log.snapshot == meta
    net[1].raft.propose(b"after")
    net.tick(2)
    assert [e.data for e in net[3].committed][-1:] == [b"after"]


def test_a_member_slightly_behind_needs_no_snapshot() -> None:
    net = cluster()
    net.elect(1)
    net.isolate(3)
    for _ in range(5):
        net[1].raft.propose(b"x")
        net.settle()
    compact(net[1], keep=5)
    net.heal()
    net.tick(2)
    assert net[3].raft.log.last_index == 6
    assert MessageKind.SNAP not in {m.kind for m in net.delivered}


@pytest.mark.parametrize("ok", [True, False])
def test_while_a_snapshot_is_sent_nothing_else_is(ok: bool) -> None:
    net = cluster()
    net.elect(1)
    net.isolate(3)
    for _ in range(5):
        net[1].raft.propose(b"x")
        net.settle()
    compact(net[1])
    net.heal()
    net.lost = lambda m: m.kind is MessageKind.SNAP
    net.tick(2)
    leadership = net[1].raft.leadership
    assert leadership is not None
    progress = leadership.progress[MemberId(3)]
    assert progress.state is ProgressState.SNAPSHOT
    net[1].raft.propose(b"y")
    net.settle()
    assert net[3].raft.log.last_index == 1
    net.heal()
    net[1].raft.report_snapshot(MemberId(3), ok=ok)
    net.tick(3)
    assert net[3].raft.log.last_index == 7


def test_appends_wait_until_a_snapshot_is_installed() -> None:
    one = actor()
    one.raft.step(snapshot_message(9, 4))
    ready = one.raft.ready()
    append = Message(
        kind=MessageKind.APP,
        to=MemberId(1),
        from_=MemberId(2),
        term=Term(5),
        index=Index(9),
        log_term=Term(4),
        entries=entries(5, first=10),
    )
    one.raft.step(append)
    assert one.raft.log.last_index == 9
    one.raft.advance(ready)
    one.raft.step(append)
    assert one.raft.log.last_index == 10


def test_a_change_older_than_a_pending_snapshot_is_not_put_in_force() -> None:
    """The node was applying it when the snapshot came, whose membership is newer."""
    one = actor()
    one.raft.step(snapshot_message(9, 4, voters=(1, 2, 5)))
    stale = ConfChange(ConfChangeKind.ADD_VOTER, MemberId(7))
    assert one.raft.apply_conf_change(stale).voters == members(1, 2, 5)
    assert one.raft.conf_state.voters == members(1, 2, 5)


def test_a_snapshot_is_not_sent_to_a_silent_member() -> None:
    """Streaming it to a dead member would be wasted, again and again."""
    one = actor(log=entries(1, 1, 1, 1), commit=4)
    one.drain()
    compact(one)
    lead(one, 2)
    leadership = one.raft.leadership
    assert leadership is not None
    progress = leadership.progress[MemberId(3)]
    assert progress.maybe_decrease(Index(4), Index(1))
    one.raft.propose(b"y")
    assert one.drain() == []
    heard = Message(
        kind=MessageKind.HEARTBEAT_RESP, to=MemberId(1), from_=MemberId(3), term=one.raft.term
    )
    assert [m.kind for m in one.step(heard)] == [MessageKind.SNAP]


def test_no_candidate_before_its_snapshot_is_installed() -> None:
    one = actor()
    one.raft.step(snapshot_message(9, 4))
    one.raft.campaign()
    assert one.raft.role is Role.FOLLOWER


def test_entries_are_handed_out_once_and_in_order() -> None:
    """Persisted by the same Ready that sends what promises them; committed follows."""
    one = actor()
    one.raft.step(
        Message(
            kind=MessageKind.APP,
            to=MemberId(1),
            from_=MemberId(2),
            term=Term(1),
            entries=entries(1, 1, 1),
            commit=Index(2),
        )
    )
    ready = one.raft.ready()
    assert [e.index for e in ready.entries] == [1, 2, 3]
    assert [e.index for e in ready.committed] == [1, 2]
    assert (ready.must_sync, ready.soft_state) == (True, SoftState(MemberId(2), Role.FOLLOWER))
    assert not one.raft.has_ready()
    one.raft.advance(ready)
    assert not one.raft.has_ready()
    assert one.raft.applied_index == 2


def test_a_commit_alone_needs_no_sync() -> None:
    one = actor(log=entries(1, 1), term=1)
    one.raft.step(
        Message(
            kind=MessageKind.APP,
            to=MemberId(1),
            from_=MemberId(2),
            term=Term(1),
            index=Index(2),
            log_term=Term(1),
            commit=Index(2),
        )
    )
    ready = one.raft.ready()
    assert ready.hard_state is not None
    assert (ready.hard_state.commit, ready.must_sync, len(ready.committed)) == (2, False, 2)


def test_a_leader_may_send_while_it_persists_but_never_a_vote_or_an_acknowledgement() -> None:
    """Thesis §10.2.1: the leader writes to its disk in parallel with replicating."""
    net = cluster()
    net[1].raft.campaign(transfer=True)
    candidate = net[1].raft.ready()
    assert not candidate.may_send_early
    net[1].raft.advance(candidate)
    for message in candidate.messages:
        net[message.to].raft.step(message)
        voter = net[message.to].raft.ready()
        assert not voter.may_send_early
        net[message.to].raft.advance(voter)
        net[1].raft.step(voter.messages[0])
    leader = net[1].raft.ready()
    assert [m.kind for m in leader.messages] == [MessageKind.APP] * 2
    assert leader.may_send_early
    net[2].raft.step(leader.messages[0])
    assert not net[2].raft.ready().may_send_early


def test_a_single_voter_with_a_learner_never_sends_early() -> None:
    one = actor(voters=(1,), learners=(2,))
    one.raft.campaign()
    one.drain()
    one.raft.propose(b"x")
    ready = one.raft.ready()
    assert (ready.must_sync, ready.may_send_early) == (True, False)


def test_one_ready_at_a_time() -> None:
    one = actor(voters=(1,))
    one.raft.campaign()
    ready = one.raft.ready()
    with pytest.raises(AssertionError, match="advance the previous Ready"):
        one.raft.ready()
    one.raft.advance(ready)
    with pytest.raises(AssertionError, match="once"):
        one.raft.advance(ready)


def test_what_comes_in_meanwhile_goes_into_the_next_ready() -> None:
    """The node may be waiting for its disk while messages arrive; nothing may be lost by that."""
    one = actor()
    one.raft.step(_append(0, 0, 1))
    first = one.raft.ready()
    one.raft.step(_append(1, 1, 1))
    one.raft.step(_append(2, 1, 1))
    one.raft.advance(first)
    second = one.raft.ready()
    assert [e.index for e in first.entries] == [1]
    assert [e.index for e in second.entries] == [2, 3]
    assert [m.index for m in second.messages] == [2, 3]


def _append(prev: int, prev_term: int, term: int) -> Message:
    return Message(
        kind=MessageKind.APP,
        to=MemberId(1),
        from_=MemberId(2),
        term=Term(term),
        index=Index(prev),
        log_term=Term(prev_term),
        entries=entries(term, first=prev + 1),
    )


def test_committed_entries_are_handed_out_in_bounded_portions() -> None:
    one = actor(log=entries(*[1] * 10), commit=10, committed_bytes_max=24 * 3)
    sizes = []
    while one.raft.has_ready():
        ready = one.raft.ready()
        sizes.append(len(ready.committed))
        one.raft.advance(ready)
    assert sizes == [3, 3, 3, 1]


def test_a_restart_applies_again_what_the_snapshot_does_not_hold() -> None:
    log = entries(1, 1, 1, 1)
    meta = SnapshotMeta(Index(2), Term(1), ConfState(members(1, 2, 3)))
    one = actor(log=log, snapshot=meta, term=1, commit=3)
    one.drain()
    assert [e.index for e in one.committed] == [3]


def test_a_commit_index_written_before_its_entries_is_cut() -> None:
    one = actor(log=entries(1, 1), commit=7)
    assert one.raft.commit_index == 2


def test_a_fresh_member_has_nothing_to_say() -> None:
    assert not actor().raft.has_ready()


@pytest.mark.parametrize(
    "settings",
    [
        {"id": 0},
        {"heartbeat_ticks": 0},
        {"election_ticks": 1},
        {"append_bytes_max": 0},
        {"committed_bytes_max": 0},
        {"inflight_messages_max": 0},
        {"inflight_bytes_max": 10},
        {"uncommitted_bytes_max": 0},
        {"reads_max": 0},
    ],
)
def test_settings_that_contradict_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        Config(**{"id": MemberId(1), "random": Random(1), **settings})  # type: ignore[arg-type]


def test_members_restart_where_they_were() -> None:
    net = Network(*(actor(m, log=entries(1, 2, 2), term=3, vote=2) for m in (1, 2, 3)))
    net.elect(1)
    assert net[1].raft.term == 4
    assert net[2].raft.commit_index == 4


def test_messages_have_one_rendering() -> None:
    message = Message(
        kind=MessageKind.APP,
        to=MemberId(2),
        from_=MemberId(1),
        term=Term(1),
        log_term=Term(1),
        index=Index(2),
        commit=Index(2),
        entries=[
            Entry(Term(1), Index(3), EntryKind.NORMAL, b"x\xff"),
            Entry(Term(1), Index(4), EntryKind.CONF_CHANGE, b"y" * 40),
        ],
    )
    assert describe_message(message) == (
        '1->2 MsgApp Term:1 Log:1/2 Commit:2 Entries:[1/3 EntryNormal "x\\xff", '
        f'1/4 EntryConfChange "{"y" * 32}"…(40B)]'
    )
    refused = Message(
        kind=MessageKind.APP_RESP,
        to=MemberId(1),
        from_=MemberId(255),
        term=Term(1),
        index=Index(3),
        reject=True,
        reject_hint=Index(1),
    )
    assert describe_message(refused) == "ff->1 MsgAppResp Term:1 Log:0/3 Rejected (Hint: 1)"
    assert describe_message(snapshot_message(9, 4)) == (
        "2->1 MsgSnap Term:5 Log:0/0 Snapshot:4/9 Voters:[1 2 3] Learners:[]"
    )


def test_every_kind_of_message_has_a_name() -> None:
    for kind in MessageKind:
        assert " Msg" in describe_message(Message(kind=kind))


def test_the_log_is_the_callers_to_restore() -> None:
    raft = Raft(
        Config(id=MemberId(1), random=Random(1)),
        RaftLog(SnapshotMeta(Index(5), Term(2), ConfState(members(1)))),
    )
    assert (raft.term, raft.commit_index, raft.applied_index) == (2, 5, 5)
