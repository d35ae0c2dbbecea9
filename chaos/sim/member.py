"""One simulated member: the real node and its services, on a machine that can be taken away."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from chaos.sim.clock import SimLoop
from chaos.sim.disk import SimCrash, SimDisk, SimFiles, SimWorker
from chaos.sim.network import Fabric, SimPeers
from chaos.sim.promises import Promises
from raftstore.apply import Applier, ApplyResult
from raftstore.config import Limits, NodeConfig, PeerTls
from raftstore.engine.host import Connect
from raftstore.engine.protocol import AppliedBatch
from raftstore.lease import Lessor
from raftstore.lease.lessor import ttl_min_of
from raftstore.membership import Membership, member_id_of
from raftstore.mvcc import Store
from raftstore.node import Node
from raftstore.pb.command_pb2 import Command
from raftstore.raft.core import Raft
from raftstore.raft.ready import Ready
from raftstore.raft.types import MemberId
from raftstore.rpc.headers import Headers
from raftstore.rpc.kv import KvLimits, KvService
from raftstore.rpc.lease import LeaseService
from raftstore.rpc.watch import WatchService
from raftstore.transport.inquiry import Report
from raftstore.wal.files import Files
from raftstore.wal.worker import Fatal, Worker

NO_TLS = PeerTls(Path("ca"), Path("cert"), Path("key"))


class Build:
    """What a cluster is built from; a planted bug replaces a part."""

    raft_type: type[Raft] = Raft
    node_type: type[Node] = Node
    applier_type: type[Applier] = Applier
    store_type: type[Store] = Store
    lessor_type: type[Lessor] = Lessor
    files_type: type[SimFiles] = SimFiles
    watch_type: type[WatchService] = WatchService


class SimHost:
    """The machine of one process. Satisfies `raftstore.engine.host.Host`."""

    def __init__(self, member: SimMember, loop: SimLoop) -> None:
        self._member = member
        self._loop = loop
        self.chance = Random(member.random.getrandbits(64))
        self._files = member.build.files_type(
            member.disk, loop, member.random, functools.partial(member.crash, power=False)
        )
        self.workers: list[SimWorker] = []

    @property
    def files(self) -> Files:
        return self._files

    def worker(self, name: str, on_fatal: Fatal) -> Worker:
        worker = SimWorker(self._loop, on_fatal, self._member.disk_delay)
        self.workers.append(worker)
        return worker

    def network(self, config: NodeConfig) -> Connect:
        def connect(**wiring: Any) -> SimPeers:
            self._member.peers = SimPeers(self._member.fabric, **wiring)
            return self._member.peers

        return connect

    async def ask_members(self, config: NodeConfig) -> Sequence[Report]:
        return [
            peers.report(f"https://{peers.self_id:x}")
            for member_id, peers in self._member.fabric.up.items()
            if member_id != self._member.id
        ]


class SimMember:
    """A member that can be started, stopped, paused and killed, in any order."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        random: Random,
        fabric: Fabric,
        promises: Promises,
        build: Build,
        disk_delay_max: float,
        rate: float,
    ) -> None:
        self.config = config
        self.name = config.name
        self.id = member_id_of(config.initial_cluster[config.name], config.initial_cluster_token)
        self.random = random
        self.fabric = fabric
        self.promises = promises
        self.build = build
        self.disk = SimDisk(random)
        self.disk_delay_max = disk_delay_max
        self.rate = rate
        self.loop: SimLoop | None = None
        self.node: Node | None = None
        self.peers: SimPeers | None = None
        self.kv: KvService | None = None
        self.lease: LeaseService | None = None
        self.watch: WatchService | None = None
        self.host: SimHost | None = None
        self.on_down: list[Callable[[], None]] = []
        self.expects_failure = False

    def disk_delay(self) -> float:
        """How long a job of the disk takes."""
        return 0.0001 + self.random.random() * self.disk_delay_max

    @property
    def alive(self) -> bool:
        return self.loop is not None

    @property
    def serving(self) -> bool:
        return self.loop is not None and self.kv is not None

    def start(self) -> None:
        """Begin, or begin again, from what the disk holds."""
        if self.loop is not None:
            return
        loop = SimLoop(self.fabric.scheduler, self.name, rate=self.rate)
        self.loop = loop
        self.fabric.hosts_alive.add(self.id)
        self.promises.started(self.id)
        self.host = SimHost(self, loop)
        members = Membership.initial(self.config.initial_cluster, self.config.initial_cluster_token)
        build = self.build
        machine = observed(build.applier_type, self.promises, self.id)(
            build.store_type(), build.lessor_type(ttl_min_of(self.config.election_ms)), members
        )
        raft_type = watched(build.raft_type, self.promises)
        node_type = type("SimNode", (build.node_type,), {"raft_type": raft_type})
        node: Node = node_type(
            self.config, machine, members, on_fatal=self._on_fatal, host=self.host
        )
        task = loop.create_task(self._live(node, machine), name="member")
        task.add_done_callback(functools.partial(self._ended, loop))

    async def _live(self, node: Node, machine: Applier) -> None:
        async with node:
            node.on_applied(functools.partial(self._applied, node))
            if machine.applied_index:
                self.promises.restored(self.id, machine)
            self.node = node
            headers = Headers(node)
            self.kv = KvService(node, headers, machine.alarms, KvLimits())
            self.lease = LeaseService(node, headers)
            self.watch = self.build.watch_type(
                node,
                headers,
                chance=Random(1),
                election_ms=self.config.election_ms,
                fragment_bytes=1 << 20,
            )
            await self.watch.run()

    def _ended(self, loop: SimLoop, task: asyncio.Task[None]) -> None:
        if task.cancelled() or loop.dead:
            return
        error = task.exception()
        if isinstance(error, OSError):
            self._on_fatal(error)
        elif error is not None and not isinstance(error, SimCrash):
            self.promises.fail(f"{self.name} cannot live: {error!r}", error)

    def _applied(self, node: Node, batch: AppliedBatch) -> None:
        if batch.restored:
            self.promises.restored(self.id, node.machine)

    def _on_fatal(self, error: BaseException) -> None:
        if isinstance(error, SimCrash):
            return
        if isinstance(error, OSError) and "simulated" in str(error):
            self.fabric.counts["disk failed"] += 1
            self.crash(power=False)
            return
        self.promises.fail(f"{self.name} gave up: {error!r}", error)

    def crash(self, *, power: bool) -> None:
        """End the process now; with `power` its machine loses what it had not synced."""
        loop, host = self.loop, self.host
        if loop is None or host is None:
            return
        self.loop = self.host = None
        if self.disk.fuse is None:
            self._interrupt(host)
        self.disk.fuse = None
        loop.kill()
        self.node = self.kv = self.lease = self.watch = None
        if power:
            self.fabric.hosts_alive.discard(self.id)
            self.disk.lose_power()
        if self.peers is not None:
            self.peers.vanish()
        for callback in self.on_down:
            callback()

    def _interrupt(self, host: SimHost) -> None:
        """Let the first steps of the disk's work under way happen, or none."""
        for worker in host.workers:
            job = worker.interrupted()
            if job is not None and self.random.random() < 0.5:
                self.disk.fuse = self.random.randrange(4)
                try:
                    job()
                except (SimCrash, OSError, ValueError):
                    self.fabric.counts["crash within a disk job"] += 1
                self.disk.fuse = None

    def serve(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a handler in this member's process."""
        assert self.loop is not None
        self.loop.create_task(work)


def watched(raft_type: type[Raft], promises: Promises) -> type[Raft]:
    """The same core, looked at from outside."""

    class SimRaft(raft_type):  # type: ignore[misc, valid-type]
        def become_leader(self) -> None:
            super().become_leader()
            promises.became_leader(self)

        def ready(self) -> Ready:
            ready: Ready = super().ready()
            promises.stepped(self)
            return ready

        def advance(self, ready: Ready) -> None:
            for entry in ready.committed:
                promises.entry_applied(self, entry)
            super().advance(ready)

    return SimRaft


def observed(applier_type: type[Applier], promises: Promises, member_id: MemberId) -> type[Applier]:
    """The same state machine, looked at from outside."""

    class SimApplier(applier_type):  # type: ignore[misc, valid-type]
        def apply(self, index: int, command: Command) -> ApplyResult:
            result: ApplyResult = super().apply(index, command)
            promises.applied(member_id, index, command, result, self.store)
            return result

        def snapshot_chunks(self) -> Iterator[bytes]:
            promises.restored(member_id, self)
            chunks: Iterator[bytes] = super().snapshot_chunks()
            return chunks

    return SimApplier


def member_config(
    name: str,
    names: list[str],
    *,
    heartbeat_ms: int,
    election_ms: int,
    snapshot_count: int,
    limits: Limits,
) -> NodeConfig:
    """A member among `names`, at addresses that nobody dials."""
    urls = {each: (f"https://{each}:2380",) for each in names}
    return NodeConfig(
        name=name,
        data_dir=Path("/sim") / name,
        initial_cluster=urls,
        listen_peer_urls=urls[name],
        advertise_client_urls=(f"https://{name}:2379",),
        peer_tls=NO_TLS,
        heartbeat_ms=heartbeat_ms,
        election_ms=election_ms,
        snapshot_count=snapshot_count,
        limits=limits,
    )
