"""The values that Raft speaks of: terms, indices, entries, and what must survive a crash.

All of them are plain data, never mutated once built, so that they may be shared between the log,
messages and the journal without copies. Source: the Raft paper (figure 2) and thesis (chapter 4).
"""

import enum
from dataclasses import dataclass
from typing import Final, NewType

Term = NewType("Term", int)
Index = NewType("Index", int)
MemberId = NewType("MemberId", int)

NO_MEMBER: Final = MemberId(0)
"""Stands for "nobody": no leader known, no vote cast. No member may have this id."""

NO_TERM: Final = Term(0)
NO_INDEX: Final = Index(0)


class EntryKind(enum.IntEnum):
    """What an entry carries. The numbers are part of the journal format."""

    NORMAL = 0
    CONF_CHANGE = 1


@dataclass(slots=True)
class Entry:
    """One log entry. `data` is opaque; an empty NORMAL entry is a new leader's no-op (§8)."""

    term: Term
    index: Index
    kind: EntryKind
    data: bytes


@dataclass(frozen=True, slots=True)
class HardState:
    """What must be durable before any message that depends on it leaves (figure 2).

    `term` and `vote` must be synced; `commit` is a hint that may lag behind after a crash.
    """

    term: Term = NO_TERM
    vote: MemberId = NO_MEMBER
    commit: Index = NO_INDEX


NO_HARD_STATE: Final = HardState()
"""Of a member that never took part in anything."""


class Role(enum.Enum):
    """A member's role. PRE_CANDIDATE asks whether it could win, without raising its term (§9.6)."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class SoftState:
    """Who leads, as far as this member knows, and what this member is. Not durable."""

    leader: MemberId = NO_MEMBER
    role: Role = Role.FOLLOWER


@dataclass(frozen=True, slots=True)
class ConfState:
    """The members that count (voters) and those that only follow (learners), each sorted by id."""

    voters: tuple[MemberId, ...] = ()
    learners: tuple[MemberId, ...] = ()

    def __post_init__(self) -> None:
        assert list(self.voters) == sorted(set(self.voters)), self
        assert list(self.learners) == sorted(set(self.learners)), self
        assert not set(self.voters) & set(self.learners), self


NOBODY: Final = ConfState()
"""The membership that a joining member knows: none, until a leader tells it."""


@dataclass(frozen=True, slots=True)
class SnapshotMeta:
    """The point in the log at which a snapshot stands, and the membership in force there.

    The first voters of a cluster start from index 0, term 0 with themselves as members. One that
    joins later starts from index 0, term 0 too: with those same first voters if it knows them, so
    that it can replay the log, else with nobody, and then waits for a snapshot.
    """

    index: Index = NO_INDEX
    term: Term = NO_TERM
    conf_state: ConfState = NOBODY


@dataclass(frozen=True, slots=True)
class ReadState:
    """A confirmed ReadIndex (thesis §6.4): once `index` is applied, the read may be served."""

    context: bytes
    index: Index


class ConfChangeKind(enum.IntEnum):
    """A single-server membership change (thesis §4.1). Numbers as in raftstore.v1.ConfChange."""

    ADD_VOTER = 0
    ADD_LEARNER = 1
    PROMOTE = 2
    REMOVE = 3
    UPDATE = 4


@dataclass(frozen=True, slots=True)
class ConfChange:
    """Which member changes and how. UPDATE alters only addresses, so Raft sees a no-op."""

    kind: ConfChangeKind
    member: MemberId


class RaftError(Exception):
    """Base of what this package raises for reasons other than a mistake of ours."""


class ProposalDropped(RaftError):  # noqa: N818 - the name etcd/raft gave this answer (ErrProposalDropped)
    """The proposal was not appended and never will be: it definitely did not happen."""


class LostLogError(RaftError):
    """This member lacks entries that it once acknowledged: its storage was lost or rolled back.

    It must not go on under its old identity; remove it from the cluster and add it anew.
    """
