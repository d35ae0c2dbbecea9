"""One member of the store: the Ready loop, and what the services in front of it may ask.

Owns the order persist -> send -> apply -> answer; it stands in `_turn` and what that calls, and
nowhere else (etcd-io/raft doc.go). Nothing is sent or answered before what it depends on is synced;
a leader's appends depend on nothing of its own, and leave while its disk works (thesis §10.2.1).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from etcdclient.pb.rpc_pb2 import Member
from raftstore import errors
from raftstore.callers import Callers
from raftstore.config import NodeConfig
from raftstore.disk_space import DiskSpace
from raftstore.engine.first_start import first_identity, removed_text
from raftstore.engine.host import SYSTEM_HOST, Connect, Host
from raftstore.engine.identity import identity_path, removed_path
from raftstore.engine.native import assemble
from raftstore.engine.protocol import AppliedBatch, NodeStatus, StateMachine
from raftstore.engine.recovery import Recovered, recover
from raftstore.errors import MemberEndedError, StoreError
from raftstore.leadership import LeaderWatch, transfer
from raftstore.member_tasks import (
    answer_question,
    may_campaign_early,
    propose_lease_ends,
    publish_attributes,
    tick_for_ever,
)
from raftstore.membership import Membership
from raftstore.owned_tasks import OwnedTasks
from raftstore.pb.command_pb2 import Command, CommandBatch, ConfChange
from raftstore.pb.peer_pb2 import LeaderAnswer, LeaderQuestion
from raftstore.raft.core import Raft
from raftstore.raft.leader import Leader
from raftstore.raft.messages import Message
from raftstore.raft.ready import Ready
from raftstore.raft.types import (
    NO_MEMBER,
    ConfChangeKind,
    Entry,
    EntryKind,
    Index,
    MemberId,
    ProposalDropped,
    Role,
    SnapshotMeta,
    SoftState,
    Term,
)
from raftstore.raft.types import ConfChange as RaftConfChange
from raftstore.reconfiguration import Reconfiguration
from raftstore.snap.codec import SnapshotHead
from raftstore.transport.snapshot_stream import TransferError
from raftstore.wal.codec import SnapshotMark
from raftstore.wal.files import write_durably
from raftstore.wal.worker import Fatal, end_process

if TYPE_CHECKING:
    from raftstore.apply import ApplyResult
    from raftstore.lease import Lessor
    from raftstore.mvcc import Store

__all__ = ["AppliedBatch", "Node", "NodeStatus", "StateMachine"]

log = logging.getLogger(__name__)

NO_LEADER_ELECTIONS = 3
"""Callers are told that there is no leader after so many election timeouts without one."""
COMPACTION_RECORDS_PER_TURN = 500
EARLY_ELECTIONS = 3
"""For so many election timeouts after its start a member may campaign without waiting for one."""


LEAVE_AFTER_S = 1.0  # a member that was removed still answers for so long


class Node:
    """One running member; `async with` starts and stops it. All methods belong to one event loop.

    `machine` is written only by this node, in log order. Construction touches nothing; entering
    locks and reads the data directory, listens for peers, and raises what `recover` and
    `Network.start` raise. Whatever fails later and cannot be survived goes to `on_fatal`, which by
    default ends the process. Simulations plant bugs by `raft_type`.
    """

    raft_type: type[Raft] = Raft

    def __init__(
        self,
        config: NodeConfig,
        machine: StateMachine,
        members: Membership,
        *,
        on_fatal: Fatal = end_process,
        host: Host = SYSTEM_HOST,
    ) -> None:
        config.check()
        self.config = config
        self.machine = machine
        self._members = members
        self._on_fatal = on_fatal
        self._host = host
        self._callbacks: list[Callable[[AppliedBatch], None]] = []
        self._stopped = self._scheduled = self._persisting = False
        self._applied_term = Term(0)
        self._applied_index = Index(0)
        self._watch = LeaderWatch()
        self._changes = Reconfiguration(self)
        self._role = Role.FOLLOWER
        self._leaderless_since = self._lease_time = 0.0
        self._early_ticks = config.election_ticks * EARLY_ELECTIONS

    # Life

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        connect = self._host.network(self.config)
        first = None
        if not self._host.files.exists(identity_path(self.config)):
            incarnation = self._host.chance.getrandbits(63) + 1
            first = await first_identity(self.config, incarnation, self._host.ask_members)
        self._build(recover(self.config, self._host.files, first), connect)
        await self._tasks.__aenter__()
        try:
            await self._network.start()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        self._owned.spawn(lambda: tick_for_ever(self.config, self._on_tick), "raft-ticks")
        self._owned.spawn(self._publish, "publish-attributes")
        self._owned.spawn(self._disk_space().watch, "disk-space")
        self._maybe_campaign_early()
        self._wake()
        return self

    def _build(self, recovered: Recovered, connect: Connect) -> None:
        self.member_id = recovered.member_id
        self.incarnation = recovered.identity.incarnation
        self._members.replace_by(recovered.membership)
        if recovered.chunks:
            self.machine.restore(recovered.chunks)
        self._take_over(recovered.log.snapshot)
        self._parts = assemble(self.config, recovered, self._fail, self._host, self.raft_type)
        self._raft = self._parts.raft
        self._journal = self._parts.journal
        self._snapshotting = self._parts.snapshotting
        self._callers = Callers(self.config, self.member_id, self._host.chance)
        self._tasks = asyncio.TaskGroup()
        self._owned = OwnedTasks(self._tasks, self._fail)
        self._network = connect(
            self_id=self.member_id,
            membership=self._members,
            events=self,
            snapshots=recovered.snapshots,
            worker=self._parts.snapshot_worker,
            tasks=self._tasks,
        )
        self._leaderless_since = self._lease_time = self._loop.time()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped = True
        self._owned.cancel()
        await self._network.stop()
        self._callers.stop()
        await self._tasks.__aexit__(None, None, None)
        await asyncio.to_thread(self._parts.close)

    def _fail(self, error: BaseException) -> None:
        """This member cannot go on: neither answer nor write anything more."""
        self._stopped = True
        self._on_fatal(error)

    # What the services ask

    @property
    def store(self) -> Store:
        """The key space, as applied here. Read only."""
        return self.machine.store

    @property
    def lessor(self) -> Lessor:
        """The leases, as applied here. Read only, but for `keep_alive` by `on_question`."""
        return self.machine.lessor

    @property
    def members(self) -> Membership:  # read only
        return self._members

    def on_applied(self, callback: Callable[[AppliedBatch], None]) -> None:
        """Call `callback` after each turn that applied something, before anybody is answered."""
        self._callbacks.append(callback)

    async def propose(self, command: Command) -> ApplyResult:
        """Replicate a command; returns once it is durable on a majority and applied here.

        Sets `command.id`. The result carries the error of the command itself, if it had one; a
        StoreError raised here says whether the command definitely did not happen.
        """
        if command.ByteSize() > self.config.request_bytes_max:
            raise errors.request_too_large()
        self._check_running()
        future: asyncio.Future[ApplyResult] = self._loop.create_future()
        self._callers.proposals.add(command, future, self._loop.time())
        self._wake()
        return await future

    async def propose_conf_change(self, change: ConfChange) -> list[Member]:
        """Change the membership by one member; returns it once the change is in force here.

        Raises StoreError, as `propose`, and when the leader refuses: see `reconfiguration`.
        """
        self._check_running()
        return await self._changes.change(change)

    async def replicate_change(self, change: ConfChange) -> list[Member]:
        """Put a change that was judged into the log, as the leader. Sets `change.id`."""
        future: asyncio.Future[list[Member] | StoreError] = self._loop.create_future()
        self._callers.changes.add(change, future, self._loop.time())
        self._wake()
        result = await future
        if isinstance(result, StoreError):
            raise result
        return result

    async def read_index(self) -> None:
        """Return once everything acknowledged anywhere before this call is applied here."""
        self._check_running()
        future: asyncio.Future[None] = self._loop.create_future()
        self._callers.reads.add(future, self._loop.time())
        self._wake()
        await future

    async def ask_leader(self, question: LeaderQuestion) -> LeaderAnswer:
        """Ask what only the leader knows; answered here if this member leads.

        Raises StoreError if no leader answers in time; the leader's own refusal is in the answer.
        """
        self._check_running()
        try:
            async with asyncio.timeout(self.config.request_timeout_ms / 1_000):
                while True:
                    if self.leader == self.member_id:
                        return await self.on_question(question)
                    if self.leader != NO_MEMBER and self._network.connected_s(self.leader):
                        return await self._network.ask(self.leader, question)
                    await self._watch.change_within(self.config.heartbeat_ms / 1_000)
        except TimeoutError:
            raise errors.timed_out(definite=False) from None

    async def transfer_leadership(self, to: MemberId) -> None:
        """Hand leadership to voter `to`; returns once this member sees it lead.

        Raises StoreError if it is no voter, or does not take over within an election timeout or so.
        """
        self._check_running()
        await transfer(self._watch, self._raft, self.config, to, self._wake)

    async def snapshot(self) -> Index:
        """Take a snapshot of everything applied so far; returns its index once it is durable."""
        index = await self._snapshotting.take(self._capture)
        self._wake()
        return index

    def status(self) -> NodeStatus:
        """Where this member stands at this moment."""
        return NodeStatus(
            member_id=self.member_id,
            cluster_id=self._members.cluster_id,
            leader=self.leader,
            role=self._role,
            term=self._raft.term,
            commit_index=self._raft.commit_index,
            applied_index=self._applied_index,
            is_learner=self.member_id in self._raft.conf_state.learners,
            journal_bytes=self._journal.size_bytes,
        )

    @property
    def leader(self) -> MemberId:
        """Who leads, as far as this member knows; 0 for nobody."""
        return self._watch.leader

    @property
    def leadership(self) -> Leader | None:
        """What this member knows as the leader, if it is. Read only."""
        return self._raft.leadership

    @property
    def applied_index(self) -> Index:  # of what the network tells joiners
        return self._applied_index

    def connected_s(self, member_id: MemberId) -> float:
        """For how long there has been a stream to that member; 0 if there is none."""
        return self._network.connected_s(member_id)

    def _check_running(self) -> None:
        if self._stopped or self._members.is_removed(self.member_id):
            raise errors.stopped(definite=True)

    # What the network reports

    def on_messages(self, messages: Sequence[Message]) -> None:
        """Peers said something."""
        if self._stopped:
            return
        try:
            for message in messages:
                self._raft.step(message)
        except Exception as error:  # noqa: BLE001 - this member's state is in doubt
            self._fail(error)
            return
        self._wake()

    def on_unreachable(self, member_id: MemberId) -> None:
        """Messages to a member were lost."""
        self._raft.report_unreachable(member_id)

    def on_gone(self, member_id: MemberId) -> None:
        """The process of a member has ended, by all that its host says."""
        self._raft.report_gone(member_id)
        self._wake()

    def on_refused(self, member_id: MemberId, reason: str) -> None:
        """A member says that this one was removed, or has lost its disk: it must not go on."""
        if not self._stopped:
            self._fail(MemberEndedError(f"member {member_id:016x}: {reason}"))

    def on_snapshot_sent(self, member_id: MemberId, *, ok: bool) -> None:
        """The transfer of a snapshot has ended."""
        self._raft.report_snapshot(member_id, ok=ok)
        self._wake()

    def check_snapshot(self, message: Message) -> SnapshotMeta:
        """Whether a snapshot that a peer offers is wanted. Raises TransferError."""
        meta = message.snapshot
        if meta is None or meta.index <= self._raft.commit_index:
            raise TransferError("it is not ahead of what is committed here")
        if message.term < self._raft.term:
            raise TransferError("its sender is a leader of an older term")
        self._snapshotting.expect(meta.index, meta.term)
        return meta

    async def on_question(self, question: LeaderQuestion) -> LeaderAnswer:
        """Answer a question as the leader. Refusals are in the answer, as etcd's texts."""
        try:
            # Only a leader that a majority still follows knows how long leases last.
            await self.read_index()
            if self.leader != self.member_id:
                raise errors.not_leader()
            if question.HasField("conf_change"):
                await self._changes.make(question.conf_change)
                return LeaderAnswer(id=question.id)
            return answer_question(self.lessor, question)
        except StoreError as error:
            return LeaderAnswer(
                id=question.id, error=error.text, code=error.code, definite=error.definite
            )

    # Time

    def _maybe_campaign_early(self) -> None:
        if may_campaign_early(self._raft, self._network.connected_members()):
            self._raft.campaign()

    def _on_tick(self, now: float) -> None:
        if self._stopped:
            return
        self._raft.tick()
        if self._early_ticks > 0:
            self._early_ticks -= 1
            self._maybe_campaign_early()
        self._tick_leases()
        self._callers.expire(now)
        patience_s = NO_LEADER_ELECTIONS * self.config.election_ms / 1_000
        if self.leader == NO_MEMBER and now - self._leaderless_since > patience_s:
            self._callers.no_leader(now - patience_s)
        self._wake()

    def _tick_leases(self) -> None:
        """End leases by entries of our own term alone: a later leader may have renewed them."""
        self._pass_lease_time()
        if self._role is self._raft.role is Role.LEADER:
            with contextlib.suppress(ProposalDropped):  # then the lessor names them again
                propose_lease_ends(self.lessor, self._raft.propose)

    def _pass_lease_time(self) -> None:
        """Bring the lessor's clock up to now: a lease must not be given time that has passed."""
        elapsed_ms = int((self._loop.time() - self._lease_time) * 1_000)
        self._lease_time += elapsed_ms / 1_000
        self.lessor.pass_time(elapsed_ms)

    def _disk_space(self) -> DiskSpace:
        waiting, alarms = self._callers.proposals, self.machine.alarms
        files = self._journal, self._parts.snapshots
        return DiskSpace(self.member_id, *files, alarms, self.propose, waiting)

    async def _publish(self) -> None:
        await publish_attributes(self.member_id, self.incarnation, self.config, self.propose)

    # The Ready loop: persist -> send -> apply -> answer

    def _wake(self) -> None:
        if not self._scheduled and not self._stopped:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self._stopped:
            return
        try:
            self._callers.hand_over(self._raft, self._loop.time())
            if not self._persisting:
                if self._raft.has_ready():
                    self._persist(self._raft.ready())
                elif self._snapshotting.pending is not None:
                    self._persist(None)
            self._compact_some()
        except Exception as error:  # noqa: BLE001 - this member's state is in doubt
            self._fail(error)

    def _persist(self, ready: Ready | None) -> None:
        """Step 1: make durable what this Ready promises. None: only a snapshot's mark."""
        pending: SnapshotHead | None = None
        mark: SnapshotMark | None = None
        if ready is not None and ready.soft_state is not None:
            self._on_soft_state(ready.soft_state)
        if ready is not None and ready.may_send_early:
            self._send(ready)
        if ready is not None and ready.snapshot is not None:
            mark = SnapshotMark(ready.snapshot.index, ready.snapshot.term, reset=True)
        else:
            pending, self._snapshotting.pending = self._snapshotting.pending, None
            if pending is not None:
                mark = SnapshotMark(pending.index, pending.term)
        if ready is not None and not ready.must_sync and mark is None:
            if ready.hard_state is not None:
                self._journal.defer(ready.hard_state)
            self._on_durable(ready, None)
            return
        self._persisting = True
        self._journal.append(
            ready.hard_state if ready is not None else None,
            ready.entries if ready is not None else (),
            mark,
            lambda: self._on_durable(ready, pending),
        )

    def _on_durable(self, ready: Ready | None, marked: SnapshotHead | None) -> None:
        """Steps 2 to 4: what this Ready promises is durable; send, apply, answer."""
        if self._stopped:
            return
        try:
            if marked is not None:
                self._snapshotting.marked(marked, self._raft)
            if ready is None:
                self._persisting = False
            else:
                if not ready.may_send_early:
                    self._send(ready)
                if ready.snapshot is not None:
                    self._persisting = True
                    self._owned.spawn(lambda: self._install(ready), "install-snapshot")
                    return
                self._finish(ready)
        except Exception as error:  # noqa: BLE001 - this member's state is in doubt
            self._fail(error)
        self._wake()

    def _send(self, ready: Ready) -> None:
        """Step 2. Proposals that could not even leave wait again: they surely did not happen."""
        self._callers.unsent(self._network.send(ready.messages), self._loop.time())

    def _finish(self, ready: Ready) -> None:
        """Step 3 and 4: apply what is committed, answer, and tell Raft that all is done."""
        results: list[ApplyResult] = []
        self._pass_lease_time()
        for entry in ready.committed:
            self._apply(entry, results)
        for read in ready.read_states:
            self._callers.reads.confirmed(read.context, read.index)
        for context in ready.aborted_reads:
            self._callers.reads.aborted(context)
        self._raft.advance(ready)
        self._persisting = False
        if ready.committed or ready.snapshot is not None:
            self._report(results, restored=ready.snapshot is not None)
        self._callers.reads.applied(self._applied_index)
        if self._snapshotting.claim_if_due(self._applied_index, wanted=self._raft.wants_snapshot):
            self._owned.spawn(self.snapshot, "snapshot")

    def _apply(self, entry: Entry, results: list[ApplyResult]) -> None:
        assert entry.index == self._applied_index + 1, (entry.index, self._applied_index)
        if entry.term > self._applied_term:
            self._applied_term = entry.term
            self._callers.term_applied(entry.term, complete=True)
        if entry.kind == EntryKind.CONF_CHANGE:
            self._apply_conf_change(ConfChange.FromString(entry.data))
        elif entry.data:
            for command in CommandBatch.FromString(entry.data).commands:
                result = self.machine.apply(entry.index, command)
                results.append(result)
                self._callers.proposals.applied(command.id, result)
        self._applied_index = entry.index

    def _apply_conf_change(self, change: ConfChange) -> None:
        refusal = self._members.check(change)
        member = MemberId(change.member.ID)
        if refusal is not None:
            # Raft must see every such entry; an UPDATE changes nothing for it.
            self._raft.apply_conf_change(RaftConfChange(ConfChangeKind.UPDATE, member))
            self._callers.changes.applied(change.id, refusal)
            return
        self._members.apply(change)
        self._raft.apply_conf_change(RaftConfChange(ConfChangeKind(change.type), member))
        self._network.follow_membership()
        self._callers.changes.applied(change.id, self._members.all())
        if self._members.is_removed(self.member_id):
            self._owned.spawn(self._leave, "leave")

    def _report(self, results: Sequence[ApplyResult], *, restored: bool) -> None:
        self.machine.applied_index = self._applied_index
        batch = AppliedBatch(applied_index=self._applied_index, results=results, restored=restored)
        for callback in self._callbacks:
            callback(batch)

    def _on_soft_state(self, soft: SoftState) -> None:
        if soft.leader != self.leader:
            told = (self.member_id, soft.leader, self._raft.term, soft.role.value)
            log.info("member %016x: leader %016x, term %d, %s", *told)
            if soft.leader == NO_MEMBER:
                self._leaderless_since = self._loop.time()
        if (soft.role is Role.LEADER) != (self._role is Role.LEADER):
            if soft.role is Role.LEADER:
                self._pass_lease_time()
                self.lessor.promote(self.config.election_ms)
            else:
                self.lessor.demote()
        self._role = soft.role
        self._watch.saw(soft.leader)

    async def _leave(self) -> None:
        """Removed: remember it for ever, answer who still waits, and end."""
        self._callers.stop()
        reason = removed_text(self.member_id)
        path, files = removed_path(self.config), self._host.files
        await self._parts.snapshot_worker.run(lambda: write_durably(path, reason.encode(), files))
        await asyncio.sleep(LEAVE_AFTER_S)
        self._fail(MemberEndedError(reason))

    # Snapshots

    def _capture(self) -> tuple[SnapshotHead, Iterator[bytes]]:
        """The state as of now; the chunks stay as they are while writes go on."""
        head = SnapshotHead(self._applied_index, self._applied_term, self._members.copy())
        return head, self.machine.snapshot_chunks()

    async def _install(self, ready: Ready) -> None:
        """Step 3 for a snapshot from the leader, which is on disk and vouched for by now."""
        meta = ready.snapshot
        assert meta is not None
        head, chunks = await self._parts.snapshot_worker.run(
            lambda: self._parts.snapshots.read(meta.index, meta.term)
        )
        if self._stopped:
            return
        for _ in self.machine.restore_steps(chunks):
            await asyncio.sleep(0)  # cancelled here if this member stops
        self._members.replace_by(head.membership)
        self._take_over(meta)
        self._callers.term_applied(meta.term, complete=False)
        self._network.follow_membership()
        self._snapshotting.installed(meta.index, meta.term)
        log.info("snapshot at index %d installed", meta.index)
        self._finish(ready)
        self._wake()

    def _take_over(self, snapshot: SnapshotMeta) -> None:
        self._applied_index = self.machine.applied_index = snapshot.index
        self._applied_term = snapshot.term

    def _compact_some(self) -> None:
        """Let the key space forget compacted revisions, a slice at a time."""
        store = self.machine.store
        more = store.compaction_pending() and store.compaction_step(COMPACTION_RECORDS_PER_TURN)
        if store.forget_step() or more:
            self._wake()
