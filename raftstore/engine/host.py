"""What a member needs of the machine that it runs on: files, disk threads, a network, chance.

The edge at which a whole member, `raftstore.node.Node`, is set into a simulation. Time comes from
the running event loop.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Sequence
from typing import Protocol

from raftstore.config import NodeConfig
from raftstore.membership import Membership
from raftstore.pb.peer_pb2 import LeaderAnswer, LeaderQuestion
from raftstore.raft.messages import Message
from raftstore.raft.types import MemberId
from raftstore.snap.store import SnapshotStore
from raftstore.transport.identity import PeerContexts
from raftstore.transport.inquiry import Report, ask_members
from raftstore.transport.network import Network, NetworkEvents
from raftstore.wal.files import SYSTEM_FILES, Files
from raftstore.wal.worker import DiskWorker, Fatal, Worker


class Peers(Protocol):
    """The other members, as one can reach them. See `raftstore.transport.network.Network`."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def follow_membership(self) -> None: ...
    def send(self, messages: Sequence[Message]) -> list[Message]: ...
    async def ask(self, member_id: MemberId, question: LeaderQuestion) -> LeaderAnswer: ...
    def connected_members(self) -> int: ...
    def connected_s(self, member_id: MemberId) -> float: ...


class Connect(Protocol):
    """Makes the network of one member. The task group runs whatever it starts."""

    def __call__(
        self,
        *,
        self_id: MemberId,
        membership: Membership,
        events: NetworkEvents,
        snapshots: SnapshotStore,
        worker: Worker,
        tasks: asyncio.TaskGroup,
    ) -> Peers: ...


class Host(Protocol):
    """A machine. `chance` need not be secret, but no two runs of a member may draw the same."""

    @property
    def files(self) -> Files: ...
    @property
    def chance(self) -> random.Random: ...

    def worker(self, name: str, on_fatal: Fatal) -> Worker:
        """Something that runs blocking jobs in order."""

    def network(self, config: NodeConfig) -> Connect:
        """Read what the network needs of files. Raises ConfigError."""

    async def ask_members(self, config: NodeConfig) -> Sequence[Report]:
        """What the other members say of the cluster. See `raftstore.transport.inquiry`."""


class SystemHost:
    """The machine that this process runs on."""

    files = SYSTEM_FILES
    chance: random.Random = random.SystemRandom()

    def worker(self, name: str, on_fatal: Fatal) -> Worker:
        return DiskWorker(name, on_fatal=on_fatal)

    def network(self, config: NodeConfig) -> Connect:
        return functools.partial(Network, config=config, tls=PeerContexts(config.peer_tls))

    async def ask_members(self, config: NodeConfig) -> Sequence[Report]:
        return await ask_members(config)


SYSTEM_HOST: Host = SystemHost()
