"""What members say to each other: one flat message type, as `raftstore.v1.RaftMessage`.

Flat, because most fields mean the same thing in most kinds; `MessageKind` says which are used.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from raftstore.raft.types import (
    NO_INDEX,
    NO_MEMBER,
    NO_TERM,
    Entry,
    Index,
    MemberId,
    SnapshotMeta,
    Term,
)


class MessageKind(enum.IntEnum):
    """The kinds of message, with etcd/raft's numbers (raftpb.MessageType). Part of the wire format.

    `index`/`log_term` below are the message's fields of that name.
    """

    PROP = 2
    """Follower to leader: append `entries` (their term and index are not set yet)."""
    APP = 3
    """Leader to follower: `entries` follow the entry (`index`, `log_term`); `commit` (§5.3)."""
    APP_RESP = 4
    """Log matches up to `index`; or `reject`: not there, perhaps at (`reject_hint`, `log_term`).
    A reject of index 0, where all logs match, asks for a snapshot."""
    VOTE = 5
    """Candidate to voter: my log ends in (`index`, `log_term`) (§5.2). `context`: a transfer?"""
    VOTE_RESP = 6
    SNAP = 7
    """Leader to follower: the snapshot `snapshot` replaces your log (§7)."""
    HEARTBEAT = 8
    """Leader to follower: I lead; `commit`, as far as you hold the log. `context`: read round."""
    HEARTBEAT_RESP = 9
    """`context` is echoed. Also tells a leader of an older term that there is a newer one."""
    TRANSFER_LEADER = 13
    """Follower to leader: hand over leadership to the member in `index` (thesis §3.10)."""
    TIMEOUT_NOW = 14
    """Leader to follower: start an election at once (thesis §3.10)."""
    READ_INDEX = 15
    """Follower to leader: which index must I apply to serve the read `context`? (thesis §6.4)"""
    READ_INDEX_RESP = 16
    """`index` for the read `context`."""
    PRE_VOTE = 17
    """Would you vote for me in `term`? Changes no state of the receiver (thesis §9.6)."""
    PRE_VOTE_RESP = 18


CAMPAIGN_TRANSFER = b"CampaignTransfer"
"""`context` of a VOTE whose candidate was told to campaign by the leader itself (thesis §4.2.3)."""


@dataclass(slots=True, kw_only=True)
class Message:
    """One message. `term` is the sender's, except that PRE_VOTE and its grant carry the next term.

    Never mutated once handed out by `Raft.ready` or handed in to `Raft.step`.
    """

    kind: MessageKind
    to: MemberId = NO_MEMBER
    from_: MemberId = NO_MEMBER
    term: Term = NO_TERM
    log_term: Term = NO_TERM
    index: Index = NO_INDEX
    commit: Index = NO_INDEX
    entries: Sequence[Entry] = ()
    snapshot: SnapshotMeta | None = None
    reject: bool = False
    reject_hint: Index = NO_INDEX
    context: bytes = b""
