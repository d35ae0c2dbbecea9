"""Planted bugs: each replaces one part of a member by one that is wrong, in a run of its own.

The simulation is worth what it finds: every bug here must be found within `SEEDS_MAX` seeds. They
are bugs that real implementations had; S1, S8 and so on are those measured in PySyncObj.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from chaos.sim.cluster import Cluster
from chaos.sim.disk import Inode, SimFiles
from chaos.sim.member import Build
from chaos.sim.network import Weather
from chaos.sim.profile import Profile
from etcdclient.pb.rpc_pb2 import TxnRequest
from raftstore.apply import Applier, ApplyResult
from raftstore.engine.protocol import AppliedBatch
from raftstore.lease import Lessor
from raftstore.mvcc import Store
from raftstore.node import Node
from raftstore.pb.command_pb2 import Command
from raftstore.raft.core import Raft
from raftstore.raft.follower import Follower
from raftstore.raft.leader import Leader
from raftstore.raft.log import RaftLog
from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.read_index import ReadQueue, ReadRound
from raftstore.raft.ready import Ready
from raftstore.raft.types import NO_MEMBER, Entry, HardState, Index, MemberId, Term
from raftstore.rpc.watch import WatchService

SEEDS_MAX = 300


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A bug, and how to bend random profiles towards where it lives."""

    build: Callable[[], Build]
    bend: dict[str, Any] = dataclasses.field(default_factory=dict)

    def profile(self, seed: int) -> Profile:
        return dataclasses.replace(Profile.draw(Random(seed)), **self.bend)

    def cluster(
        self, seed: int, log: Callable[[str], None] | None = None, *, planted: bool = True
    ) -> Cluster:
        build = self.build() if planted else None
        return Cluster(seed, build=build, profile=self.profile(seed), log=log)


class Found(NamedTuple):
    """After how many seeds a bug was found, and as what."""

    seeds: int
    text: str


def seeds_to_find(mutant: Mutant, seeds_max: int = SEEDS_MAX) -> Found | None:
    """Run seeds until a promise, or an assertion of the product, breaks."""
    for seed in range(seeds_max):
        try:
            mutant.cluster(seed).run()
        except Exception as error:  # noqa: BLE001 - whatever it is, the bug did not go unnoticed
            return Found(seed + 1, str(error) or type(error).__name__)
    return None


def _build(**parts: Any) -> Callable[[], Build]:
    def make() -> Build:
        build = Build()
        for name, part in parts.items():
            setattr(build, name, part)
        return build

    return make


# Durability


class LazyFiles(SimFiles):
    """Says that it synced, and did not: every answer goes before its fsync."""

    def sync(self, inode: Inode) -> None:
        self.about_to_change()


class HastyNode(Node):
    """Sends before it has persisted (ack before fsync)."""

    def _persist(self, ready: Ready | None) -> None:
        if ready is not None and not ready.may_send_early:
            ready = dataclasses.replace(ready, may_send_early=True)
            self._raft._outstanding = ready
        super()._persist(ready)


class ForgetfulNode(Node):
    """Writes its term, but not for whom it voted."""

    def _persist(self, ready: Ready | None) -> None:
        if ready is not None and ready.hard_state is not None:
            hard_state = HardState(ready.hard_state.term, NO_MEMBER, ready.hard_state.commit)
            ready = dataclasses.replace(ready, hard_state=hard_state)
            self._raft._outstanding = ready
        super()._persist(ready)


# Raft


class CountingLeader(Leader):
    """Commits entries of older terms by counting (§5.4.2, figure 8)."""

    def may_commit(self, index: Index) -> bool:
        return True


class CountingRaft(Raft):
    leader_type = CountingLeader


class UnmatchedSnapshotFollower(Follower):
    """Takes a snapshot's index for committed without looking at its own log (S2)."""

    def on_snapshot(self, message: Message) -> None:
        meta = message.snapshot
        assert meta is not None
        if meta.index <= self.raft.log.last_index:
            self.raft.log.commit_to(meta.index)
        super().on_snapshot(message)


class UnmatchedSnapshotRaft(Raft):
    follower_type = UnmatchedSnapshotFollower


class TruncatingLog(RaftLog):
    """Truncates behind every append, conflict or not (S1)."""

    __slots__ = ()

    def maybe_append(
        self, prev_index: Index, prev_term: Term, entries: Sequence[Entry]
    ) -> Index | None:
        last = super().maybe_append(prev_index, prev_term, entries)
        if last is not None:
            del self._entries[last - self._offset :]
            self.stable = min(self.stable, last)
            self.committed = min(self.committed, last)
        return last


class TruncatingRaft(Raft):
    def __init__(self, config: Any, log: RaftLog) -> None:
        log.__class__ = TruncatingLog
        super().__init__(config, log)


class LonelyReads(ReadQueue):
    """Believes that it leads without asking anybody."""

    __slots__ = ()

    def take_confirmed(self, leader: MemberId, voters: Sequence[MemberId]) -> list[ReadRound]:
        rounds, self._rounds = list(self._rounds), type(self._rounds)()
        return rounds


class LonelyReadLeader(Leader):
    def __init__(self, raft: Raft) -> None:
        super().__init__(raft)
        self.reads = LonelyReads(raft.config.reads_max)


class LonelyReadRaft(Raft):
    leader_type = LonelyReadLeader


