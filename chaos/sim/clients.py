"""Clients of a simulated cluster: they write, compare and swap, read, watch and hold leases.

Each talks to one member at a time over a network that loses and delays, and tells `Promises` what
it was told. Values are unique, so each is known by its write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from chaos.sim.promises import Change, Promises
from etcdclient.pb.rpc_pb2 import (
    Compare,
    LeaseGrantResponse,
    RangeRequest,
    RangeResponse,
    TxnResponse,
    WatchRequest,
    WatchResponse,
)
from raftstore.errors import StoreError
from raftstore.pb.command_pb2 import Command
from raftstore.pb.peer_pb2 import LeaderQuestion

if TYPE_CHECKING:
    from chaos.sim.cluster import Cluster
    from chaos.sim.member import SimMember

T = TypeVar("T")


class UnknownError(Exception):
    """No answer came: whatever was asked may have happened, or may still."""


class Client:
    """What all clients need: calls with a timeout, to a member of their choice."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.cluster = cluster
        self.name = f"client-{number}"
        self.loop = cluster.client_loop
        self.random: Random = cluster.random
        self.promises: Promises = cluster.promises
        self.counts: Counter[str] = cluster.counts
        self.number = number
        self.serial = 0

    def note(self, text: str) -> None:
        if self.cluster.note is not None:
            self.cluster.note(f"{self.name} {text}")

    def unique(self) -> bytes:
        self.serial += 1
        return b"%d.%d" % (self.number, self.serial)

    def key(self) -> bytes:
        return b"k%d" % self.random.randrange(self.cluster.profile.keys)

    def member(self) -> SimMember:
        """Mostly one that serves."""
        members = self.cluster.members
        serving = [member for member in members if member.serving]
        return self.random.choice(serving if serving and self.random.random() < 0.9 else members)

    async def pause(self) -> None:
        await asyncio.sleep(self.random.random() * 2 * self.cluster.pause_s)

    async def call(self, member: SimMember, work: Callable[[SimMember], Awaitable[T]]) -> T:
        """Run a handler on a member. Raises StoreError, or UnknownError if no answer comes."""
        future: asyncio.Future[T] = self.loop.create_future()
        fabric = self.cluster.fabric
        fabric.world.after(fabric.random.random() * 0.002, self._arrive, member, work, future)
        try:
            async with asyncio.timeout(self.cluster.profile.client_timeout_s):
                return await future
        except TimeoutError:
            raise UnknownError from None

    def _arrive(
        self,
        member: SimMember,
        work: Callable[[SimMember], Awaitable[T]],
        future: asyncio.Future[T],
    ) -> None:
        if not member.serving or self.random.random() < self.cluster.client_loss:
            self._answer(future, None, UnknownError())
            return
        loop = member.loop

        async def handle() -> None:
            result: Any = None
            error: Exception | None = None
            try:
                result = await work(member)
            except StoreError as refusal:
                error = refusal
            if self.random.random() >= self.cluster.client_loss:
                self._answer(future, result, error)

        def lost() -> None:
            if member.loop is not loop:
                self._answer(future, None, UnknownError())

        self.cluster.pending.append(lost)
        member.serve(handle())

    def _answer(self, future: asyncio.Future[T], result: Any, error: Exception | None) -> None:
        def arrive() -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.loop.after(self.random.random() * 0.002, arrive)


