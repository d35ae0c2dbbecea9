"""What a member is told at start: who it is, its timeouts in ticks, and every bound."""

from dataclasses import dataclass
from typing import Protocol

from raftstore.raft.types import NO_HARD_STATE, NO_MEMBER, HardState, MemberId


class RandomSource(Protocol):
    """Where chance comes from: a seeded `random.Random` (this package imports no global chance)."""

    def randrange(self, start: int, stop: int) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of one member. Timeouts are counted in calls of `Raft.tick`."""

    id: MemberId
    random: RandomSource
    hard_state: HardState = NO_HARD_STATE
    """As last persisted; the default on a member's first start."""
    election_ticks: int = 10
    """A follower that hears no leader campaigns after election_ticks..2*election_ticks-1 ticks."""
    heartbeat_ticks: int = 1
    append_bytes_max: int = 1 << 20
    """Entries in one APP or PROP, in bytes; a single larger entry still goes, alone."""
    committed_bytes_max: int = 16 << 20
    """Committed entries in one Ready, in bytes."""
    inflight_messages_max: int = 64
    """APP messages sent to one follower and not yet acknowledged."""
    inflight_bytes_max: int = 8 << 20
    """The same in bytes; one message may exceed it if nothing else is in flight."""
    uncommitted_bytes_max: int = 64 << 20
    """Entries proposed and not yet committed; beyond it proposals are dropped."""
    reads_max: int = 4096
    """Reads waiting for their index; beyond it a leader aborts the newest, others the oldest."""

    def __post_init__(self) -> None:
        if self.id == NO_MEMBER:
            raise ValueError("member id must not be 0")
        if self.heartbeat_ticks < 1:
            raise ValueError("heartbeat_ticks must be at least 1")
        if self.election_ticks <= self.heartbeat_ticks:
            raise ValueError("election_ticks must be greater than heartbeat_ticks")
        if self.append_bytes_max < 1 or self.committed_bytes_max < 1:
            raise ValueError("append_bytes_max and committed_bytes_max must be at least 1")
        if self.inflight_messages_max < 1:
            raise ValueError("inflight_messages_max must be at least 1")
        if self.inflight_bytes_max < self.append_bytes_max:
            raise ValueError("inflight_bytes_max must be at least append_bytes_max")
        if self.uncommitted_bytes_max < 1 or self.reads_max < 1:
            raise ValueError("uncommitted_bytes_max and reads_max must be at least 1")
