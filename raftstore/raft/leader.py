"""A leader: replicates its log, counts who holds what, commits, confirms reads, hands over.

All of a leader's state lives in this object and dies with its leadership. Sending is lazy: events
only note what is due, and `flush`, called by `Raft.ready`, sends it, so that everything that
happened since the last Ready shares one message to each follower and one heartbeat round.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, assert_never

from raftstore.raft.log import entry_bytes
from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.progress import Progress, ProgressState
from raftstore.raft.quorum import majority, reached_by_majority
from raftstore.raft.read_index import ReadQueue, ReadRequest
from raftstore.raft.types import (
    NO_MEMBER,
    Entry,
    EntryKind,
    Index,
    MemberId,
    ProposalDropped,
    Role,
)

if TYPE_CHECKING:
    from raftstore.raft.core import Raft


class Leader:
    """One leadership. Invariants: `progress` has exactly the members in force, sorted by id;
    our own `match` is what we have persisted; `pending_conf_index` bounds every CONF_CHANGE entry
    of our log that is not applied."""

    role = Role.LEADER

    def __init__(self, raft: "Raft") -> None:
        self.raft = raft
        self.progress: dict[MemberId, Progress] = {}
        self.reads = ReadQueue(raft.config.reads_max)
        self.transferee: MemberId = NO_MEMBER
        self.flush_due = True
        self.wants_snapshot = False
        """A follower waits for a snapshot, and there is none yet."""
        self._heartbeat_elapsed = 0
        self._quorum_elapsed = 0
        self._transfer_elapsed = 0
        log = raft.log
        self._track_members()
        self.progress[raft.id].match = log.stable
        uncommitted = log.slice(Index(log.committed + 1), log.last_index, 1 << 62)
        self._uncommitted_bytes = sum(map(entry_bytes, uncommitted))
        self.first_index = Index(log.last_index + 1)
        """Of the no-op that opens this term."""
        # Whatever an earlier leader left in the log, and the no-op, must be applied first: else two
        # changes could be under way from different bases (raft-dev, 2015, erratum to §4.1).
        self.pending_conf_index = self.first_index
        self._append(Entry(raft.term, self.first_index, EntryKind.NORMAL, b""))

    def _track_members(self) -> None:
        """Make `progress` fit the membership in force."""
        raft = self.raft
        old = self.progress
        self.progress = {}
        for member in sorted(raft.conf_state.voters + raft.conf_state.learners):
            progress = old.get(member)
            if progress is None:
                progress = Progress(
                    Index(raft.log.last_index + 1),
                    inflight_messages_max=raft.config.inflight_messages_max,
                    inflight_bytes_max=raft.config.inflight_bytes_max,
                )
                # A member that has just been added counts as alive until the next check.
                progress.recent_active = bool(old)
            self.progress[member] = progress

    # Time

    def tick(self) -> None:
        config = self.raft.config
        self._heartbeat_elapsed += 1
        self._quorum_elapsed += 1
        if self.transferee != NO_MEMBER:
            self._transfer_elapsed += 1
            if self._transfer_elapsed >= config.election_ticks:
                self.transferee = NO_MEMBER  # thesis §3.10: take up work again
        if self._quorum_elapsed >= config.election_ticks:
            self._quorum_elapsed = 0
            if not self._take_quorum_active():
                # Cut off from the majority: clients must not wait for us (thesis §6.2).
                self.raft.become_follower(self.raft.term, NO_MEMBER)
                return
        if self._heartbeat_elapsed >= config.heartbeat_ticks:
            self.broadcast_heartbeat()

    def _take_quorum_active(self) -> bool:
        """Whether a majority was heard since the last call."""
        raft = self.raft
        active = 0
        for voter in raft.conf_state.voters:
            active += voter == raft.id or self.progress[voter].recent_active
        for progress in self.progress.values():
            progress.recent_active = False
        return active >= majority(len(raft.conf_state.voters))

    def broadcast_heartbeat(self) -> None:
        """Tell everyone that we lead. The answers confirm all read rounds up to now."""
        self._heartbeat_elapsed = 0
        raft = self.raft
        context = self.reads.heartbeat_context()
        for member, progress in self.progress.items():
            if member != raft.id:
                raft.send(
                    Message(
                        kind=MessageKind.HEARTBEAT,
                        to=member,
                        # Not beyond `match`: behind it its log may not be ours.
                        commit=min(progress.match, raft.log.committed),
                        context=context,
                    )
                )

    # Messages

    def step(self, message: Message) -> None:
        kind = message.kind
        match kind:
            case MessageKind.APP_RESP:
                self.on_append_response(message)
            case MessageKind.HEARTBEAT_RESP:
                self.on_heartbeat_response(message)
            case MessageKind.PROP:
                self._on_forwarded_proposal(message)
            case MessageKind.READ_INDEX:
                self._ask_read(ReadRequest(message.from_, message.context))
            case MessageKind.TRANSFER_LEADER:
                self.transfer_leadership(MemberId(message.index))
            case (
                MessageKind.VOTE_RESP
                | MessageKind.PRE_VOTE_RESP
                | MessageKind.TIMEOUT_NOW
                | MessageKind.READ_INDEX_RESP
            ):
                pass  # late, or repeated
            case MessageKind.APP | MessageKind.HEARTBEAT | MessageKind.SNAP:
                raise AssertionError(f"{message.from_:x} also leads term {message.term} (§5.2)")
            case MessageKind.VOTE | MessageKind.PRE_VOTE:
                raise AssertionError("votes do not depend on the role")
            case _:
                assert_never(kind)

    def on_append_response(self, message: Message) -> None:
        """A follower says how far its log matches ours, or where it may (§5.3)."""
        progress = self.progress.get(message.from_)
        if progress is None:
            return  # no longer a member
        progress.recent_active = True
        self.flush_due = True
        log = self.raft.log
        if message.reject and message.index == 0:
            progress.needs_snapshot = True
            return
        if message.reject:
            hint = message.reject_hint
            if message.log_term > 0:
                hint, _ = log.find_conflict_by_term(hint, message.log_term)
            progress.maybe_decrease(message.index, hint)
            return
        assert message.index <= log.last_index, (message.index, log.last_index)
        if progress.maybe_update(message.index):
            self.maybe_commit()
        match progress.state:
            case ProgressState.PROBE if message.index == progress.match:
                progress.become_replicate()
            case ProgressState.SNAPSHOT if progress.match + 1 >= log.first_index:
                progress.become_replicate()
            case _:
                pass
        if message.from_ == self.transferee:
            self._maybe_hand_over()

    def on_heartbeat_response(self, message: Message) -> None:
        """A follower is alive and takes us for its leader."""
        progress = self.progress.get(message.from_)
        if progress is None:
            return
        progress.recent_active = True
        progress.probe_sent = False
        self.flush_due = True
        if progress.state is ProgressState.REPLICATE and progress.match < self.raft.log.last_index:
            # Perhaps what was sent is lost. An empty APP behind it finds out, even if the window
            # is full: the follower acknowledges it or refuses it.
            self._send_append(message.from_, progress, empty=True)
        self.reads.on_answer(message.from_, message.context)
        self._answer_reads()

    # Log

    def propose(self, entry: Entry) -> None:
        """Append a proposal, with our term and the next index. See `Raft.propose`."""
        raft = self.raft
        if self.transferee != NO_MEMBER:
            raise ProposalDropped(f"leadership is being handed over to {self.transferee:x}")
        waiting = self._uncommitted_bytes
        if waiting and waiting + entry_bytes(entry) > raft.config.uncommitted_bytes_max:
            raise ProposalDropped(f"{waiting} bytes are waiting to be committed")
        index = Index(raft.log.last_index + 1)
        if entry.kind == EntryKind.CONF_CHANGE:
            if self.pending_conf_index > raft.log.applied:
                raise ProposalDropped("another membership change is not applied yet")
            self.pending_conf_index = index
        self._append(Entry(raft.term, index, entry.kind, entry.data))

    def _on_forwarded_proposal(self, message: Message) -> None:
        for entry in message.entries:
            # Its proposer is another member, which cannot be told: unknown to it, until it asks.
            with suppress(ProposalDropped):
                self.propose(entry)

    def _append(self, entry: Entry) -> None:
        self.raft.log.append(entry)
        self._uncommitted_bytes += entry_bytes(entry)
        self.flush_due = True

    def on_stable(self) -> None:
        """Our own log is persisted further: count ourselves, only now."""
        own = self.progress.get(self.raft.id)
        if own is not None and own.maybe_update(self.raft.log.stable):
            self.maybe_commit()

    def maybe_commit(self) -> None:
        """Commit what a majority holds, if it is of our own term.

        Entries of older terms are never committed by counting, only by one of ours behind them
        (§5.4.2, figure 8).
        """
        raft, log = self.raft, self.raft.log
        index = Index(reached_by_majority([self.progress[v].match for v in raft.conf_state.voters]))
        if index > log.committed and self.may_commit(index):
            committed = log.slice(Index(log.committed + 1), index, 1 << 62)
            self._uncommitted_bytes -= sum(map(entry_bytes, committed))
            assert self._uncommitted_bytes >= 0
            log.commit_to(index)
            self.flush_due = True

    def may_commit(self, index: Index) -> bool:
        """Whether counting may commit `index`: its entry is of our term (§5.4.2)."""
        return self.raft.log.matches(index, self.raft.term)

    # Sending

    def flush(self) -> None:
        """Send what is due: entries, the commit index, read rounds. Called once per Ready."""
        self.flush_due = False
        raft = self.raft
        if raft.conf_state.voters == (raft.id,):
            # Alone we are the majority. The Ready that commits these entries also persists them.
            self.progress[raft.id].maybe_update(raft.log.last_index)
            self.maybe_commit()
            self.flush_due = False
        if self.reads.waiting and raft.log.committed >= self.first_index:
            # Before our own first entry is committed we do not know what else is (§8).
            self.reads.start_round(raft.log.committed)
            self.broadcast_heartbeat()
            self._answer_reads()
        for member, progress in self.progress.items():
            if member != raft.id:
                self._feed(member, progress)

    def _feed(self, member: MemberId, progress: Progress) -> None:
        """Send `member` all entries that its window takes, and news of the commit index."""
        log = self.raft.log
        while not progress.paused:
            probe = progress.state is ProgressState.PROBE and progress.match < log.last_index
            behind = progress.next <= log.last_index or progress.sent_commit < log.committed
            if not (probe or behind) or not self._send_append(member, progress):
                return

    def _send_append(self, member: MemberId, progress: Progress, *, empty: bool = False) -> bool:
        """Send an APP, or a SNAP if the log no longer reaches back far enough. False if neither."""
        raft, log = self.raft, self.raft.log
        prev = Index(progress.next - 1)
        prev_term = log.term_at(prev)
        if prev_term is None or progress.needs_snapshot:
            return self._send_snapshot(member, progress)
        entries: Sequence[Entry] = ()
        if not empty and prev < log.last_index:
            entries = log.slice(progress.next, log.last_index, raft.config.append_bytes_max)
        raft.send(
            Message(
                kind=MessageKind.APP,
                to=member,
                index=prev,
                log_term=prev_term,
                entries=entries,
                commit=log.committed,
            )
        )
        progress.sent_commit = log.committed
        progress.on_sent(Index(prev + len(entries)), sum(map(entry_bytes, entries)))
        return True

    def _send_snapshot(self, member: MemberId, progress: Progress) -> bool:
        snapshot = self.raft.log.snapshot
        if not progress.recent_active:
            return False  # wasted on a dead member
        self.wants_snapshot = snapshot.index == 0
        if self.wants_snapshot:
            return False
        assert snapshot.index + 1 >= self.raft.log.first_index, "compacted beyond the snapshot"
        progress.become_snapshot(snapshot.index)
        self.raft.send(Message(kind=MessageKind.SNAP, to=member, snapshot=snapshot))
        return True

    def report_unreachable(self, member: MemberId) -> None:
        progress = self.progress.get(member)
        if progress is not None and progress.state is ProgressState.REPLICATE:
            progress.become_probe()
            progress.probe_sent = True  # until it answers a heartbeat

    def report_snapshot(self, member: MemberId, *, ok: bool) -> None:
        progress = self.progress.get(member)
        if progress is not None and progress.state is ProgressState.SNAPSHOT:
            if ok:
                progress.become_probe()
            else:
                progress.snapshot_failed()
            progress.probe_sent = True  # until it acknowledges, or answers a heartbeat

    # Reads

    def read_index(self, context: bytes) -> None:
        self._ask_read(ReadRequest(self.raft.id, context))

    def _ask_read(self, request: ReadRequest) -> None:
        if self.reads.add(request):
            self.flush_due = True
        elif request.member == self.raft.id:
            self.raft.abort_read(request.context)

    def _answer_reads(self) -> None:
        raft = self.raft
        for confirmed in self.reads.take_confirmed(raft.id, raft.conf_state.voters):
            for request in confirmed.requests:
                if request.member == raft.id:
                    raft.complete_read(request.context, confirmed.index)
                else:
                    raft.send(
                        Message(
                            kind=MessageKind.READ_INDEX_RESP,
                            to=request.member,
                            index=confirmed.index,
                            context=request.context,
                        )
                    )

    # Handing over, membership

    def transfer_leadership(self, to: MemberId) -> None:
        """Stop taking proposals, bring `to` up to date, tell it to campaign (thesis §3.10)."""
        if to in self.raft.conf_state.voters and to not in (self.raft.id, self.transferee):
            self.transferee = to
            self._transfer_elapsed = 0
            self.flush_due = True
            self._maybe_hand_over()

    def _maybe_hand_over(self) -> None:
        raft = self.raft
        if self.progress[self.transferee].match == raft.log.last_index:
            raft.send(Message(kind=MessageKind.TIMEOUT_NOW, to=self.transferee))

    def on_conf_changed(self) -> None:
        """Another membership is in force: it changes who is fed and what is a majority."""
        raft = self.raft
        if raft.id not in raft.conf_state.voters:
            # Removed: the commit index is on its way already (§6, thesis §4.2.2).
            self.flush()
            raft.become_follower(raft.term, NO_MEMBER)
            return
        self._track_members()
        if self.transferee not in raft.conf_state.voters:
            self.transferee = NO_MEMBER
        self.flush_due = True
        self.maybe_commit()
        self._answer_reads()