class Writer(Client):
    """Puts, deletes, compares and swaps, reads."""

    async def run(self) -> None:
        while True:
            await self.pause()
            draw = self.random.random()
            if draw < 0.35:
                await self._put()
            elif draw < 0.6:
                await self._cas()
            elif draw < 0.65:
                await self._delete()
            else:
                await self._read(serializable=draw > 0.9)

    async def _put(self) -> None:
        command = Command()
        command.put.key, command.put.value = self.key(), self.unique()
        await self._write(command, command.put.value, lambda m: m.kv.put(command))  # type: ignore[union-attr]

    async def _write(
        self, command: Command, value: bytes, work: Callable[[SimMember], Awaitable[Any]]
    ) -> Any:
        """Do a write that stands or falls with `value`; the response if it was answered."""
        floor = self.promises.floor
        member = self.member()
        self.note(f"{command.WhichOneof('op')} {value.decode()} on {member.name}")
        try:
            response = await self.call(member, work)
        except StoreError as error:
            self.note(f"{value.decode()}: {error!r}")
            self.counts["write refused" if error.definite else "write unknown"] += 1
            if error.definite:
                self.promises.failed(value)
        except UnknownError:
            self.note(f"{value.decode()}: no answer")
            self.counts["write unknown"] += 1
        else:
            if not isinstance(response, TxnResponse):
                self.note(f"{value.decode()}: done at {response.header.revision}")
                self.counts["write done"] += 1
                self.promises.wrote(value, response.header.revision, floor)
            return response
        return None

    async def _cas(self) -> None:
        """Read, then write only if nobody else has meanwhile."""
        key = self.key()
        seen = await self._range(key, serializable=self.random.random() < 0.5)
        if seen is None:
            return
        expected = seen.kvs[0].mod_revision if seen.kvs else 0
        value = self.unique()
        command = Command()
        txn = command.txn
        txn.compare.add(key=key, target=Compare.MOD, result=Compare.EQUAL, mod_revision=expected)
        txn.success.add().request_put.MergeFromString(_put_bytes(key, value))
        txn.failure.add().request_range.key = key
        floor = self.promises.floor
        response = await self._write(command, value, lambda m: m.kv.txn(command))  # type: ignore[union-attr]
        if isinstance(response, TxnResponse):
            self._judge_cas(key, value, expected, response, floor)

    def _judge_cas(
        self, key: bytes, value: bytes, expected: int, response: TxnResponse, floor: int
    ) -> None:
        promises, revision = self.promises, response.header.revision
        self.note(f"{value.decode()}: {response.succeeded} at {revision}")
        if response.succeeded:
            self.counts["cas done"] += 1
            promises.wrote(value, revision, floor)
            before = promises.before(key, revision)
            promises.require(
                (before.main if before else 0) == expected,
                f"CAS of {key!r} at {revision} expected {expected}, there was {before}",
            )
        else:
            self.counts["cas lost"] += 1
            promises.failed(value)
            kvs = response.responses[0].response_range.kvs
            promises.require(revision >= floor, f"CAS answered at {revision}, floor {floor}")
            self._compare(key, kvs, revision, "failed CAS")
            found = kvs[0].mod_revision if kvs else 0
            promises.require(found != expected, f"CAS of {key!r} failed though {expected} stood")
            promises.acknowledged(revision)

    async def _delete(self) -> None:
        command = Command()
        command.delete_range.key = self.key()
        floor = self.promises.floor
        try:
            response = await self.call(self.member(), lambda m: m.kv.delete_range(command))  # type: ignore[union-attr]
        except (StoreError, UnknownError):
            return
        self.promises.require(
            response.header.revision >= floor, f"stale delete at {response.header.revision}"
        )
        self.promises.acknowledged(response.header.revision)

    async def _read(self, *, serializable: bool) -> None:
        await self._range(self.key(), serializable=serializable)

    async def _range(self, key: bytes, *, serializable: bool) -> RangeResponse | None:
        floor = 0 if serializable else self.promises.floor
        request = RangeRequest(key=key, serializable=serializable)
        member = self.member()
        try:
            response: RangeResponse = await self.call(member, lambda m: m.kv.range(request))  # type: ignore[union-attr]
        except (StoreError, UnknownError):
            self.counts["read failed"] += 1
            return None
        self.counts["read done"] += 1
        revision = response.header.revision
        self.note(f"read {key.decode()} on {member.name}: at {revision}")
        self.promises.require(
            revision >= floor, f"stale read on {member.name}: {revision}, acknowledged: {floor}"
        )
        self._compare(key, response.kvs, revision, f"read on {member.name}")
        if not serializable:
            self.promises.acknowledged(revision)
        return response

    def _compare(self, key: bytes, kvs: Any, revision: int, what: str) -> None:
        """What was read must be what history has at that revision."""
        wanted = self.promises.state_at(key, revision)
        found = (
            Change(
                kvs[0].mod_revision,
                kvs[0].key,
                kvs[0].value,
                kvs[0].create_revision,
                kvs[0].version,
                kvs[0].lease,
            )
            if kvs
            else None
        )
        self.promises.require(
            found == wanted, f"{what} at {revision}: {found}, history has {wanted}"
        )


def _put_bytes(key: bytes, value: bytes) -> bytes:
    command = Command()
    command.put.key, command.put.value = key, value
    return command.put.SerializeToString()


class Compactor(Client):
    """Now and then forgets old revisions, as an API server does."""

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self.random.random() * 2 * self.cluster.profile.compact_every_s)
            revision = self.promises.floor - self.random.randrange(30)
            if revision <= max(1, self.promises.compacted):
                continue
            command = Command()
            command.compact.revision = revision
            try:
                await self.call(self.member(), lambda m: m.kv.compact(command))  # type: ignore[union-attr]  # noqa: B023
                self.counts["compaction"] += 1
            except (StoreError, UnknownError):
                continue


