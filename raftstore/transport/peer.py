"""The outgoing streams to one peer: Raft messages and questions on one, each snapshot on its own.

Owns the connection to one member: dials it, watches it, replaces it when it is dead. Messages are
never queued while it is down: Raft sends anew what was lost.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from raftstore import errors
from raftstore.config import Limits, split_peer_url
from raftstore.membership import Membership
from raftstore.pb.peer_pb2 import Hello, LeaderAnswer, LeaderQuestion
from raftstore.raft.messages import Message
from raftstore.raft.types import MemberId
from raftstore.transport.connection import FrameConnection
from raftstore.transport.hello import (
    HelloRefusedError,
    RefusedForGoodError,
    check_answer,
    parse_hello,
)
from raftstore.transport.wire import PROTOCOL, FrameKind, Purpose, encode_messages

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 1.0
RETRY_MIN_S = 0.05
RETRY_MAX_S = 0.4
PING_EVERY_S = 0.2
SILENCE_MAX_S = 0.8
"""No answer to a ping and no byte taken for so long: the connection is dead, dial again."""
QUESTIONS_MAX = 1_024
CLOSED = "closed"


class PeerEvents(Protocol):
    """What a peer reports to its owner."""

    def on_unreachable(self, member_id: MemberId) -> None: ...
    def on_gone(self, member_id: MemberId) -> None: ...
    def on_refused(self, member_id: MemberId, reason: str) -> None: ...


class Dialer:
    """How this member calls others: who it is, its TLS context, where connections leave from.

    `urls_of` gives a member's peer URLs, none if it is not known.
    """

    def __init__(
        self,
        *,
        self_id: MemberId,
        context: ssl.SSLContext,
        local_host: str | None,
        limits: Limits,
        incarnation: int = 0,
        urls_of: Callable[[MemberId], Sequence[str]] = lambda _: (),
    ) -> None:
        self.self_id = self_id
        self.limits = limits
        self._incarnation = incarnation
        self._urls_of = urls_of
        self._context = context
        self._local_host = local_host

    async def dial(
        self, member_id: MemberId, membership: Membership, purpose: Purpose
    ) -> FrameConnection:
        """Connect to a member and exchange hellos.

        Raises OSError (TLS errors among them), TimeoutError or HelloRefusedError.
        """
        urls = self._urls_of(member_id)
        if not urls:
            raise HelloRefusedError(f"member {member_id:016x} is not known")
        hello = Hello(
            cluster_id=membership.cluster_id,
            member_id=self.self_id,
            protocol=PROTOCOL,
            purpose=purpose,
            incarnation=self._incarnation,
            peer_urls=self._urls_of(self.self_id),
        )
        connection, answer = await self._exchange(urls[0], hello)
        try:
            check_answer(answer, membership, member_id)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def inquire(self, url: str) -> Hello:
        """Ask whoever listens there who belongs to its cluster. Raises as `dial` does."""
        hello = Hello(protocol=PROTOCOL, purpose=Purpose.MEMBERS)
        connection, answer = await self._exchange(url, hello)
        connection.abort()
        if answer.error:
            raise HelloRefusedError(answer.error)
        return answer

    async def _exchange(self, url: str, hello: Hello) -> tuple[FrameConnection, Hello]:
        """Connect, say hello, and wait for the answer."""
        host, port = split_peer_url(url)
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        connection = FrameConnection(
            frame_bytes_max=self.limits.frame_bytes_max,
            on_frame=lambda kind, body: _take_answer(answered, kind, body),
        )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._open(connection, host, port)
                connection.send(FrameKind.HELLO, hello.SerializeToString())
                either: set[asyncio.Future[Any]] = {answered, connection.closed}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not answered.done():
                    raise ConnectionError("closed before it answered the hello")
                return connection, parse_hello(answered.result())
        except BaseException:
            connection.abort()
            raise

    async def _open(self, connection: FrameConnection, host: str, port: int) -> None:
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            host,
            port,
            ssl=self._context,
            server_hostname=host,
            local_addr=(self._local_host, 0) if self._local_host else None,
        )


def _take_answer(answered: asyncio.Future[bytes], kind: FrameKind, body: bytes) -> None:
    if kind == FrameKind.HELLO and not answered.done():
        answered.set_result(body)


class Peer:
    """One other member, as this one reaches it. `run` is its task; `send` may come any time."""

    def __init__(
        self, member_id: MemberId, membership: Membership, dialer: Dialer, events: PeerEvents
    ) -> None:
        self.member_id = member_id
        self._membership = membership
        self._dialer = dialer
        self._events = events
        self._connection: FrameConnection | None = None
        self._connected_at = 0.0
        self._pongs = 0
        self._questions: dict[int, asyncio.Future[LeaderAnswer]] = {}
        self._question_id = 0
        self._last_failure = ""
        self._random = random.Random(f"{dialer.self_id}:{member_id}")

    @property
    def connected(self) -> bool:
        """Whether a stream to this member stands."""
        return self._connection is not None

    @property
    def connected_s(self) -> float:
        """For how many seconds it has stood; 0 if there is none."""
        if self._connection is None:
            return 0.0
        return max(1e-9, asyncio.get_running_loop().time() - self._connected_at)

    def send(self, messages: Sequence[Message]) -> bool:
        """Hand messages to the stream. False if it is down or its queue full: none was sent."""
        connection = self._connection
        if connection is None or connection.queued_bytes > self._dialer.limits.peer_queue_bytes_max:
            return False
        connection.send(FrameKind.RAFT, encode_messages(messages))
        return True

    async def ask(self, question: LeaderQuestion) -> LeaderAnswer:
        """Ask this member something. Raises StoreError when the stream is down or breaks."""
        connection = self._connection
        if connection is None:
            raise errors.no_leader()
        if len(self._questions) >= QUESTIONS_MAX:
            raise errors.too_many_requests()
        self._question_id += 1
        number = self._question_id
        sent = LeaderQuestion()
        sent.CopyFrom(question)
        sent.id = number
        answer: asyncio.Future[LeaderAnswer] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        connection.send(FrameKind.QUESTION, sent.SerializeToString())
        try:
            return await answer
        finally:
            del self._questions[number]

    async def run(self) -> None:
        """Keep one stream to this member, for ever. Ends only by cancellation."""
        retry_s = RETRY_MIN_S
        ended_by_peer = False
        while True:
            try:
                connection = await self._dialer.dial(self.member_id, self._membership, Purpose.RAFT)
            except (OSError, TimeoutError, HelloRefusedError) as error:
                self._report_failure(error)
                if isinstance(error, RefusedForGoodError):
                    self._events.on_refused(self.member_id, str(error))
                if ended_by_peer and isinstance(error, ConnectionError):
                    # It closed the old stream and refuses a new one: nobody lives there any more.
                    self._events.on_gone(self.member_id)
                ended_by_peer = False
                await asyncio.sleep(retry_s * self._random.uniform(0.5, 1.0))
                retry_s = min(retry_s * 2, RETRY_MAX_S)
                continue
            retry_s = RETRY_MIN_S
            log.info("peer %016x: connected to %s", self.member_id, connection.remote)
            self._last_failure = ""
            connection.on_frame = self._on_frame
            self._connection = connection
            self._connected_at = asyncio.get_running_loop().time()
            try:
                reason = await self._watch(connection)
                ended_by_peer = reason == CLOSED
            finally:
                self._connection = None
                connection.abort()
                self._fail_questions()
                self._events.on_unreachable(self.member_id)
            log.warning("peer %016x: connection lost (%s)", self.member_id, reason)

    async def _watch(self, connection: FrameConnection) -> str:
        """Ping the peer until the connection ends or falls silent; returns why."""
        loop = asyncio.get_running_loop()
        alive_at = loop.time()
        pinged = self._pongs
        queued = 0
        while True:
            now = loop.time()
            if self._pongs >= pinged or connection.queued_bytes < queued:
                alive_at = now
            if self._pongs >= pinged:
                pinged = self._pongs + 1
                connection.send(FrameKind.PING)
            if now - alive_at > SILENCE_MAX_S:
                return f"no answer for {SILENCE_MAX_S} s"
            queued = connection.queued_bytes
            done, _ = await asyncio.wait({connection.closed}, timeout=PING_EVERY_S)
            if done:
                return CLOSED
            if loop.time() - now > SILENCE_MAX_S:
                alive_at = loop.time()  # it is this loop that stalled, not the peer

    def _on_frame(self, kind: FrameKind, body: bytes) -> None:
        match kind:
            case FrameKind.PONG:
                self._pongs += 1
            case FrameKind.ANSWER:
                answer = LeaderAnswer.FromString(body)
                waiting = self._questions.get(answer.id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
            case _:
                log.warning("peer %016x: unexpected %s frame", self.member_id, kind.name)

    def _fail_questions(self) -> None:
        for waiting in self._questions.values():
            if not waiting.done():
                waiting.set_exception(errors.leader_changed(definite=False))

    def _report_failure(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if text != self._last_failure:
            self._last_failure = text
            log.warning("peer %016x: cannot connect: %s", self.member_id, text)
