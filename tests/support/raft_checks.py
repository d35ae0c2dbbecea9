"""What must hold in every run of a simulated Raft cluster (Raft paper, figure 3, and reads).

The checks look at members from outside, after every event, and know nothing of how they decide.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from raftstore.raft import Entry, Index, MemberId, Message, MessageKind, Raft, Role, Term

if TYPE_CHECKING:
    from tests.support.raft_member import SimMember


class BrokenPromiseError(AssertionError):
    """A property that Raft promises does not hold."""


class Checks:
    """Everything observed in one run, and the judgement on it."""

    def __init__(self) -> None:
        self.ledger: dict[Index, Entry] = {}
        """What was applied at each index by whoever was first."""
        self.known_in: dict[Index, Term] = {}
        """The term of the first member that applied it: it was committed in that term or before."""
        self.leaders: dict[Term, MemberId] = {}
        self.votes: dict[tuple[MemberId, Term], MemberId] = {}
        self.acknowledged: dict[bytes, Index] = {}
        self.floor = Index(0)
        """Any read that starts now must see the log up to here."""
        self.reads_served = 0
        self._last: dict[MemberId, tuple[int, Term, Index]] = {}

    def on_event(self, member: "SimMember") -> None:
        """After anything happened to `member`."""
        raft = member.raft
        last = self._last.get(raft.id)
        if last is not None and last[0] == member.incarnation:
            _require(raft.term >= last[1], f"{raft.id}: term fell {last[1]} -> {raft.term}")
            _require(raft.commit_index >= last[2], f"{raft.id}: commit fell from {last[2]}")
        self._last[raft.id] = (member.incarnation, raft.term, raft.commit_index)
        if raft.role is Role.LEADER:
            self._on_leader(raft)

    def _on_leader(self, raft: Raft) -> None:
        known = self.leaders.setdefault(raft.term, raft.id)
        if known is not raft.id:
            _require(known == raft.id, f"election safety: {known}, {raft.id} lead {raft.term}")
        for index in reversed(self.ledger):
            if index < raft.log.first_index:
                break
            if self.known_in[index] < raft.term:
                found = raft.log.term_at(index)
                _require(
                    found == self.ledger[index].term,
                    f"leader completeness: {raft.id} leads {raft.term} with {found} at {index}, "
                    f"committed is {self.ledger[index]}",
                )
                break  # Log matching, checked elsewhere, covers those before it.

    def on_sent(self, message: Message) -> None:
        """A member let `message` out."""
        if message.kind is MessageKind.VOTE_RESP and not message.reject:
            key = (message.from_, message.term)
            vote = self.votes.setdefault(key, message.to)
            _require(vote == message.to, f"{key} (member, term) voted for {vote}, {message.to}")

    def on_applied(self, member: "SimMember", entry: Entry) -> None:
        """`member` applied `entry`."""
        index = entry.index
        known = self.ledger.setdefault(index, entry)
        if known is entry:
            self.known_in.setdefault(index, member.raft.term)
        _require(known == entry, f"state machine safety at {index}: {known} and {entry}")

    def on_acknowledged(self, data: bytes, index: Index) -> None:
        """The client that proposed `data` was told that it is done."""
        self.acknowledged.setdefault(data, index)
        self.floor = max(self.floor, index)

    def on_read_confirmed(self, context: bytes, floor: Index, index: Index) -> None:
        """A read that started when `floor` was acknowledged may be served at `index`."""
        _require(index >= floor, f"stale read {context!r}: index {index}, acknowledged {floor}")

    def on_read_served(self, applied: Index) -> None:
        """A client saw the state at `applied`; later reads must not see less."""
        self.reads_served += 1
        self.floor = max(self.floor, applied)

    def log_matching(self, members: Sequence["SimMember"]) -> None:
        """If two logs agree at an index they agree before it (§5.3)."""
        for position, one in enumerate(members):
            for other in members[position + 1 :]:
                self._pair_matches(one.raft, other.raft)

    def _pair_matches(self, one: Raft, other: Raft) -> None:
        first = max(one.log.first_index, other.log.first_index)
        last = min(one.log.last_index, other.log.last_index)
        if first > last:
            return
        left = one.log.slice(first, last, 1 << 62)
        right = other.log.slice(first, last, 1 << 62)
        agreed = False
        for a, b in zip(reversed(left), reversed(right), strict=True):
            agreed = agreed or a.term == b.term
            if agreed and a is not b:
                _require(a == b, f"log matching: {one.id} has {a}, {other.id} has {b}")

    def at_end(self, members: Sequence["SimMember"]) -> None:
        """After healing: every member in force holds the same, and nothing acknowledged is lost."""
        for member in members:
            _require(
                member.state == members[0].state,
                f"{member.raft.id} and {members[0].raft.id} ended in different states",
            )
            lost = [data for data in self.acknowledged if data not in set(member.state)]
            _require(not lost, f"acknowledged but lost on {member.raft.id}: {lost[:5]}")


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise BrokenPromiseError(text)
