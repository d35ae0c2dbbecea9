"""The consensus core: pure Raft, in memory, driven by its caller. Start at `core.Raft`."""

from raftstore.raft.config import Config
from raftstore.raft.core import Raft
from raftstore.raft.log import RaftLog
from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.ready import Ready
from raftstore.raft.types import (
    ConfChange,
    ConfChangeKind,
    ConfState,
    Entry,
    EntryKind,
    HardState,
    Index,
    LostLogError,
    MemberId,
    ProposalDropped,
    RaftError,
    ReadState,
    Role,
    SnapshotMeta,
    SoftState,
    Term,
)

__all__ = [
    "ConfChange",
    "ConfChangeKind",
    "ConfState",
    "Config",
    "Entry",
    "EntryKind",
    "HardState",
    "Index",
    "LostLogError",
    "MemberId",
    "Message",
    "MessageKind",
    "ProposalDropped",
    "Raft",
    "RaftError",
    "RaftLog",
    "ReadState",
    "Ready",
    "Role",
    "SnapshotMeta",
    "SoftState",
    "Term",
]
