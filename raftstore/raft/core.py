"""The Raft core of one member: events in, a `Ready` of effects out.

PURE: no clock, no disk, no socket, no chance but the one handed in. It decides; `raftstore/node.py`
persists, sends and applies. In the shape of etcd-io/raft; sources are the Raft paper and thesis.
This module owns what outlives a role (term, vote, log, membership) and the rules about terms and
votes; `follower.py`, `candidate.py` and `leader.py` own what a role does.
"""

from typing import Final

from raftstore.raft.candidate import Candidate
from raftstore.raft.confchange import changed
from raftstore.raft.config import Config
from raftstore.raft.follower import Follower
from raftstore.raft.leader import Leader
from raftstore.raft.log import RaftLog
from raftstore.raft.messages import CAMPAIGN_TRANSFER, Message, MessageKind
from raftstore.raft.ready import Ready
from raftstore.raft.types import (
    NO_INDEX,
    NO_MEMBER,
    NO_TERM,
    ConfChange,
    ConfState,
    Entry,
    EntryKind,
    HardState,
    Index,
    MemberId,
    ReadState,
    Role,
    SnapshotMeta,
    SoftState,
    Term,
)


class Raft:
    """One member's Raft state machine. Not thread-safe: one task owns it.

    Invariants: `term` never falls; `vote` changes at most once in a term; `leader`, once known in a
    term, is the only one of that term; own reads wait only while a leader is known.
    """

    follower_type: type[Follower] = Follower
    candidate_type: type[Candidate] = Candidate
    leader_type: type[Leader] = Leader
    """Subclasses may name other roles: that is how simulations plant a bug."""

    def __init__(self, config: Config, log: RaftLog) -> None:
        """Start as a follower. `log` is as restored from storage, `config.hard_state` likewise.

        Committed entries after `log.snapshot.index` come out of `ready` again to be applied. A
        persisted commit index beyond the log is cut: it may have been written before its entries.
        """
        hard_state = config.hard_state
        self.id: Final = config.id
        self.config: Final = config
        self.log: Final = log
        self.term: Term = max(hard_state.term, log.last_term)
        self.vote: MemberId = hard_state.vote if hard_state.term == self.term else NO_MEMBER
        self.leader: MemberId = NO_MEMBER
        self.conf_state: ConfState = log.snapshot.conf_state
        self.messages: list[Message] = []
        log.commit_to(min(hard_state.commit, log.last_index))
        self._role: Follower | Candidate | Leader = self.follower_type(self)
        self._election_elapsed = 0
        self._election_timeout = 0
        self._own_reads: dict[bytes, None] = {}
        self._read_states: list[ReadState] = []
        self._aborted_reads: list[bytes] = []
        self._last_hard_state = hard_state
        self._last_soft_state = SoftState()
        self._outstanding: Ready | None = None
        self._reset_election_timeout()

    # What others may look at

    @property
    def role(self) -> Role:
        """What this member is now."""
        return self._role.role

    @property
    def leadership(self) -> Leader | None:
        """The state of this member's leadership, to look at; None if it does not lead."""
        return self._role if isinstance(self._role, Leader) else None

    @property
    def commit_index(self) -> Index:
        """Entries up to here are committed, as far as this member knows."""
        return self.log.committed

    @property
    def applied_index(self) -> Index:
        """Entries up to here were handed out and acknowledged by `advance`."""
        return self.log.applied

    @property
    def next_term(self) -> Term:
        """The term that a candidacy would be in."""
        return Term(self.term + 1)

    # Events

    def tick(self) -> None:
        """One unit of time has passed."""
        self._role.tick()

    def campaign(self, *, transfer: bool = False) -> None:
        """Start an election now instead of at the next timeout, if this member may (a hint).

        With `transfer`, the leader itself asked for it: there is no pre-vote, and the other
        members vote although they hear that leader.
        """
        if self.role is Role.LEADER or not self._may_campaign():
            return
        if transfer:
            self.become_candidate(transfer=True)
        else:
            self._enter(self.candidate_type(self, pre_vote=True), NO_MEMBER)
            self._request_votes(transfer=False)

    def step(self, message: Message) -> None:
        """Take in a message from a peer.

        Raises LostLogError if it proves that this member's storage lost acknowledged entries.
        """
        kind = message.kind
        if message.term > self.term:
            if not self._on_newer_term(message):
                return
        elif message.term < self.term:
            self._on_older_term(message)
            return
        if kind is MessageKind.VOTE or kind is MessageKind.PRE_VOTE:
            self._on_vote_request(message)
        else:
            self._role.step(message)

    def propose(self, data: bytes) -> None:
        """Append `data` to the replicated log, through the leader if this member is not it.

        Memory only. Raises ProposalDropped if it surely did not happen: no leader is known,
        leadership is being transferred, or too much is uncommitted. Otherwise the outcome is
        unknown until the entry comes out of `ready` as committed.
        """
        self._role.propose(Entry(NO_TERM, NO_INDEX, EntryKind.NORMAL, data))

    def propose_conf_change(self, data: bytes) -> None:
        """As `propose`, for a CONF_CHANGE entry; the caller encodes the change into `data`.

        At most one may be unapplied at a time (thesis §4.1): the leader raises ProposalDropped
        for another, also before it has applied the first entry of its term; one forwarded to it
        is dropped in silence.
        """
        self._role.propose(Entry(NO_TERM, NO_INDEX, EntryKind.CONF_CHANGE, data))

    def apply_conf_change(self, change: ConfChange) -> ConfState:
        """Put a committed membership change in force; called when its entry is applied.

        Returns the membership now in force. Changes that do not fit it (removing a stranger) are
        no-ops, the same on every member.
        """
        if self.log.pending_snapshot is not None:
            return self.conf_state  # Of the snapshot, which is ahead of the entry being applied.
        conf_state = changed(self.conf_state, change)
        if conf_state != self.conf_state:
            self.conf_state = conf_state
            if isinstance(self._role, Leader):
                self._role.on_conf_changed()
            elif isinstance(self._role, Candidate):
                self.become_follower(self.term, NO_MEMBER)  # It asked another set of voters.
        return conf_state

    def read_index(self, context: bytes) -> None:
        """Ask for an index that covers everything acknowledged before this call (thesis §6.4).

        Answered by `Ready.read_states`, or by `Ready.aborted_reads` if leadership changes, none
        is known or too many wait. A lost message may leave it unanswered: ask anew after a while
        with another context. A context must never be used twice, not even after a restart.
        """
        assert context not in self._own_reads, "a read context must be unique"
        self._own_reads[context] = None
        if len(self._own_reads) > self.config.reads_max:
            # Of a follower's, the oldest are those whose question or answer was lost.
            surplus = context if self.role is Role.LEADER else next(iter(self._own_reads))
            self.abort_read(surplus)
        if context in self._own_reads:
            self._role.read_index(context)

    @property
    def wants_snapshot(self) -> bool:
        """Whether a follower waits for a snapshot and we, its leader, have none to send."""
        role = self._role
        return self.log.snapshot.index == 0 and isinstance(role, Leader) and role.wants_snapshot

    def transfer_leadership(self, to: MemberId) -> None:
        """Ask the leader to hand over to voter `to` (thesis §3.10). A hint; watch `soft_state`.

        Meanwhile proposals are dropped. It gives up after an election timeout.
        """
        self._role.transfer_leadership(to)

    def report_unreachable(self, member: MemberId) -> None:
        """The transport lost messages to `member`: probe it before sending more."""
        if isinstance(self._role, Leader):
            self._role.report_unreachable(member)

    def report_gone(self, member: MemberId) -> None:
        """The transport has proof that the process of `member` ended: do not wait for its silence.

        If it was our leader, forget it, and campaign within a few ticks, each voter in its turn
        (by id), so that one of them finds the others still free to vote. A hint that can only
        cost an election: votes and logs decide as ever. Beyond etcd, which waits it out.
        """
        if self.role is not Role.FOLLOWER or member != self.leader:
            return
        self.become_follower(self.term, NO_MEMBER)
        successors = [voter for voter in self.conf_state.voters if voter != member]
        if self.id in successors:
            turn = 1 + successors.index(self.id)
            self._election_timeout = min(turn, self._election_timeout)

    def report_snapshot(self, member: MemberId, *, ok: bool) -> None:
        """The stream that a SNAP message to `member` asked for has ended. Must always be called."""
        if isinstance(self._role, Leader):
            self._role.report_snapshot(member, ok=ok)

    def compact(self, index: Index, meta: SnapshotMeta) -> None:
        """A snapshot at `meta` is durable: drop entries up to `index`, which it must cover.

        Keep some entries before `meta.index` so that a member slightly behind needs no snapshot.
        `meta.conf_state` is the membership after applying `meta.index`.
        """
        self.log.compact(index, meta)

    # Effects

    def has_ready(self) -> bool:
        """Whether `ready` may be taken and has anything to say."""
        log, role = self.log, self._role
        return self._outstanding is None and bool(
            self.messages
            or log.stable < log.last_index
            or log.has_committed()
            or log.pending_snapshot is not None
            or (isinstance(role, Leader) and role.flush_due)
            or self._read_states
            or self._aborted_reads
            or self._changed_hard_state() is not None
            or self._changed_soft_state() is not None
        )

    def ready(self) -> Ready:
        """Take everything to be done. See `Ready` for the caller's duties."""
        assert self._outstanding is None, "advance the previous Ready first"
        if isinstance(self._role, Leader):
            self._role.flush()
        log = self.log
        entries = log.unstable_entries()
        snapshot = log.pending_snapshot
        assert snapshot is None or not entries, "entries behind a snapshot that is not installed"
        last = self._last_hard_state
        hard_state = self._changed_hard_state()
        soft_state = self._changed_soft_state()
        new_term_or_vote = self.term != last.term or self.vote != last.vote
        ready = Ready(
            hard_state=hard_state,
            soft_state=soft_state,
            entries=entries,
            snapshot=snapshot,
            messages=self.messages,
            committed=log.next_committed(self.config.committed_bytes_max),
            read_states=self._read_states,
            aborted_reads=self._aborted_reads,
            must_sync=new_term_or_vote or bool(entries) or snapshot is not None,
            # A single voter commits by this very Ready, so what it says must wait.
            may_send_early=self.role is Role.LEADER
            and not new_term_or_vote
            and len(self.conf_state.voters) > 1,
        )
        self._last_hard_state = hard_state or self._last_hard_state
        self._last_soft_state = soft_state or self._last_soft_state
        self.messages, self._read_states, self._aborted_reads = [], [], []
        self._outstanding = ready
        return ready

    def advance(self, ready: Ready) -> None:
        """The caller has persisted, sent and applied all of `ready`."""
        assert ready is self._outstanding, "advance the Ready that was taken last, once"
        self._outstanding = None
        log = self.log
        if ready.entries:
            log.stable_to(ready.entries[-1].index, ready.entries[-1].term)
            if isinstance(self._role, Leader):
                self._role.on_stable()
        if ready.snapshot is not None:
            log.installed(ready.snapshot)
        if ready.committed:
            log.applied_to(ready.committed[-1].index)

    def _changed_hard_state(self) -> HardState | None:
        last = self._last_hard_state
        if (last.term, last.vote, last.commit) == (self.term, self.vote, self.log.committed):
            return None
        return HardState(self.term, self.vote, self.log.committed)

    def _changed_soft_state(self) -> SoftState | None:
        last = self._last_soft_state
        if last.leader == self.leader and last.role is self._role.role:
            return None
        return SoftState(self.leader, self._role.role)

    # Terms and votes

    def _on_newer_term(self, message: Message) -> bool:
        """A member is in a newer term: follow it (§5.1). False if the message is to be ignored."""
        kind = message.kind
        if kind is MessageKind.VOTE or kind is MessageKind.PRE_VOTE:
            if message.context != CAMPAIGN_TRANSFER and self._hears_leader():
                # A removed or returning member must not depose it (§6, thesis §4.2.3).
                return False
            if kind is MessageKind.PRE_VOTE:
                return True
        elif kind is MessageKind.PRE_VOTE_RESP and not message.reject:
            return True  # It repeats the term that we asked for and may never be in.
        from_leader = kind in (MessageKind.APP, MessageKind.HEARTBEAT, MessageKind.SNAP)
        self.become_follower(message.term, message.from_ if from_leader else NO_MEMBER)
        return True

    def _hears_leader(self) -> bool:
        """Whether a leader was heard within the shortest election timeout, or we are it."""
        return self.leader != NO_MEMBER and (
            self.leader == self.id or self._election_elapsed < self.config.election_ticks
        )

    def _on_older_term(self, message: Message) -> None:
        """Tell a deposed leader or a stuck candidate our term; nothing old ever counts (§5.1).

        Without the answer a member whose term ran ahead could neither follow the leader, nor
        depose it (thesis §4.2.3).
        """
        match message.kind:
            case MessageKind.APP | MessageKind.HEARTBEAT | MessageKind.SNAP:
                answer = MessageKind.HEARTBEAT_RESP  # It says nothing about our log.
            case MessageKind.VOTE:
                answer = MessageKind.VOTE_RESP
            case MessageKind.PRE_VOTE:
                answer = MessageKind.PRE_VOTE_RESP
            case _:
                return
        self.send(Message(kind=answer, to=message.from_, reject=True))

    def _on_vote_request(self, message: Message) -> None:
        """Vote for the first candidate of a term whose log holds all that ours does (§5.4.1)."""
        pre_vote = message.kind is MessageKind.PRE_VOTE
        free = self.vote == NO_MEMBER and self.leader == NO_MEMBER
        may = self.vote == message.from_ or free or (pre_vote and message.term > self.term)
        granted = may and self.log.is_up_to_date(message.index, message.log_term)
        if granted and not pre_vote:
            self.vote = message.from_
            self._election_elapsed = 0
        self.send(
            Message(
                kind=MessageKind.PRE_VOTE_RESP if pre_vote else MessageKind.VOTE_RESP,
                to=message.from_,
                term=message.term if granted else self.term,
                reject=not granted,
            )
        )

    def _may_campaign(self) -> bool:
        """Only a voter may, with its snapshot installed and all known changes in force.

        A change that is committed but not applied could mean that it asks the wrong voters.
        """
        return (
            self.id in self.conf_state.voters
            and self.log.pending_snapshot is None
            and not self.log.has_unapplied_conf_change()
        )

    # For the roles

    def send(self, message: Message) -> None:
        """Queue a message; it leaves with the next Ready, after what it promises is persisted."""
        if message.term == NO_TERM:
            message.term = self.term
        if message.from_ == NO_MEMBER:
            message.from_ = self.id
        assert message.to != self.id, message
        self.messages.append(message)

    def tick_election(self) -> None:
        """Time passes for a member that does not lead: campaign when its timeout has run out."""
        self._election_elapsed += 1
        if self._election_elapsed >= self._election_timeout and self._may_campaign():
            self.campaign()

    def follow(self, leader: MemberId) -> None:
        """The leader of our term spoke."""
        assert self.leader in (NO_MEMBER, leader), (self.leader, leader, self.term)
        self.leader = leader
        self._election_elapsed = 0

    def become_follower(self, term: Term, leader: MemberId) -> None:
        """Follow `leader`, or nobody known yet, in `term`."""
        self._set_term(term)
        self._enter(self.follower_type(self), leader)

    def become_candidate(self, *, transfer: bool) -> None:
        """Raise the term, vote for ourselves, ask the others (§5.2)."""
        self._set_term(self.next_term)
        self.vote = self.id
        self._enter(self.candidate_type(self, pre_vote=False), NO_MEMBER)
        self._request_votes(transfer=transfer)

    def become_leader(self) -> None:
        """The election is won: lead, beginning with an empty entry of this term (§8)."""
        assert self.role is Role.CANDIDATE, self.role
        self._enter(self.leader_type(self), self.id)

    def _request_votes(self, *, transfer: bool) -> None:
        assert isinstance(self._role, Candidate)
        self._role.request_votes(transfer=transfer)

    def _set_term(self, term: Term) -> None:
        assert term >= self.term, (term, self.term)
        if term > self.term:
            self.term = term
            self.vote = NO_MEMBER

    def _enter(self, role: Follower | Candidate | Leader, leader: MemberId) -> None:
        """Change role. Whoever was to answer our reads may no longer be able to."""
        self._role = role
        self.leader = leader
        self._reset_election_timeout()
        self._aborted_reads.extend(self._own_reads)
        self._own_reads.clear()

    def _reset_election_timeout(self) -> None:
        ticks = self.config.election_ticks
        self._election_elapsed = 0
        self._election_timeout = self.config.random.randrange(ticks, 2 * ticks)

    def complete_read(self, context: bytes, index: Index) -> None:
        """A read of ours is confirmed at `index`, unless it was aborted meanwhile."""
        if context in self._own_reads:
            del self._own_reads[context]
            self._read_states.append(ReadState(context, index))

    def abort_read(self, context: bytes) -> None:
        """A read of ours will get no answer."""
        del self._own_reads[context]
        self._aborted_reads.append(context)
