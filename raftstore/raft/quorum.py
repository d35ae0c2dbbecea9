"""Majorities: which index a majority has reached, and whether an election is decided."""

import enum
from collections.abc import Mapping, Sequence

from raftstore.raft.types import MemberId


class VoteResult(enum.Enum):
    """Where an election stands."""

    PENDING = "pending"
    WON = "won"
    LOST = "lost"


def majority(count: int) -> int:
    """The smallest number of `count` voters such that any two such groups overlap (§5.1)."""
    return count // 2 + 1


def reached_by_majority(reached: Sequence[int]) -> int:
    """The highest number that a majority has reached, given one number for each voter."""
    assert reached, "no voters, no majority"
    return sorted(reached, reverse=True)[majority(len(reached)) - 1]


def count_votes(votes: Mapping[MemberId, bool], voters: Sequence[MemberId]) -> VoteResult:
    """Judge an election. Answers of members who are not voters do not count."""
    granted = sum(votes.get(voter) is True for voter in voters)
    refused = sum(votes.get(voter) is False for voter in voters)
    needed = majority(len(voters))
    if granted >= needed:
        return VoteResult.WON
    if len(voters) - refused < needed:
        return VoteResult.LOST
    return VoteResult.PENDING
