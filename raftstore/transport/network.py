"""The network as one member sees it: messages to members go out, messages for this one come in.

Owns the listening sockets, one `Peer` for each other member, and the tasks that run them. Delivery
is best effort: whatever cannot go at once is dropped and reported, as Raft expects.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Protocol

from raftstore import errors
from raftstore.config import NodeConfig, split_peer_url
from raftstore.membership import Membership
from raftstore.pb.peer_pb2 import LeaderAnswer, LeaderQuestion
from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.types import MemberId
from raftstore.snap.store import SnapshotStore
from raftstore.transport.hello import HelloRefusedError
from raftstore.transport.identity import PeerContexts
from raftstore.transport.peer import Dialer, Peer
from raftstore.transport.server import PeerInbox, PeerServer
from raftstore.transport.snapshot_stream import TransferError, send_snapshot
from raftstore.transport.wire import Purpose
from raftstore.wal.worker import Worker
from tlsedge.listener import TlsListener

log = logging.getLogger(__name__)

LISTEN_BACKLOG = 64
STRANGERS_MAX = 8
"""Members that called before our log names them; we answer only so many."""


class NetworkEvents(PeerInbox, Protocol):
    """What the network reports to the node."""

    def on_unreachable(self, member_id: MemberId) -> None: ...
    def on_gone(self, member_id: MemberId) -> None: ...
    def on_refused(self, member_id: MemberId, reason: str) -> None: ...
    def on_snapshot_sent(self, member_id: MemberId, *, ok: bool) -> None: ...


class ListenError(Exception):
    """A peer address cannot be listened on. The text names the remedy."""


class Network:
    """Peers of one member. `start` listens and dials; `stop` ends all; `send` never blocks."""

    def __init__(
        self,
        *,
        config: NodeConfig,
        tls: PeerContexts,
        self_id: MemberId,
        membership: Membership,
        events: NetworkEvents,
        snapshots: SnapshotStore,
        worker: Worker,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._config = config
        self._self_id = self_id
        self._membership = membership
        self._events = events
        self._snapshots = snapshots
        self._worker = worker
        self._tasks = tasks
        self._dialer = Dialer(
            self_id=self_id,
            context=tls.client,
            local_host=local_host(config),
            limits=config.limits,
            incarnation=events.incarnation,
            urls_of=self._urls_of,
        )
        self._server_context = tls.server
        self._server = PeerServer(
            self_id=self_id,
            membership=membership,
            inbox=events,
            snapshots=snapshots,
            worker=worker,
            limits=config.limits,
            tasks=tasks,
            on_stranger=self._on_stranger,
        )
        self._strangers: dict[MemberId, tuple[str, ...]] = {}
        self._listeners: list[TlsListener] = []
        self._peers: dict[MemberId, tuple[Peer, tuple[str, ...], asyncio.Task[None]]] = {}
        self._owned: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen for peers and begin to dial them. Raises ListenError."""
        for url in self._config.listen_peer_urls:
            host, port = split_peer_url(url)
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                listening = socket.create_server((host, port), family=family)
            except OSError as error:
                raise ListenError(
                    f"cannot listen for peers on {host}:{port}: {error.strerror or error}; "
                    "stop what uses the port, or change --listen-peer-urls"
                ) from error
            self._listeners.append(
                TlsListener(
                    listening, self._server_context, self._server.accept, backlog=LISTEN_BACKLOG
                )
            )
        self._owned.add(self._tasks.create_task(self._server.sweep(), name="peer-sweep"))
        self.follow_membership()

    def follow_membership(self) -> None:
        """Dial members that are new or moved, forget those that are gone."""
        for member_id in list(self._strangers):
            if self._membership.get(member_id) or self._membership.is_removed(member_id):
                del self._strangers[member_id]
        wanted = self._strangers | {
            MemberId(member.ID): tuple(member.peerURLs)
            for member in self._membership.all()
            if self._self_id != member.ID
        }
        for member_id, (_, urls, task) in list(self._peers.items()):
            if wanted.get(member_id) != urls:
                task.cancel()
                del self._peers[member_id]
        for member_id, urls in wanted.items():
            if member_id not in self._peers:
                peer = Peer(member_id, self._membership, self._dialer, self._events)
                task = self._tasks.create_task(peer.run(), name=f"peer-{member_id:016x}")
                self._peers[member_id] = (peer, urls, task)

    def send(self, messages: Sequence[Message]) -> list[Message]:
        """Send what can go now; the rest is reported as unreachable, and returned.

        What is returned surely never left this member. Order per member is kept.
        """
        unsent: list[Message] = []
        by_member: dict[MemberId, list[Message]] = {}
        for message in messages:
            if message.kind == MessageKind.SNAP:
                self._start_snapshot(message)
            else:
                by_member.setdefault(message.to, []).append(message)
        for member_id, batch in by_member.items():
            known = self._peers.get(member_id)
            if known is None or not known[0].send(batch):
                self._events.on_unreachable(member_id)
                unsent += batch
        return unsent

    async def ask(self, member_id: MemberId, question: LeaderQuestion) -> LeaderAnswer:
        """Ask a member something. Raises StoreError if it cannot be reached."""
        known = self._peers.get(member_id)
        if known is None:
            raise errors.no_leader()
        return await known[0].ask(question)

    def connected_s(self, member_id: MemberId) -> float:
        """For how many seconds there has been a stream to that member; 0 if there is none."""
        known = self._peers.get(member_id)
        return 0.0 if known is None else known[0].connected_s

    def _on_stranger(self, member_id: MemberId, urls: Sequence[str]) -> None:
        """A member that our log does not name yet called: it needs our answers to bring it."""
        if member_id in self._strangers or len(self._strangers) < STRANGERS_MAX:
            log.info("peer %016x called before our log names it", member_id)
            self._strangers[member_id] = tuple(urls)
            self.follow_membership()

    def _urls_of(self, member_id: MemberId) -> Sequence[str]:
        member = self._membership.get(member_id)
        if member is not None:
            return member.peerURLs
        if member_id == self._self_id:
            return self._config.initial_cluster[self._config.name]
        return self._strangers.get(member_id, ())

    def connected_members(self) -> int:
        """How many other members this one has a stream to."""
        return sum(peer.connected for peer, _, _ in self._peers.values())

    def _start_snapshot(self, message: Message) -> None:
        name = f"snapshot-to-{message.to:016x}"
        task = self._tasks.create_task(self._send_snapshot(message), name=name)
        self._owned.add(task)
        task.add_done_callback(self._owned.discard)

    async def _send_snapshot(self, message: Message) -> None:
        assert message.snapshot is not None
        ok = False
        try:
            connection = await self._dialer.dial(message.to, self._membership, Purpose.SNAPSHOT)
            try:
                await send_snapshot(connection, message, self._snapshots, self._worker)
            finally:
                connection.abort()
            ok = True
            log.info("snapshot %d sent to %016x", message.snapshot.index, message.to)
        except (OSError, TimeoutError, HelloRefusedError, TransferError) as error:
            log.warning("snapshot to %016x failed: %s", message.to, error or type(error).__name__)
        finally:
            self._events.on_snapshot_sent(message.to, ok=ok)

    async def stop(self) -> None:
        """Listen no longer, end every connection and task."""
        for listener in self._listeners:
            await listener.stop()
        for _, _, task in self._peers.values():
            task.cancel()
        for task in self._owned:
            task.cancel()
        self._peers.clear()
        self._server.close()


def local_host(config: NodeConfig) -> str | None:
    """Where outgoing connections leave from: the advertised peer host, if so configured."""
    if not config.set_member_localaddr:
        return None
    return split_peer_url(config.initial_cluster[config.name][0])[0]
