"""The Raft core of one member: events in, a `Ready` of effects out.

PURE: no clock, no disk, no socket, no chance but the one handed in. It decides; `raftstore/node.py`
persists, sends and applies. In the shape of etcd-io/raft; sources are the Raft paper and thesis.
"""

from raftstore.raft.config import Config
from raftstore.raft.log import RaftLog
from raftstore.raft.messages import Message
from raftstore.raft.ready import Ready
from raftstore.raft.types import (
    ConfChange,
    ConfState,
    Index,
    MemberId,
    Role,
    SnapshotMeta,
    Term,
)


class Raft:
    """One member's Raft state machine. Not thread-safe: one task owns it."""

    id: MemberId
    term: Term
    vote: MemberId
    leader: MemberId
    role: Role
    conf_state: ConfState
    log: RaftLog

    def __init__(self, config: Config, log: RaftLog) -> None:
        """Start as a follower. `log` is as restored from storage, `config.hard_state` likewise.

        Committed entries after `log.snapshot.index` come out of `ready` again to be applied.
        """
        raise NotImplementedError

    @property
    def commit_index(self) -> Index:
        raise NotImplementedError

    @property
    def applied_index(self) -> Index:
        raise NotImplementedError

    def tick(self) -> None:
        """One unit of time has passed."""
        raise NotImplementedError

    def campaign(self) -> None:
        """Start an election now instead of at the next timeout, if this member may (a hint)."""
        raise NotImplementedError

    def step(self, message: Message) -> None:
        """Take in a message from a peer."""
        raise NotImplementedError

    def propose(self, data: bytes) -> None:
        """Append `data` to the replicated log, through the leader if this member is not it.

        Memory only. Raises ProposalDropped if it surely did not happen: no leader is known,
        leadership is being transferred, or too much is uncommitted. Otherwise the outcome is
        unknown until the entry comes out of `ready` as committed.
        """
        raise NotImplementedError

    def propose_conf_change(self, data: bytes) -> None:
        """As `propose`, for a CONF_CHANGE entry; the caller encodes the change into `data`.

        At most one may be unapplied at a time (thesis §4.1): the leader raises ProposalDropped
        for another; one forwarded to it is dropped in silence.
        """
        raise NotImplementedError

    def apply_conf_change(self, change: ConfChange) -> ConfState:
        """Put a committed membership change in force; called when its entry is applied.

        Returns the membership now in force. Changes that do not fit it (removing a stranger) are
        no-ops, the same on every member.
        """
        raise NotImplementedError

    def read_index(self, context: bytes) -> None:
        """Ask for an index that covers everything acknowledged before this call (thesis §6.4).

        Answered by `Ready.read_states`, or by `Ready.aborted_reads` if leadership changes or none
        is known. A lost message may leave it unanswered: ask anew after a while with another
        context. A context must never be used twice, not even after a restart.
        """
        raise NotImplementedError

    def transfer_leadership(self, to: MemberId) -> None:
        """Ask the leader to hand over to voter `to` (thesis §3.10). A hint; watch `soft_state`.

        Meanwhile proposals are dropped. It gives up after an election timeout.
        """
        raise NotImplementedError

    def report_unreachable(self, member: MemberId) -> None:
        """The transport lost messages to `member`: probe it before sending more."""
        raise NotImplementedError

    def report_snapshot(self, member: MemberId, *, ok: bool) -> None:
        """The stream that a SNAP message to `member` asked for has ended. Must always be called."""
        raise NotImplementedError

    def has_ready(self) -> bool:
        """Whether `ready` would have anything to say."""
        raise NotImplementedError

    def ready(self) -> Ready:
        """Take everything to be done. See `Ready` for the caller's duties."""
        raise NotImplementedError

    def advance(self, ready: Ready) -> None:
        """The caller has persisted, sent and applied all of `ready`."""
        raise NotImplementedError

    def compact(self, index: Index, meta: SnapshotMeta) -> None:
        """A snapshot at `meta` is durable: drop entries up to `index`, which it must cover.

        Keep some entries before `meta.index` so that a member slightly behind needs no snapshot.
        """
        raise NotImplementedError