class LeaseHolder(Client):
    """Holds a lease for a while, with a key on it, then lets it run out, and begins again."""

    async def run(self) -> None:
        while True:
            await self.pause()
            await self._hold(ttl_s=self.random.choice((2, 3, 5)))

    async def _hold(self, ttl_s: int) -> None:
        lease_id = self.random.getrandbits(62) + 1
        grant = Command()
        grant.lease_grant.ID, grant.lease_grant.TTL = lease_id, ttl_s
        begun = self.promises.now()
        try:
            response: LeaseGrantResponse = await self.call(
                self.member(),
                lambda m: m.lease.grant(grant),  # type: ignore[union-attr]
            )
        except (StoreError, UnknownError):
            return
        self.counts["lease granted"] += 1
        self._lives(lease_id, begun, response.TTL)
        put = Command()
        put.put.key, put.put.value, put.put.lease = b"l%d" % self.number, self.unique(), lease_id
        with contextlib.suppress(StoreError, UnknownError):
            await self.call(self.member(), lambda m: m.kv.put(put))  # type: ignore[union-attr]
        for _ in range(self.random.randrange(12)):
            await asyncio.sleep(self.random.random() * response.TTL / 2)
            if not await self._renew(lease_id):
                return

    def _lives(self, lease_id: int, begun: float, ttl_s: int) -> None:
        """The leader cannot have begun to count before it was asked; its clock may run fast."""
        self.promises.lease_lives(lease_id, begun + ttl_s / self.cluster.profile.rate_max)

    async def _renew(self, lease_id: int) -> bool:
        """Whether it is worth going on."""
        begun = self.promises.now()
        question = LeaderQuestion(lease_keep_alive=lease_id)
        try:
            answer = await self.call(self.member(), lambda m: m.node.ask_leader(question))  # type: ignore[union-attr]
        except (StoreError, UnknownError):
            return True
        if answer.error:
            return "not found" not in answer.error
        self.counts["lease renewed"] += 1
        self._lives(lease_id, begun, answer.ttl)
        return True


class SimContext:
    """A gRPC stream, as far as the watch service uses one."""

    def __init__(self, request: WatchRequest, write: Callable[[WatchResponse], None]) -> None:
        self._request: WatchRequest | None = request
        self._write = write

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("hasleader", "true"),)

    async def read(self) -> object:
        request, self._request = self._request, None
        if request is not None:
            return request
        await asyncio.get_running_loop().create_future()
        return None

    async def write(self, response: WatchResponse) -> None:
        self._write(response)


class WatchingClient(Client):
    """Watches everything, on one member after the other, from where it stopped."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, number)
        self.next_revision = 2
        self._position = 0

    async def run(self) -> None:
        while True:
            await self._watch(self.member())
            await asyncio.sleep(self.random.random() / 2)

    async def _watch(self, member: SimMember) -> None:
        if not member.serving:
            return
        loop, watch = member.loop, member.watch
        assert loop is not None
        assert watch is not None
        self.counts["watch begun"] += 1
        request = WatchRequest()
        request.create_request.key = b"\0"
        request.create_request.range_end = b"\0"
        request.create_request.start_revision = self.next_revision
        inbox: asyncio.Queue[WatchResponse | None] = asyncio.Queue()
        session = {"ends": False}

        def write(response: WatchResponse) -> None:
            self.loop.after(0.001, inbox.put_nowait, response)

        async def serve() -> None:
            context: Any = SimContext(request, write)
            with contextlib.suppress(StoreError):
                await watch.watch(context)
            self.loop.after(0.001, inbox.put_nowait, None)

        def lost() -> None:
            if member.loop is not loop:
                inbox.put_nowait(None)

        self.cluster.pending.append(lost)
        task_holder: list[asyncio.Task[None]] = []
        loop.call_soon(lambda: task_holder.append(loop.create_task(serve())))
        ends_at = self.promises.now() + self.random.random() * 20
        while not session["ends"]:
            try:
                async with asyncio.timeout(max(0.01, ends_at - self.promises.now())):
                    response = await inbox.get()
            except TimeoutError:
                break
            if response is None or self._on_response(response, member):
                break
        if task_holder:
            loop.call_soon(task_holder[0].cancel)

    def _on_response(self, response: WatchResponse, member: SimMember) -> bool:
        """Take what came; True if the watch has ended."""
        if response.compact_revision:
            self.promises.require(
                response.compact_revision > self.next_revision,
                f"{self.name} at {self.next_revision} was told {response.compact_revision}",
            )
            self.promises.require(
                response.compact_revision <= self.promises.compacted,
                f"compacted at {response.compact_revision}, asked for {self.promises.compacted}",
            )
            self.counts["watch compacted"] += 1
            self._skip_to(response.compact_revision)
            return True
        if response.canceled:
            return True
        for event in response.events:
            self._on_event(event, member)
        if response.events:
            self.counts["watch events"] += len(response.events)
            self.next_revision = response.events[-1].kv.mod_revision + 1
        return False

    def _skip_to(self, revision: int) -> None:
        history = self.promises.history
        while self._position < len(history) and history[self._position].main < revision:
            self._position += 1
        self.next_revision = revision

    def _on_event(self, event: Any, member: SimMember) -> None:
        """It must be the very next one in history."""
        history = self.promises.history
        if self._position >= len(history):
            self.promises.fail(f"{self.name} on {member.name}: an event nobody applied: {event}")
            return
        wanted = history[self._position]
        kv = event.kv
        found = (kv.mod_revision, kv.key, kv.value if event.type == 0 else b"")
        self.promises.require(
            found == (wanted.main, wanted.key, wanted.value),
            f"{self.name} on {member.name}: event {found}, next in history is {wanted}",
        )
        self._position += 1

    @property
    def caught_up(self) -> bool:
        return self._position == len(self.promises.history)
