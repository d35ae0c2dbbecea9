"""The network between simulated members: late, lossy, repeating, and cut, one way or both.

Stands where `raftstore.transport.network.Network` does, one `SimPeers` for each process. It is
worse than the streams of the real one: single messages get lost, late, out of order, or repeated.
Only proposals are never repeated: Raft appends each that arrives, and no stream repeats bytes, so
whether one can be applied twice is for the transport to rule out, not for Raft.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from chaos.sim.clock import Scheduler, SimLoop
from raftstore import errors
from raftstore.membership import Membership
from raftstore.pb.peer_pb2 import LeaderAnswer, LeaderQuestion
from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.render import describe_message
from raftstore.raft.types import MemberId
from raftstore.snap.codec import SnapshotDamagedError
from raftstore.snap.store import SnapshotGoneError, SnapshotStore
from raftstore.transport.inquiry import Report
from raftstore.transport.network import NetworkEvents
from raftstore.transport.snapshot_stream import TransferError
from raftstore.wal.worker import Worker

SILENCE_S = (0.8, 1.2)
REDIAL_S = (0.05, 0.4)
TRANSFER_TIMEOUT_S = 10.0

Link = tuple[MemberId, MemberId]


@dataclasses.dataclass
class Weather:
    """How bad the network is. Chances are per message, times in seconds."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay_max: float = 0.002
    straggle: float = 0.0
    straggle_max: float = 5.0
    damage: float = 0.0
    """Chance that a piece of a snapshot arrives damaged."""


class Fabric:
    """All links of a cluster."""

    def __init__(
        self,
        scheduler: Scheduler,
        random: Random,
        weather: Weather,
        counts: Counter[str],
        note: Callable[[str], None] | None,
        on_sent: Callable[[Message], None],
    ) -> None:
        self.scheduler = scheduler
        self.random = random
        self.weather = weather
        self.counts = counts
        self.cut: set[Link] = set()
        self.up: dict[MemberId, SimPeers] = {}
        self.note = note
        self.on_sent = on_sent
        self.world = SimLoop(scheduler, "network")

    def changed(self) -> None:
        """Links, or who is up, changed: streams break and are dialled anew, after a while."""
        for peers in self.up.values():
            for member_id in peers.others():
                self._reconsider(peers, member_id)

    def _reconsider(self, peers: SimPeers, to: MemberId) -> None:
        if to in peers.pending or (to in peers.connected) == self._stands(peers, to):
            return
        peers.pending.add(to)
        low, high = SILENCE_S if to in peers.connected else REDIAL_S
        other = self.up.get(to)
        if to in peers.connected and other is None and self.killed_only(to):
            low, high = (0.0005, 0.002)  # its host closes the connection
        peers.loop.after(self.random.uniform(low, high), self._decide, peers, to)

    def killed_only(self, member_id: MemberId) -> bool:
        """Whether that member's process ended on a host that lives."""
        return member_id in self.hosts_alive

    hosts_alive: set[MemberId]

    def _decide(self, peers: SimPeers, to: MemberId) -> None:
        peers.pending.discard(to)
        stands = self._stands(peers, to)
        if stands and to not in peers.connected:
            peers.connected[to] = self.up[to].epoch
            peers.since[to] = self.scheduler.now
            self.up[to].heard.add(peers.self_id)
        elif not stands and to in peers.connected:
            del peers.connected[to]
            peers.lost_stream(to)
            if to not in self.up and self.killed_only(to):
                peers.events.on_gone(to)
            self._reconsider(peers, to)

    def _stands(self, peers: SimPeers, to: MemberId) -> bool:
        """Whether a stream can be had: bytes flow both ways, and its process is still the same."""
        here, other = peers.self_id, self.up.get(to)
        return (
            other is not None
            and other.loop.paused_until <= self.scheduler.now
            and peers.connected.get(to, other.epoch) == other.epoch
            and (here, to) not in self.cut
            and (to, here) not in self.cut
        )

    def send(self, messages: Sequence[Message], from_: MemberId, to: MemberId) -> None:
        """Let messages travel; what was sent together arrives together unless fate strikes."""
        weather, random = self.weather, self.random
        together: list[Message] = []
        for message in messages:
            self.on_sent(message)
            if self.note is not None:
                self.note(describe_message(message))
            chance = random.random()
            if chance < weather.drop:
                self.counts["message dropped"] += 1
                if self.note is not None:
                    self.note(f"  lost: {describe_message(message)}")
                continue
            together.append(message)
            if chance > 1 - weather.duplicate and message.kind is not MessageKind.PROP:
                self.counts["message repeated"] += 1
                self._travel([message], from_, to)
        if together:
            self._travel(together, from_, to)

    def _travel(self, messages: list[Message], from_: MemberId, to: MemberId) -> None:
        self.world.after(self.delay(), self._arrive, messages, from_, to)

    def delay(self) -> float:
        """How long something travels."""
        delay = 0.0002 + self.random.random() * self.weather.delay_max
        if self.weather.straggle and self.random.random() < self.weather.straggle:
            self.counts["message straggled"] += 1
            delay += self.random.random() * self.weather.straggle_max
        return delay

    def _arrive(self, messages: list[Message], from_: MemberId, to: MemberId) -> None:
        receiver = self.up.get(to)
        if receiver is None or (from_, to) in self.cut:
            self.counts["message cut off"] += len(messages)
            return
        receiver.loop.call_soon(receiver.events.on_messages, messages)