class StaleAckRaft(Raft):
    """Counts what was acknowledged in an earlier term (S8)."""

    def step(self, message: Message) -> None:
        if message.kind is MessageKind.APP_RESP and message.term < self.term and self.leadership:
            message = dataclasses.replace(message, term=self.term)
            if message.index > self.log.last_index:
                return
        super().step(message)


class UnguardedLeader(Leader):
    """Takes a membership change while another is under way (S6)."""

    def propose(self, entry: Entry) -> None:
        self.pending_conf_index = Index(0)
        super().propose(entry)


class UnguardedRaft(Raft):
    leader_type = UnguardedLeader


# The store


class ImpatientLessor(Lessor):
    """Goes by the local clock alone: a new leader counts from the grant, renewals forgotten."""

    def promote(self, extend_ms: int) -> None:
        super().promote(0)
        for lease in self._leases.values():
            lease.expires_at_ms = self._now_ms + 1_000
            self._await_expiry(lease, lease.expires_at_ms)


class StaleCasApplier(Applier):
    """Compares with the revision that the key had one write ago."""

    def _txn(self, request: TxnRequest) -> ApplyResult:
        if len(request.compare) == 1 and request.compare[0].mod_revision > 1:
            live = self.store.index.live.get(request.compare[0].key)
            if live is not None and 0 < live.main - request.compare[0].mod_revision < 3:
                request.compare[0].mod_revision = live.main
        return super()._txn(request)


class GappedWatch(WatchService):
    """After a failover, a watch goes on from the newest revision."""

    async def watch(self, context: Any) -> None:
        request = context._request
        create = request.create_request
        revision = self._node.store.revision
        if 2 < create.start_revision <= revision:
            create.start_revision = revision + 1
        await super().watch(context)


class ForgetfulRestoreWatch(WatchService):
    """A snapshot from the leader replaces the store, and watches miss what it skipped."""

    def _on_applied(self, batch: AppliedBatch) -> None:
        super()._on_applied(dataclasses.replace(batch, restored=False))


class ShortSnapshotStore(Store):
    """A snapshot that lacks its newest record."""

    def snapshot_chunks(self) -> Iterator[bytes]:
        from raftstore.mvcc import snapshot

        blocks = [list(block) for block in self.history.view()]
        if blocks and blocks[-1]:
            blocks[-1].pop()
        return snapshot.encode(self.revision, self.compact_revision, blocks)


class DoubleApplier(Applier):
    """Applies a command again now and then, as retries without an identity do (S7)."""

    def apply(self, index: int, command: Command) -> ApplyResult:
        if command.id % 50 == 0:
            super().apply(index, command)
        return super().apply(index, command)


CRASHES = {"kill_every_s": 4.0, "power_every_s": 3.0, "down_max_s": 0.5}
QUARRELS = {"partition_every_s": 3.0, "transfer_every_s": 2.0, "pause_s": 0.05}

MUTANTS: dict[str, Mutant] = {
    "fsync-does-nothing": Mutant(_build(files_type=LazyFiles), CRASHES),
    "ack-before-fsync": Mutant(_build(node_type=HastyNode), CRASHES | {"disk_delay_max": 0.2}),
    "vote-not-persisted": Mutant(
        _build(node_type=ForgetfulNode),
        CRASHES | {"transfer_every_s": 1.0, "kill_every_s": 1.0, "members": 3},
    ),
    "commit-old-term-by-count": Mutant(_build(raft_type=CountingRaft), CRASHES | QUARRELS),
    "snapshot-without-log-match": Mutant(
        _build(raft_type=UnmatchedSnapshotRaft),
        QUARRELS | {"snapshot_count": 10, "catch_up_entries": 0, "members": 5},
    ),
    "suffix-always-truncated": Mutant(
        _build(raft_type=TruncatingRaft), {"weather": Weather(duplicate=0.2, delay_max=0.1)}
    ),
    "read-without-quorum": Mutant(
        _build(raft_type=LonelyReadRaft), {"partition_every_s": 4.0, "stall_every_s": 5.0}
    ),
    "stale-term-ack-counted": Mutant(_build(raft_type=StaleAckRaft), CRASHES | QUARRELS),
    "two-membership-changes": Mutant(
        _build(raft_type=UnguardedRaft), QUARRELS | {"change_every_s": 0.5}
    ),
    "lease-by-local-clock": Mutant(
        _build(lessor_type=ImpatientLessor), {"transfer_every_s": 2.0, "kill_every_s": 4.0}
    ),
    "cas-on-stale-revision": Mutant(
        _build(applier_type=StaleCasApplier), {"keys": 1, "writers": 8, "pause_s": 0.05}
    ),
    "watch-gap-on-failover": Mutant(_build(watch_type=GappedWatch), {"kill_every_s": 5.0}),
    "watch-gap-on-snapshot": Mutant(
        _build(watch_type=ForgetfulRestoreWatch),
        {"snapshot_count": 10, "catch_up_entries": 0, "partition_every_s": 4.0, "pause_s": 0.05},
    ),
    "snapshot-one-entry-short": Mutant(
        _build(store_type=ShortSnapshotStore), {"snapshot_count": 10, "kill_every_s": 5.0}
    ),
    "applied-twice": Mutant(_build(applier_type=DoubleApplier), {}),
}
