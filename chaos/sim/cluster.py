"""One run: a cluster under faults drawn from a seed, then healed, then everything must be there."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable
from random import Random

from chaos.sim.clients import Client, Compactor, LeaseHolder, WatchingClient, Writer
from chaos.sim.clock import Scheduler, SimLoop, bury_the_dead
from chaos.sim.member import Build, SimMember, member_config
from chaos.sim.network import Fabric, Link, Weather
from chaos.sim.profile import NEVER, Profile
from chaos.sim.promises import Promises
from etcdclient.pb.rpc_pb2 import Member
from raftstore.config import Limits
from raftstore.errors import StoreError
from raftstore.pb.command_pb2 import ConfChange
from raftstore.raft.types import MemberId, Role

HEARTBEAT_MS = 100
ELECTION_MS = 1_000
"""Etcd's defaults."""
HEAL_MAX_S = 60.0


@dataclasses.dataclass
class Outcome:
    """What a run that kept every promise has done."""

    seed: int
    simulated_s: float
    events: int
    revisions: int
    leaders: int
    counts: Counter[str]


class Cluster:
    """One run. `run` raises BrokenPromiseError at the first promise that is broken."""

    def __init__(
        self,
        seed: int,
        *,
        build: Build | None = None,
        profile: Profile | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.profile = profile or Profile.draw(self.random)
        self.counts: Counter[str] = Counter()
        self.scheduler = Scheduler()
        self.promises = Promises(self.scheduler.fail, lambda: self.scheduler.now)
        self.note: Callable[[str], None] | None = None
        if log is not None:
            self.note = lambda text: log(f"{self.scheduler.now:10.4f} {text}")
        self.fabric = Fabric(
            self.scheduler,
            Random(self.random.getrandbits(64)),
            dataclasses.replace(self.profile.weather),
            self.counts,
            self.note,
            self.promises.sent,
        )
        self.fabric.hosts_alive = set()
        self.healing = False
        self.pending: list[Callable[[], None]] = []
        self.client_loss = self.profile.client_loss
        self.pause_s = self.profile.pause_s
        self.client_loop = SimLoop(self.scheduler, "clients")
        self.members = self._members(build or Build())
        self.watchers = [WatchingClient(self, 100 + n) for n in range(2)]
        self._start_all()

    def _members(self, build: Build) -> list[SimMember]:
        profile = self.profile
        names = [f"m{n + 1}" for n in range(profile.members)]
        limits = Limits(
            segment_bytes=profile.segment_bytes,
            snapshot_catch_up_entries=profile.catch_up_entries,
            snapshot_chunk_bytes_max=4_096,
        )
        return [
            SimMember(
                member_config(
                    name,
                    names,
                    heartbeat_ms=HEARTBEAT_MS,
                    election_ms=ELECTION_MS,
                    snapshot_count=profile.snapshot_count,
                    limits=limits,
                ),
                random=Random(self.random.getrandbits(64)),
                fabric=self.fabric,
                promises=self.promises,
                build=build,
                disk_delay_max=self.random.choice((0.001, profile.disk_delay_max)),
                rate=1 + self.random.uniform(-profile.drift, profile.drift),
            )
            for name in names
        ]

    def _start_all(self) -> None:
        for member in self.members:
            member.on_down.append(functools.partial(self._went_down, member))
            member.disk.sync_fails = self.profile.sync_fails
            self.fabric.world.after(self.random.random(), member.start)
        clients: list[Client] = [Writer(self, n) for n in range(self.profile.writers)]
        clients += [LeaseHolder(self, 50 + n) for n in range(2)]
        clients += self.watchers
        if self.profile.compact_every_s < NEVER:
            clients.append(Compactor(self, 90))
        for client in clients:
            self.client_loop.create_task(client.run(), name=client.name)  # type: ignore[attr-defined]
        profile = self.profile
        for every_s, fault in (
            (profile.kill_every_s, lambda: self._crash(power=False)),
            (profile.power_every_s, lambda: self._crash(power=True)),
            (profile.fuse_every_s, self._light_fuse),
            (profile.stop_every_s, self._stop),
            (profile.blackout_every_s, self._blackout),
            (profile.stall_every_s, self._stall),
            (profile.partition_every_s, self._partition),
            (profile.transfer_every_s, self._transfer),
            (profile.snapshot_every_s, self._snapshot),
            (profile.change_every_s, self._change),
            (1.0, self._look),
        ):
            if every_s < NEVER:
                self._repeat(every_s, fault)

    def _went_down(self, member: SimMember) -> None:
        self._restart_later(member)
        pending, self.pending = self.pending, []
        for lost in pending:
            lost()
        if len(pending) > 1_000:
            pending = pending[-1_000:]
        self.pending = pending + self.pending

    def _repeat(self, every_s: float, fault: Callable[[], None]) -> None:
        def fire() -> None:
            if not self.healing:
                fault()
                self._repeat(every_s, fault)

        self.fabric.world.after(self.random.random() * 2 * every_s, fire)

    def _fault(self, kind: str, text: str) -> None:
        self.counts[kind] += 1
        if self.note is not None:
            self.note(f"-- {text}")

    # Faults

    def _some(self) -> SimMember | None:
        """Some member that lives, often the leader: most faults hurt there."""
        alive = [member for member in self.members if member.alive]
        leaders = [m for m in alive if m.node is not None and m.node.status().role is Role.LEADER]
        if leaders and self.random.random() < 0.5:
            return self.random.choice(leaders)
        return self.random.choice(alive) if alive else None

    def _crash(self, *, power: bool) -> None:
        member = self._some()
        if member is not None:
            self._fault("power lost" if power else "killed", f"{member.name} crashes, {power=}")
            member.crash(power=power)

    def _restart_later(self, member: SimMember) -> None:
        delay = 0.0 if self.healing else self.random.random() * self.profile.down_max_s
        if self.random.random() < 0.3:
            delay /= 50
        self.fabric.world.after(delay, self._restart, member)

    def _restart(self, member: SimMember) -> None:
        if not member.alive:
            if self.note is not None:
                self.note(f"-- {member.name} starts")
            member.start()

    def _light_fuse(self) -> None:
        member = self._some()
        if member is not None:
            member.disk.fuse = self.random.randrange(12)
            self._fault(
                "crash at a disk step", f"{member.name} dies after {member.disk.fuse} steps"
            )

            def power() -> None:
                if not member.alive and self.random.random() < 0.5:
                    member.fabric.hosts_alive.discard(member.id)
                    member.disk.lose_power()

            self.fabric.world.after(0.3, power)

    def _stop(self) -> None:
        """A member ends as on SIGTERM would the node: everything submitted reaches the disk."""
        member = self._some()
        if member is not None and member.node is not None and member.loop is not None:
            self._fault("stopped", f"{member.name} stops")
            loop, node = member.loop, member.node

            async def stop() -> None:
                await node.__aexit__(None, None, None)
                if member.loop is loop:
                    member.crash(power=False)

            member.loop.create_task(stop())

    def _blackout(self) -> None:
        """All machines lose power at once."""
        self._fault("blackout", "all members lose power")
        for member in self.members:
            member.crash(power=True)

    def _stall(self) -> None:
        member = self._some()
        if member is not None and member.loop is not None:
            for_s = self.random.random() * 4
            self._fault("stalled", f"{member.name} stalls for {for_s:.2f} s")
            member.loop.paused_until = self.scheduler.now + for_s
            self.fabric.changed()
            self.fabric.world.after(for_s + 0.001, self.fabric.changed)

    def _partition(self) -> None:
        ids = [member.id for member in self.members]
        hit = self._some()
        some = {hit.id} if hit is not None else set()
        if self.random.random() < 0.5:
            some = set(self.random.sample(ids, self.random.randrange(1, len(ids))))
        cut: list[Link] = [(a, b) for a in ids for b in ids if a in some and b not in some]
        shape = self.random.random()
        if shape < 0.5:
            cut += [(b, a) for a, b in cut]
            kind = "partition"
        elif shape < 0.75:
            kind = "one-way partition"
        else:
            cut = [link for link in cut if self.random.random() < 0.5]
            kind = "partial partition"
        self._fault(kind, f"cut {' '.join(f'{a:x}->{b:x}' for a, b in cut)}")
        self.fabric.cut = set(cut)
        self.fabric.changed()
        for_s = self.random.random() * self.profile.partition_max_s
        self.fabric.world.after(for_s, self._reconnect)

    def _reconnect(self) -> None:
        self.fabric.cut = set()
        self.fabric.changed()

    # Operators

    def _transfer(self) -> None:
        member = self._some()
        if member is None or member.node is None:
            return
        node, to = member.node, self.random.choice(self.members).id
        self._fault("leadership moved", f"{member.name} asks to move leadership to {to:x}")

        async def move() -> None:
            try:
                await node.transfer_leadership(to)
            except StoreError:
                return

        member.serve(move())

    def _snapshot(self) -> None:
        member = self._some()
        if member is None or member.node is None:
            return
        node = member.node
        self._fault("snapshot asked for", f"{member.name} takes a snapshot")

        async def take() -> None:
            await node.snapshot()

        member.serve(take())

    def _change(self) -> None:
        """Members that exist on paper alone come and go; quorums of two thirds stay possible."""
        member = self._some()
        if member is None or member.node is None:
            return
        node = member.node
        change = ConfChange()
        known = [m for m in node.members.all() if m.name.startswith("ghost")]
        if known and self.random.random() < 0.6:
            change.type = ConfChange.REMOVE
            change.member.ID = self.random.choice(known).ID
        else:
            ghost = self.random.getrandbits(63)
            change.type = ConfChange.ADD_LEARNER
            change.member.CopyFrom(
                Member(ID=ghost, name=f"ghost{ghost}", peerURLs=[f"https://ghost{ghost}:1"])
            )
        self._fault("membership changed", f"{member.name} proposes {change.type}")

        async def propose() -> None:
            try:
                await node.propose_conf_change(change)
            except StoreError:
                return

        member.serve(propose())

    def _look(self) -> None:
        rafts = [m.node._raft for m in self.members if m.node is not None]
        self.promises.log_matching(rafts)

    # The run

    def run(self) -> Outcome:
        """Faults, healing, and the last judgement."""
        try:
            self.scheduler.run_until(self.profile.duration_s)
            self._heal()
            self._judge()
        finally:
            for member in self.members:
                if member.loop is not None:
                    member.loop.kill()
            self.client_loop.kill()
            bury_the_dead()
        for member in self.members:
            for kind, count in member.disk.counts.items():
                self.counts[f"disk: {kind}"] += count
        return Outcome(
            seed=self.seed,
            simulated_s=self.scheduler.now,
            events=self.scheduler.events,
            revisions=self.promises.revision,
            leaders=len(self.promises.leaders),
            counts=self.counts,
        )

    def _heal(self) -> None:
        """No more faults: within a bounded time all must agree on a leader and on everything."""
        self.healing = True
        if self.note is not None:
            self.note("-- healing")
        self.fabric.weather.__dict__.update(Weather().__dict__)
        self.client_loss = 0.0
        self._reconnect()
        for member in self.members:
            member.disk.fuse = None
            member.disk.sync_fails = 0.0
            member.disk_delay_max = 0.001
            if member.loop is not None:
                member.loop.paused_until = 0.0
            self._restart(member)
        begun, revision = self.scheduler.now, self.promises.revision
        while self.promises.floor <= revision or not self._served_everywhere():
            if self.scheduler.now - begun > HEAL_MAX_S:
                self.promises.fail(f"liveness: no progress in {HEAL_MAX_S} s after healing")
                assert self.promises.failure is not None
                raise self.promises.failure
            self.scheduler.run_until(self.scheduler.now + 0.5)
        self.pause_s = 1_000.0
        self.scheduler.run_until(self.scheduler.now + 8.0)

    def _served_everywhere(self) -> bool:
        nodes = [member.node for member in self.members if member.node is not None]
        return len(nodes) == len(self.members) and len({n.status().leader for n in nodes}) == 1

    def _judge(self) -> None:
        promises = self.promises
        while promises.failure is None and not self._converged():
            if self.scheduler.now > self.profile.duration_s + 3 * HEAL_MAX_S:
                found = {m.name: m.node and m.node.store.revision for m in self.members}
                promises.fail(
                    f"liveness: not everybody caught up: {found}, history {promises.revision}, "
                    f"watchers {[w.next_revision for w in self.watchers]}"
                )
            else:
                self.scheduler.run_until(self.scheduler.now + 1.0)
        if promises.failure is not None:
            raise promises.failure
        hashes = {m.name: m.node.store.hash_kv() for m in self.members if m.node is not None}
        promises.require(
            len({found.hash for found in hashes.values()}) == 1, f"members differ: {hashes}"
        )
        if promises.failure is not None:
            raise promises.failure

    def _converged(self) -> bool:
        nodes = [member.node for member in self.members if member.node is not None]
        return (
            len(nodes) == len(self.members)
            and len({node.status().applied_index for node in nodes}) == 1
            and len({node.store.compact_revision for node in nodes}) == 1
            and all(node.store.revision == self.promises.revision for node in nodes)
            and all(watcher.caught_up for watcher in self.watchers)
        )


def leader_of(members: list[SimMember]) -> MemberId | None:
    """Who leads, if somebody does."""
    for member in members:
        if member.node is not None and member.node.status().role is Role.LEADER:
            return member.id
    return None
