"""The checks are checked: each bug planted here must be found within a bounded number of seeds.

The bugs are those that real implementations had; S1, S8 and so on are the ones measured in
PySyncObj (docs/adr/). Figure 8 and the stale acknowledgement (S8) need so long a chain of events
that chance does not find them here; they have scripts in tests/unit/raft/test_raft_figure8.py.
"""

from dataclasses import replace
from random import Random

import pytest

from raftstore.raft import ConfState, Entry, Index, Message, Raft, RaftLog, Term
from raftstore.raft.candidate import Candidate
from raftstore.raft.follower import Follower
from raftstore.raft.leader import Leader
from raftstore.raft.read_index import ReadQueue, ReadRound
from raftstore.raft.types import MemberId
from tests.support.raft_cluster import Cluster, Profile
from tests.support.raft_member import Plant

SEEDS_MAX = 300
NEVER = 1 << 30


class HastyLeader(Leader):
    """Commits what one member holds, itself included: a quorum that miscounts."""

    def maybe_commit(self) -> None:
        index = Index(max(progress.match for progress in self.progress.values()))
        if index > self.raft.log.committed and self.may_commit(index):
            self._uncommitted_bytes = 0
            self.raft.log.commit_to(index)
            self.flush_due = True


class LonelyReads(ReadQueue):
    """Believes that it leads without asking anybody."""

    def take_confirmed(self, leader: MemberId, voters: object) -> list[ReadRound]:
        rounds, self._rounds = list(self._rounds), type(self._rounds)()
        return rounds


class LonelyReadLeader(Leader):
    def __init__(self, raft: Raft) -> None:
        super().__init__(raft)
        self.reads = LonelyReads(raft.config.reads_max)


class EarlyReadLeader(Leader):
    """Serves reads before an entry of its own term is committed (§8)."""

    def __init__(self, raft: Raft) -> None:
        super().__init__(raft)
        self.first_index = Index(0)


class TruncatingLog(RaftLog):
    """Truncates behind every append, conflict or not (S1)."""

    def maybe_append(self, prev_index: Index, prev_term: Term, entries: object) -> Index | None:
        last = super().maybe_append(prev_index, prev_term, entries)  # type: ignore[arg-type]
        if last is not None:
            del self._entries[last - self._offset :]
            self.stable = min(self.stable, last)
            self.committed = min(self.committed, last)
        return last


class UnmatchedSnapshotFollower(Follower):
    """Takes a snapshot's index for committed without looking at its own log (S2)."""

    def on_snapshot(self, message: Message) -> None:
        meta = message.snapshot
        assert meta is not None
        if meta.index <= self.raft.log.last_index:
            self.raft.log.commit_to(meta.index)
        super().on_snapshot(message)


class CredulousFollower(Follower):
    """Takes entries although it knows no membership, and so may become a majority of its own.

    This bug was ours: the simulation found it.
    """

    def on_append(self, message: Message) -> None:
        known = self.raft.conf_state
        if not known.voters:
            self.raft.conf_state = ConfState((MemberId(99),))
        super().on_append(message)
        self.raft.conf_state = known


class CredulousRaft(Raft):
    follower_type = CredulousFollower


class EagerVoter(Raft):
    """Votes for whoever asks, however little its log holds (§5.4.1)."""

    def _on_vote_request(self, message: Message) -> None:
        ours = self.log.is_up_to_date(message.index, message.log_term)
        if not ours:
            message = replace(message, index=Index(1 << 40), log_term=Term(1 << 40))
        super()._on_vote_request(message)


class TwiceCountingCandidate(Candidate):
    """Counts every answer, also the second of the same voter (S9)."""

    def _on_vote(self, message: Message) -> None:
        if not message.reject:
            for voter in self.raft.conf_state.voters:
                if voter not in self.votes:
                    self.votes[voter] = True
                    break
        self.maybe_decide()


class UnguardedLeader(Leader):
    """Accepts a membership change while another is under way (S6)."""

    def propose(self, entry: Entry) -> None:
        self.pending_conf_index = Index(0)
        super().propose(entry)


class HastyRaft(Raft):
    leader_type = HastyLeader


class LonelyReadRaft(Raft):
    leader_type = LonelyReadLeader


class EarlyReadRaft(Raft):
    leader_type = EarlyReadLeader


class UnmatchedSnapshotRaft(Raft):
    follower_type = UnmatchedSnapshotFollower


class TwiceCountingRaft(Raft):
    candidate_type = TwiceCountingCandidate


class UnguardedRaft(Raft):
    leader_type = UnguardedLeader


def tuned(seed: int, **changes: object) -> Profile:
    """A random profile, bent towards where a bug lives."""
    return replace(Profile.draw(Random(seed)), **changes)  # type: ignore[arg-type]


CALM: dict[str, object] = {
    "drop": 0.0,
    "delay_max": 20,
    "slow": 0.0,
    "crash_every": NEVER,
    "conf_change_every": NEVER,
    "transfer_every": NEVER,
}

PLANTS: dict[str, tuple[Plant, dict[str, object]]] = {
    "quorum miscounts": (Plant(raft_type=HastyRaft), {}),
    "vote not persisted": (
        Plant(vote_persisted=False),
        {"voters": 3, "crash_every": 4, "transfer_every": 6, "delay_max": 400},
    ),
    "acknowledged before persisted": (Plant(send_before_persist=True), {"crash_every": 10}),
    "reads without a quorum": (
        Plant(raft_type=LonelyReadRaft),
        CALM | {"voters": 3, "spares": 0, "partition_every": 12, "ticks": 400},
    ),
    "reads before its first commit": (
        Plant(raft_type=EarlyReadRaft),
        {"voters": 5, "transfer_every": 6, "delay_max": 400},
    ),
    "truncates behind every append (S1)": (Plant(log_type=TruncatingLog), {"duplicate": 0.2}),
    "snapshot without a log match (S2)": (
        Plant(raft_type=UnmatchedSnapshotRaft),
        {"voters": 5, "compact_every": 4, "partition_every": 15},
    ),
    "a member that knows nobody takes entries": (
        Plant(raft_type=CredulousRaft),
        {"spares": 2, "conf_change_every": 6, "transfer_every": 6},
    ),
    "votes for a shorter log": (Plant(raft_type=EagerVoter), {"crash_every": 15}),
    "the same voter counted twice (S9)": (
        Plant(raft_type=TwiceCountingRaft),
        {"voters": 5, "duplicate": 0.2, "transfer_every": 6},
    ),
    "two membership changes at once (S6)": (
        Plant(raft_type=UnguardedRaft),
        {"voters": 2, "spares": 4, "conf_change_every": 1, "partition_every": 8},
    ),
}


def seeds_to_find(plant: Plant, changes: dict[str, object]) -> int | None:
    """How many seeds it takes until a check, or an assertion of the core, fails."""
    for seed in range(SEEDS_MAX):
        try:
            Cluster(seed, plant=plant, profile=tuned(seed, **changes)).run()
        except Exception:  # noqa: BLE001 - whatever it is, the bug did not go unnoticed
            return seed + 1
    return None


@pytest.mark.parametrize("name", PLANTS)
def test_planted_bug_is_found(name: str) -> None:
    plant, changes = PLANTS[name]
    assert seeds_to_find(plant, changes) is not None


@pytest.mark.parametrize("name", PLANTS)
def test_without_the_bug_the_same_seeds_pass(name: str) -> None:
    """So that a find is the bug's, not the profile's."""
    _, changes = PLANTS[name]
    for seed in range(8):
        Cluster(seed, profile=tuned(seed, **changes)).run()
