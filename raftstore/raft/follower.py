"""A follower: takes in what the leader of its term says; hearing none, it campaigns (§5.2)."""

from typing import TYPE_CHECKING, assert_never

from raftstore.raft.log import entry_bytes
from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.types import (
    NO_MEMBER,
    NO_TERM,
    Entry,
    Index,
    MemberId,
    ProposalDropped,
    Role,
)

if TYPE_CHECKING:
    from raftstore.raft.core import Raft


class Follower:
    """The follower's part of a member. Holds no state beyond the member's own."""

    role = Role.FOLLOWER

    def __init__(self, raft: "Raft") -> None:
        self.raft = raft

    def tick(self) -> None:
        self.raft.tick_election()

    def step(self, message: Message) -> None:
        kind = message.kind
        match kind:
            case MessageKind.APP:
                self.raft.follow(message.from_)
                self.on_append(message)
            case MessageKind.HEARTBEAT:
                self.raft.follow(message.from_)
                self.on_heartbeat(message)
            case MessageKind.SNAP:
                self.raft.follow(message.from_)
                self.on_snapshot(message)
            case MessageKind.TIMEOUT_NOW:
                # The leader itself gave way, so the others need not wait for its silence.
                self.raft.campaign(transfer=True)
            case MessageKind.PROP | MessageKind.READ_INDEX | MessageKind.TRANSFER_LEADER:
                pass  # meant for the leader that we were in this term; there is no other
            case MessageKind.READ_INDEX_RESP:
                self.raft.complete_read(message.context, message.index)
            case (
                MessageKind.APP_RESP
                | MessageKind.HEARTBEAT_RESP
                | MessageKind.VOTE_RESP
                | MessageKind.PRE_VOTE_RESP
            ):
                pass  # late answers to a role that has ended
            case MessageKind.VOTE | MessageKind.PRE_VOTE:
                raise AssertionError("votes do not depend on the role")
            case _:
                assert_never(kind)

    def on_append(self, message: Message) -> None:
        """Append what follows a point where our logs agree; otherwise say where they may (§5.3)."""
        raft, log = self.raft, self.raft.log
        if log.pending_snapshot is not None:
            return  # The journal holds nothing yet that these entries could follow.
        if not raft.conf_state.voters:
            # A log without the membership at its beginning would make us believe in a wrong one.
            raft.send(Message(kind=MessageKind.APP_RESP, to=message.from_, reject=True))
            return
        if message.index < log.committed:
            # An old message. What is committed is equal everywhere, so say how far that is.
            self._acknowledge(message.from_, log.committed)
            return
        last = log.maybe_append(message.index, message.log_term, message.entries)
        if last is None:
            hint, term = log.find_conflict_by_term(message.index, message.log_term)
            raft.send(
                Message(
                    kind=MessageKind.APP_RESP,
                    to=message.from_,
                    index=message.index,
                    reject=True,
                    reject_hint=hint,
                    log_term=term,
                )
            )
            return
        # Beyond `last` our log may differ from the leader's, whatever is committed there.
        log.commit_to(min(message.commit, last))
        self._acknowledge(message.from_, last)

    def on_heartbeat(self, message: Message) -> None:
        """The leader is there; it never names a commit index beyond what we acknowledged to it."""
        self.raft.log.commit_to(message.commit)
        self.raft.send(
            Message(kind=MessageKind.HEARTBEAT_RESP, to=message.from_, context=message.context)
        )

    def on_snapshot(self, message: Message) -> None:
        """Replace log and state by a snapshot, if it is ahead of all that is committed here (§7).

        An older one is refused. If our log holds the entry at which it stands, it tells only
        that the entry is committed, and the log stays.
        """
        raft, log, meta = self.raft, self.raft.log, message.snapshot
        assert meta is not None, message
        if meta.index > log.committed:
            if log.matches(meta.index, meta.term):
                log.commit_to(meta.index)
            else:
                log.restore(meta)
                raft.conf_state = meta.conf_state
        self._acknowledge(message.from_, log.committed)

    def _acknowledge(self, leader: MemberId, index: Index) -> None:
        self.raft.send(Message(kind=MessageKind.APP_RESP, to=leader, index=index))

    def propose(self, entry: Entry) -> None:
        """Send a proposal to the leader, in one message with those that wait just before it."""
        raft = self.raft
        if raft.leader == NO_MEMBER:
            raise ProposalDropped("no leader is known")
        assert entry.term == NO_TERM, entry
        last = raft.messages[-1] if raft.messages else None
        if (
            last is not None
            and last.kind is MessageKind.PROP
            and last.to == raft.leader
            and isinstance(last.entries, list)
            and sum(map(entry_bytes, last.entries)) < raft.config.append_bytes_max
        ):
            last.entries.append(entry)
        else:
            raft.send(Message(kind=MessageKind.PROP, to=raft.leader, entries=[entry]))

    def read_index(self, context: bytes) -> None:
        """Ask the leader, or give up at once if none is known."""
        raft = self.raft
        if raft.leader == NO_MEMBER:
            raft.abort_read(context)
        else:
            raft.send(Message(kind=MessageKind.READ_INDEX, to=raft.leader, context=context))

    def transfer_leadership(self, to: MemberId) -> None:
        raft = self.raft
        if raft.leader != NO_MEMBER:
            raft.send(Message(kind=MessageKind.TRANSFER_LEADER, to=raft.leader, index=Index(to)))