class SimPeers:
    """The other members as one process reaches them. Satisfies `raftstore.engine.host.Peers`."""

    def __init__(
        self,
        fabric: Fabric,
        *,
        self_id: MemberId,
        membership: Membership,
        events: NetworkEvents,
        snapshots: SnapshotStore,
        worker: Worker,
        tasks: asyncio.TaskGroup,
    ) -> None:
        loop: Any = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        self.loop = loop
        self.self_id = self_id
        self.events = events
        self.epoch = object()
        self.connected: dict[MemberId, object] = {}
        self.pending: set[MemberId] = set()
        self.since: dict[MemberId, float] = {}
        self.heard: set[MemberId] = set()
        self._fabric = fabric
        self._membership = membership
        self._snapshots = snapshots
        self._worker = worker
        self._tasks = tasks
        self._questions: dict[asyncio.Future[LeaderAnswer], MemberId] = {}
        self._receiving: asyncio.Task[None] | None = None

    def others(self) -> list[MemberId]:
        return [
            MemberId(member.ID) for member in self._membership.all() if self.self_id != member.ID
        ]

    async def start(self) -> None:
        self._fabric.up[self.self_id] = self
        self._fabric.changed()

    async def stop(self) -> None:
        self.vanish()

    def vanish(self) -> None:
        """This process is no more."""
        if self._fabric.up.get(self.self_id) is self:
            del self._fabric.up[self.self_id]
        self._fabric.changed()

    def follow_membership(self) -> None:
        for member_id in set(self.connected) - set(self.others()):
            del self.connected[member_id]
        self._fabric.changed()

    def connected_members(self) -> int:
        return len(self.connected)

    def connected_s(self, member_id: MemberId) -> float:
        since = self.since.get(member_id) if member_id in self.connected else None
        return 0.0 if since is None else max(1e-6, self._fabric.scheduler.now - since)

    def report(self, url: str) -> Report:
        """What this member says to one that has an empty disk and asks who belongs here."""
        membership = self._membership.copy()
        heard = frozenset(self.heard)
        return Report(url, membership, int(self.events.applied_index), heard)

    def send(self, messages: Sequence[Message]) -> list[Message]:
        unsent: list[Message] = []
        by_member: dict[MemberId, list[Message]] = {}
        for message in messages:
            if message.kind is MessageKind.SNAP:
                self._tasks.create_task(self._send_snapshot(message), name="send-snapshot")
            else:
                by_member.setdefault(message.to, []).append(message)
        for member_id, batch in by_member.items():
            if member_id in self.connected:
                self._fabric.send(batch, self.self_id, member_id)
            else:
                self.events.on_unreachable(member_id)
                unsent += batch
        return unsent

    def lost_stream(self, to: MemberId) -> None:
        """The stream to a member broke: whatever was under way may be lost."""
        for future, member_id in list(self._questions.items()):
            if member_id == to and not future.done():
                future.set_exception(errors.leader_changed(definite=False))
        self.events.on_unreachable(to)

    # Questions to the leader

    async def ask(self, member_id: MemberId, question: LeaderQuestion) -> LeaderAnswer:
        if member_id not in self.connected:
            raise errors.no_leader()
        future: asyncio.Future[LeaderAnswer] = self.loop.create_future()
        self._questions[future] = member_id
        link = (self.self_id, member_id)
        self._fabric.world.after(self._fabric.delay(), self._ask_there, link, question, future)
        try:
            return await future
        finally:
            del self._questions[future]

    def _ask_there(
        self, link: Link, question: LeaderQuestion, future: asyncio.Future[LeaderAnswer]
    ) -> None:
        there = self._fabric.up.get(link[1])
        if there is None or link in self._fabric.cut:
            return

        async def answer(there: SimPeers) -> None:
            given = await there.events.on_question(question)
            if (link[1], link[0]) not in self._fabric.cut:
                self.loop.after(self._fabric.delay(), _resolve, future, given)

        there.loop.call_soon(_begin, answer, there)

    # Snapshots

    async def _send_snapshot(self, message: Message) -> None:
        assert message.snapshot is not None
        fabric = self._fabric
        if fabric.note is not None:
            fabric.note(describe_message(message))
        reader = self._snapshots.begin_send(message.snapshot)
        ok = False
        try:
            pieces: list[bytes] = []
            while piece := await self._worker.run(reader.read):
                pieces += [piece[at : at + 4_096] for at in range(0, len(piece), 4_096)]
            arrived: asyncio.Future[bool] = self.loop.create_future()
            fabric.world.after(fabric.delay(), self._offer, message, pieces, arrived)
            async with asyncio.timeout(TRANSFER_TIMEOUT_S):
                ok = await arrived
        except (TimeoutError, SnapshotGoneError):
            pass
        finally:
            fabric.counts["snapshot sent" if ok else "snapshot not sent"] += 1
            self.events.on_snapshot_sent(message.to, ok=ok)

    def _offer(self, message: Message, pieces: list[bytes], arrived: asyncio.Future[bool]) -> None:
        there = self._fabric.up.get(message.to)
        if there is None or (message.from_, message.to) in self._fabric.cut:
            return

        async def receive(there: SimPeers) -> None:
            ok = await there.receive_snapshot(message, pieces)
            if (message.to, message.from_) not in self._fabric.cut:
                self.loop.after(self._fabric.delay(), _resolve, arrived, ok)

        there.loop.call_soon(_begin, receive, there)

    async def receive_snapshot(self, message: Message, pieces: list[bytes]) -> bool:
        """Take in a snapshot; whether it is whole, and durable here."""
        if self._receiving is not None:
            self._receiving.cancel()
            return False
        self._receiving = asyncio.current_task()
        fabric = self._fabric
        try:
            meta = self.events.check_snapshot(message)
            receiver = self._snapshots.begin_receive()
            try:
                for piece in pieces:
                    await asyncio.sleep(fabric.delay() / 4)
                    if (message.from_, message.to) in fabric.cut:
                        return False
                    if fabric.weather.damage and fabric.random.random() < fabric.weather.damage:
                        piece = self._damaged(piece)
                    await self._worker.run(lambda piece=piece: receiver.feed(piece))  # type: ignore[misc]
                await self._worker.run(lambda: receiver.finish(meta))
            finally:
                await self._worker.run(receiver.abandon)
        except (TransferError, SnapshotDamagedError):
            return False
        finally:
            self._receiving = None
        self.events.on_messages([message])
        return True

    def _damaged(self, piece: bytes) -> bytes:
        self._fabric.counts["snapshot damaged"] += 1
        at = self._fabric.random.randrange(len(piece))
        return piece[:at] + bytes([piece[at] ^ 0x55]) + piece[at + 1 :]


def _begin(work: Callable[[SimPeers], object], peers: SimPeers) -> None:
    """Start work of this process; its loop owns the task, and ends it with the process."""
    peers.loop.create_task(work(peers))  # type: ignore[arg-type]


def _resolve(future: asyncio.Future[object], value: object) -> None:
    if not future.done():
        future.set_result(value)
