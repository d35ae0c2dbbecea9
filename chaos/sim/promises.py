"""What must hold in every run, judged from outside after every event.

Raft's promises (Raft paper, figure 3) and the store's: one history of revisions, the same on all
members; nothing acknowledged is lost, nothing that definitely failed happens; reads, watches and
leases keep to that history. The first broken promise ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from raftstore.apply import Applier, ApplyResult
from raftstore.mvcc import Store
from raftstore.pb.command_pb2 import Command
from raftstore.raft.core import Raft
from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.types import Entry, Index, MemberId, Role, Term


class BrokenPromiseError(AssertionError):
    """A property that the store promises does not hold."""


class Change(NamedTuple):
    """One key's new state, as an event has it. `key_version` 0: deleted."""

    main: int
    key: bytes
    value: bytes
    create_revision: int
    key_version: int
    lease: int


class Promises:
    """Everything observed in one run, and the judgement on it."""

    def __init__(self, fail: Callable[[BaseException], None], now: Callable[[], float]) -> None:
        self._fail = fail
        self.now = now
        self.failure: BaseException | None = None
        # Raft
        self.leaders: dict[Term, MemberId] = {}
        self.votes: dict[tuple[MemberId, Term], MemberId] = {}
        self.ledger: dict[Index, list[bytes]] = {}
        self.entry_terms: dict[Index, Term] = {}
        self.known_in: dict[Index, Term] = {}
        """The term of the first member that applied it: it was committed in that one or before."""
        self._seen: dict[MemberId, tuple[Term, Index]] = {}
        self._position: dict[MemberId, tuple[int, int]] = {}
        # The store
        self.history: list[Change] = []
        self.revision = 1
        self.first_at: dict[int, int] = {}
        self.by_key: dict[bytes, list[Change]] = {}
        self.values: dict[bytes, int] = {}
        self.forbidden: set[bytes] = set()
        self.compacted = -1
        self.hashes: dict[tuple[int, int, int], int] = {}
        self.revision_of: dict[int, int] = {}
        self.member_revision: dict[MemberId, int] = {}
        self.floor = 1
        """Any linearizable operation that starts now must see this revision."""
        self.leases: dict[int, float] = {}
        """Until when each lease surely lives, in the scheduler's seconds."""
        self.ended_leases: dict[int, float] = {}

    def fail(self, text: str, cause: BaseException | None = None) -> None:
        error = BrokenPromiseError(text)
        error.__cause__ = cause
        if self.failure is None:
            self.failure = error
        self._fail(self.failure)

    def require(self, condition: bool, text: str) -> None:
        if not condition:
            self.fail(text)

    # Raft

    def started(self, member: MemberId) -> None:
        """A member's process begins: its memory is new."""
        self._seen.pop(member, None)
        self._position.pop(member, None)

    def stepped(self, raft: Raft) -> None:
        term, commit = self._seen.get(raft.id, (Term(0), Index(0)))
        self.require(raft.term >= term, f"{raft.id:x}: term fell {term} -> {raft.term}")
        self.require(raft.commit_index >= commit, f"{raft.id:x}: commit fell from {commit}")
        self._seen[raft.id] = (raft.term, raft.commit_index)

    def became_leader(self, raft: Raft) -> None:
        known = self.leaders.setdefault(raft.term, raft.id)
        self.require(
            known == raft.id, f"election safety: {known:x} and {raft.id:x} lead term {raft.term}"
        )
        for index in reversed(self.entry_terms):
            if index < raft.log.first_index:
                break
            if self.known_in[index] >= raft.term:
                continue  # committed, perhaps, by a later leader than this one
            found = raft.log.term_at(index)
            self.require(
                found == self.entry_terms[index],
                f"leader completeness: {raft.id:x} leads {raft.term} with term {found} at {index}, "
                f"applied elsewhere was term {self.entry_terms[index]}",
            )
            break  # log matching, checked elsewhere, covers those before it

    def sent(self, message: Message) -> None:
        if message.kind is MessageKind.VOTE_RESP and not message.reject:
            key = (message.from_, message.term)
            vote = self.votes.setdefault(key, message.to)
            self.require(
                vote == message.to,
                f"{message.from_:x} voted for {vote:x} and {message.to:x} in term {message.term}",
            )

    def log_matching(self, rafts: Sequence[Raft]) -> None:
        """If two logs agree at an index they agree before it (§5.3)."""
        for position, one in enumerate(rafts):
            if one.role is Role.LEADER and self.leaders.get(one.term) != one.id:
                self.fail(f"{one.id:x} leads {one.term} unseen")
            for other in rafts[position + 1 :]:
                self._pair_matches(one, other)

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
            if agreed and a is not b and a != b:
                self.fail(f"log matching: {one.id:x} has {a}, {other.id:x} has {b}")
                return

    # State machine

    def applied(
        self, member: MemberId, index: int, command: Command, result: ApplyResult, store: Store
    ) -> None:
        """A member applied a command."""
        at, count = self._position.get(member, (0, 0))
        count = count + 1 if at == index else 1
        self._position[member] = (index, count)
        data = command.SerializeToString()
        entry = self.ledger.setdefault(Index(index), [])
        if len(entry) < count:
            entry.append(data)
            self._first(command, result)
        elif entry[count - 1] != data:
            self.fail(f"state machine safety: {member:x} applied another command at {index}")
        for event in result.events:
            record = event.record
            change = Change(
                record.main,
                record.key,
                record.value,
                record.create_revision,
                record.key_version,
                record.lease,
            )
            self._changed(member, change, record.sub)
        self.member_revision[member] = store.revision

    def _changed(self, member: MemberId, change: Change, sub: int) -> None:
        first = self.first_at.setdefault(change.main, len(self.history))
        position = first + sub
        if position == len(self.history):
            self.history.append(change)
            self.revision = max(self.revision, change.main)
            self.by_key.setdefault(change.key, []).append(change)
            if change.key_version:
                self.require(
                    change.value not in self.forbidden,
                    f"a definite failure happened: {change}",
                )
                self.require(change.value not in self.values, f"applied twice: {change}")
                self.values[change.value] = change.main
        elif position > len(self.history) or self.history[position] != change:
            known = self.history[position] if position < len(self.history) else None
            self.fail(f"one history: {member:x} has {change}, first was {known}")

    def _first(self, command: Command, result: ApplyResult) -> None:
        if result.error is not None:
            return
        op = command.WhichOneof("op")
        if op == "compact":
            self.compacted = max(self.compacted, command.compact.revision)
        elif op == "lease_revoke":
            lease_id = command.lease_revoke.ID
            until = self.leases.pop(lease_id, 0.0)
            self.ended_leases[lease_id] = self.now()
            self.require(
                self.now() >= until,
                f"lease {lease_id:x} ended at {self.now():.3f}, it had to live to {until:.3f}",
            )

    def entry_applied(self, raft: Raft, entry: Entry) -> None:
        """An entry of that term stands at that index, for ever."""
        index, term = entry.index, entry.term
        self.known_in.setdefault(index, raft.term)
        known = self.entry_terms.setdefault(index, term)
        self.require(known == term, f"state machine safety: terms {known}, {term} at {index}")

    def restored(self, member: MemberId, machine: object) -> None:
        """A member's whole state may be compared: it restored a snapshot, or takes one."""
        assert isinstance(machine, Applier)
        store = machine.store
        found = store.hash_kv()
        self.require(
            store.revision <= self.revision,
            f"{member:x} is at revision {store.revision}, nobody got beyond {self.revision}",
        )
        key = (machine.applied_index, store.revision, found.compact_revision)
        known = self.hashes.setdefault(key, found.hash)
        self.require(known == found.hash, f"{member:x} differs at {key} (index, revision, compact)")
        revision = self.revision_of.setdefault(machine.applied_index, store.revision)
        self.require(
            revision == store.revision,
            f"{member:x} is at revision {store.revision} at index {machine.applied_index}, "
            f"not {revision}",
        )
        self._position.pop(member, None)
        self.member_revision[member] = store.revision

    # Clients

    def lease_lives(self, lease_id: int, until: float) -> None:
        """A client was told that its lease lives at least until then."""
        ended = self.ended_leases.get(lease_id)
        if ended is None:
            self.leases[lease_id] = max(self.leases.get(lease_id, 0.0), until)
        else:
            self.require(
                ended >= until,
                f"lease {lease_id:x} had ended at {ended:.3f}, it had to live to {until:.3f}",
            )

    def state_at(self, key: bytes, revision: int) -> Change | None:
        """A key as it was at a revision, None if it was not there."""
        for change in reversed(self.by_key.get(key, [])):
            if change.main <= revision:
                return change if change.key_version else None
        return None

    def before(self, key: bytes, revision: int) -> Change | None:
        """A key as it was just before a revision."""
        return self.state_at(key, revision - 1)

    def acknowledged(self, revision: int) -> None:
        """A client knows of this revision: whoever asks from now on must, too."""
        self.floor = max(self.floor, revision)

    def failed(self, value: bytes) -> None:
        """A client was told that this write has not happened and never will."""
        self.require(
            value not in self.values,
            f"a definite failure happened: {value!r} at revision {self.values.get(value)}",
        )
        self.forbidden.add(value)

    def wrote(self, value: bytes, revision: int, floor: int) -> None:
        """A client was told that its write happened at this revision."""
        self.require(
            self.values.get(value) == revision,
            f"lost: {value!r} acknowledged at {revision}, found at {self.values.get(value)}",
        )
        self.require(revision > floor, f"stale write: {revision}, acknowledged before: {floor}")
        self.acknowledged(revision)
