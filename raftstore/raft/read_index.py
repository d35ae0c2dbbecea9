"""Linearizable reads without a log entry: ReadIndex (thesis §6.4).

Reads that arrive between two Readys form one round. A round records the commit index when it
starts; when a majority has answered a heartbeat sent after that, this member was still the leader
at that moment, so the index covers everything acknowledged before the reads were asked.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from raftstore.raft.quorum import reached_by_majority
from raftstore.raft.types import Index, MemberId


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A read of `member`, which may be the leader itself."""

    member: MemberId
    context: bytes


@dataclass(frozen=True, slots=True)
class ReadRound:
    """Reads that share one heartbeat quorum. `index` is the commit index when it started."""

    number: int
    index: Index
    requests: Sequence[ReadRequest]


class ReadQueue:
    """A leader's reads: those waiting for a round, and the rounds waiting for their quorum.

    Lives and dies with one leadership, so an answer to an earlier one cannot count. Invariant:
    rounds are ordered by number and, as commit never falls, by index.
    """

    __slots__ = ("_answered", "_count", "_count_max", "_last_round", "_rounds", "waiting")

    def __init__(self, count_max: int) -> None:
        self.waiting: list[ReadRequest] = []
        self._rounds: deque[ReadRound] = deque()
        self._answered: dict[MemberId, int] = {}
        """The latest round that each member has answered; it vouches for the earlier ones too."""
        self._last_round = 0
        self._count = 0
        self._count_max = count_max

    def add(self, request: ReadRequest) -> bool:
        """Queue a read for the next round. False if there are too many."""
        if self._count >= self._count_max:
            return False
        self._count += 1
        self.waiting.append(request)
        return True

    def start_round(self, commit: Index) -> bytes:
        """Put all waiting reads into a round. Returns the context for its heartbeats."""
        self._last_round += 1
        self._rounds.append(ReadRound(self._last_round, commit, self.waiting))
        self.waiting = []
        return self.heartbeat_context()

    def heartbeat_context(self) -> bytes:
        """What a heartbeat must carry so that its answer counts for all rounds; empty if none."""
        return self._last_round.to_bytes(8, "big") if self._rounds else b""

    def on_answer(self, member: MemberId, context: bytes) -> None:
        """`member` answered a heartbeat that carried `context`."""
        if context:
            number = int.from_bytes(context, "big")
            assert number <= self._last_round, (number, self._last_round)
            self._answered[member] = max(self._answered.get(member, 0), number)

    def take_confirmed(self, leader: MemberId, voters: Sequence[MemberId]) -> list[ReadRound]:
        """Remove and return the rounds that a majority of `voters`, leader included, answered."""
        if not self._rounds:
            return []
        answered = self._answered
        answered[leader] = self._last_round
        confirmed = reached_by_majority([answered.get(voter, 0) for voter in voters])
        rounds = []
        while self._rounds and self._rounds[0].number <= confirmed:
            rounds.append(self._rounds.popleft())
            self._count -= len(rounds[-1].requests)
        return rounds
