"""The incoming side: what peers dialled, judged by their hello, then handed on.

Owns every accepted connection until it ends. A connection that does not say who it is, or says
something else than its certificate, gets one error and is closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from raftstore.config import Limits
from raftstore.membership import Membership
from raftstore.pb.peer_pb2 import Hello, LeaderAnswer, LeaderQuestion
from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.types import Index, MemberId, SnapshotMeta
from raftstore.snap.store import SnapshotStore
from raftstore.transport.connection import FrameConnection
from raftstore.transport.hello import HelloRefusedError, check_caller, parse_hello
from raftstore.transport.snapshot_stream import IncomingSnapshot, TransferError
from raftstore.transport.wire import PROTOCOL, FrameError, FrameKind, Purpose, decode_messages
from raftstore.wal.worker import Worker

log = logging.getLogger(__name__)

HELLO_TIMEOUT_S = 3.0
SILENCE_MAX_S = 3.0
"""Peers ping five times a second: a Raft stream that brings nothing for so long is dead."""
CONNECTIONS_MAX = 128
QUESTIONS_MAX = 1_024


class PeerInbox(Protocol):
    """What incoming traffic turns into; the node implements it."""

    def on_messages(self, messages: Sequence[Message], /) -> None: ...
    async def on_question(self, question: LeaderQuestion, /) -> LeaderAnswer: ...
    def check_snapshot(self, message: Message, /) -> SnapshotMeta: ...
    @property
    def incarnation(self) -> int: ...
    @property
    def applied_index(self) -> Index: ...


class Inbound:
    """One accepted connection: first its hello, then frames according to its purpose."""

    def __init__(self, server: PeerServer) -> None:
        self.server = server
        self.member_id = MemberId(0)
        self.purpose: Purpose | None = None
        self.connection = FrameConnection(
            frame_bytes_max=server.limits.frame_bytes_max,
            on_frame=self._on_hello,
            on_made=self._on_made,
        )

    def _on_made(self, connection: FrameConnection) -> None:
        if len(self.server.inbound) >= CONNECTIONS_MAX:
            log.warning("peer %s: too many connections, refused", connection.remote)
            connection.abort()
            return
        self.server.inbound.add(self)
        connection.closed.add_done_callback(lambda _: self.server.inbound.discard(self))
        timer = asyncio.get_running_loop().call_later(HELLO_TIMEOUT_S, self._on_no_hello)
        connection.closed.add_done_callback(lambda _: timer.cancel())

    def _on_no_hello(self) -> None:
        if self.purpose is None:
            self.connection.abort()

    def _on_hello(self, kind: FrameKind, body: bytes) -> None:
        server = self.server
        answer = Hello(
            cluster_id=server.membership.cluster_id,
            member_id=server.self_id,
            protocol=PROTOCOL,
            incarnation=server.inbox.incarnation,
        )
        try:
            if kind != FrameKind.HELLO:
                raise HelloRefusedError(f"a {kind.name} frame where the hello was expected")
            hello = parse_hello(body)
            certificate = self.connection.extra("peercert")
            purpose = check_caller(
                hello, server.membership, server.self_id, certificate, server.heard
            )
        except HelloRefusedError as refusal:
            server.report_refusal(self.connection.remote.rsplit(":", 1)[0], str(refusal))
            answer.error, answer.refusal = str(refusal), refusal.refusal
            self.connection.send(FrameKind.HELLO, answer.SerializeToString())
            self.connection.on_frame = _ignore
            self.connection.close()
            return
        self.member_id, self.purpose = MemberId(hello.member_id), purpose
        if purpose is Purpose.MEMBERS:
            server.describe_to(self, answer)
            return
        server.meet(hello)
        self.connection.send(FrameKind.HELLO, answer.SerializeToString())
        if purpose is Purpose.RAFT:
            self.connection.on_frame = self._on_frame
            server.replace_older(self)
        else:
            server.receive_snapshot(self)

    def _on_frame(self, kind: FrameKind, body: bytes) -> None:
        match kind:
            case FrameKind.RAFT:
                messages = decode_messages(body)
                self.check_origin(messages)
                if any(message.kind == MessageKind.SNAP for message in messages):
                    raise FrameError("a snapshot's message without its snapshot")
                self.server.inbox.on_messages(messages)
            case FrameKind.PING:
                self.connection.send(FrameKind.PONG)
            case FrameKind.QUESTION:
                self.server.answer(self.connection, LeaderQuestion.FromString(body))
            case _:
                raise FrameError(f"a {kind.name} frame on a Raft stream")

    def check_origin(self, messages: Sequence[Message]) -> None:
        """A member speaks for itself alone. Raises FrameError."""
        for message in messages:
            if message.from_ != self.member_id or message.to != self.server.self_id:
                raise FrameError(
                    f"member {self.member_id:016x} sent a message from {message.from_:016x} "
                    f"to {message.to:016x}"
                )


class PeerServer:
    """All incoming connections. `tasks` outlives it and runs its questions and transfers."""

    def __init__(
        self,
        *,
        self_id: MemberId,
        membership: Membership,
        inbox: PeerInbox,
        snapshots: SnapshotStore,
        worker: Worker,
        limits: Limits,
        tasks: asyncio.TaskGroup,
        on_stranger: Callable[[MemberId, Sequence[str]], None],
    ) -> None:
        """`on_stranger` is told of members that call before our log names them."""
        self.self_id = self_id
        self.membership = membership
        self.inbox = inbox
        self.limits = limits
        self.inbound: set[Inbound] = set()
        self.heard: dict[MemberId, int] = {}
        """Which members have called, and from which data directory."""
        self._on_stranger = on_stranger
        self._snapshots = snapshots
        self._worker = worker
        self._tasks = tasks
        self._answering = 0
        self._receiving: Inbound | None = None
        self._refusals: dict[str, str] = {}

    def accept(self) -> FrameConnection:
        """Protocol factory of the listening socket."""
        return Inbound(self).connection

    def describe_to(self, caller: Inbound, answer: Hello) -> None:
        """Tell one that may be about to join who belongs here, and end the connection."""
        answer.membership = self.membership.to_json()
        answer.applied_index = self.inbox.applied_index
        answer.heard.extend(sorted(self.heard))
        caller.connection.send(FrameKind.HELLO, answer.SerializeToString())
        caller.connection.on_frame = _ignore
        caller.connection.close()

    def meet(self, hello: Hello) -> None:
        """Remember who called."""
        caller = MemberId(hello.member_id)
        if caller in self.heard or len(self.heard) < CONNECTIONS_MAX:
            self.heard[caller] = hello.incarnation
        if self.membership.get(caller) is None:
            self._on_stranger(caller, hello.peer_urls)

    def replace_older(self, newest: Inbound) -> None:
        """A member has one Raft stream to us: end those it opened before."""
        for inbound in list(self.inbound):
            if (
                inbound is not newest
                and inbound.member_id == newest.member_id
                and inbound.purpose is Purpose.RAFT
            ):
                inbound.connection.abort()

    def report_refusal(self, host: str, reason: str) -> None:
        """Say why a caller was refused, once until the reason changes."""
        if self._refusals.get(host) != reason and len(self._refusals) < CONNECTIONS_MAX:
            self._refusals[host] = reason
            log.warning("peer at %s refused: %s", host, reason)

    def answer(self, connection: FrameConnection, question: LeaderQuestion) -> None:
        """Answer a question on the connection it came by."""
        if self._answering >= QUESTIONS_MAX:
            full = LeaderAnswer(id=question.id, error="etcdserver: too many requests")
            connection.send(FrameKind.ANSWER, full.SerializeToString())
            return
        self._answering += 1
        self._tasks.create_task(self._answer(connection, question), name="leader-answer")

    async def _answer(self, connection: FrameConnection, question: LeaderQuestion) -> None:
        try:
            answer = await self.inbox.on_question(question)
            answer.id = question.id
            connection.send(FrameKind.ANSWER, answer.SerializeToString())
        finally:
            self._answering -= 1

    def receive_snapshot(self, inbound: Inbound) -> None:
        """Take a snapshot from this connection, one at a time.

        A second one means that the first sender has given up, though we may not have noticed: both
        end, and the sender, who tries again at once, finds the place free.
        """
        if self._receiving is not None:
            self._receiving.connection.abort()
            inbound.connection.abort()
            return
        self._receiving = inbound
        incoming = IncomingSnapshot(inbound.connection, self._snapshots, self._worker)
        inbound.connection.on_frame = incoming.on_frame
        name = f"snapshot-from-{inbound.member_id:016x}"
        self._tasks.create_task(self._receive(inbound, incoming), name=name)

    async def _receive(self, inbound: Inbound, incoming: IncomingSnapshot) -> None:
        def check(message: Message) -> SnapshotMeta:
            try:
                inbound.check_origin([message])
            except FrameError as error:
                raise TransferError(str(error)) from error
            return self.inbox.check_snapshot(message)

        try:
            await incoming.run(check, lambda message: self.inbox.on_messages([message]))
            log.info("snapshot from %016x received", inbound.member_id)
        except TransferError as error:
            log.warning("snapshot from %016x given up: %s", inbound.member_id, error)
        finally:
            self._receiving = None
            inbound.connection.close()

    async def sweep(self) -> None:
        """Close Raft streams that have fallen silent. Runs until cancelled."""
        seen: dict[Inbound, int] = {}
        while True:
            await asyncio.sleep(SILENCE_MAX_S)
            for inbound in list(self.inbound):
                received = inbound.connection.received_bytes
                if inbound.purpose is Purpose.RAFT and seen.get(inbound) == received:
                    inbound.connection.abort()
            seen = {inbound: inbound.connection.received_bytes for inbound in self.inbound}

    def close(self) -> None:
        """End every incoming connection."""
        for inbound in list(self.inbound):
            inbound.connection.abort()


def _ignore(_kind: FrameKind, _body: bytes) -> None:
    """A refused caller is not listened to while its refusal is on the way."""
