"""One member of the store: the Ready loop, and what the services in front of it may ask.

Owns the order persist -> send -> apply -> answer; it stands in this module and nowhere else
(etcd-io/raft doc.go). Nothing is sent or answered before the entries it depends on are synced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from etcdclient.pb.rpc_pb2 import Member
from raftstore.config import NodeConfig
from raftstore.membership import Membership
from raftstore.pb.command_pb2 import Command, ConfChange
from raftstore.pb.peer_pb2 import LeaderAnswer, LeaderQuestion
from raftstore.raft.types import MemberId, Role

if TYPE_CHECKING:
    from raftstore.apply import ApplyResult
    from raftstore.lease.lessor import Lessor
    from raftstore.mvcc.store import Store


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """Where this member stands at this moment. `leader` is 0 when none is known."""

    member_id: int
    cluster_id: int
    leader: int
    role: Role
    term: int
    commit_index: int
    applied_index: int
    is_learner: bool
    journal_bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AppliedBatch:
    """What one turn of the loop applied, in log order. `restored`: a snapshot replaced the state."""

    applied_index: int
    results: Sequence[ApplyResult]
    restored: bool


class StateMachine(Protocol):
    """What the node drives: `raftstore.apply.Applier`, or a smaller machine in tests."""

    @property
    def store(self) -> Store: ...
    @property
    def lessor(self) -> Lessor: ...
    def apply(self, index: int, command: Command, /) -> ApplyResult: ...
    def snapshot_chunks(self) -> Iterator[bytes]: ...
    def restore(self, chunks: Iterable[bytes], /) -> None: ...


class Node:
    """One running member; `async with` starts and stops it. All methods belong to one event loop."""

    def __init__(self, config: NodeConfig, machine: StateMachine) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    @property
    def store(self) -> Store: ...
    @property
    def lessor(self) -> Lessor: ...
    @property
    def members(self) -> Membership: ...
    async def propose(self, command: Command) -> ApplyResult: ...
    async def propose_conf_change(self, change: ConfChange) -> list[Member]: ...
    async def read_index(self) -> None: ...
    async def ask_leader(self, question: LeaderQuestion) -> LeaderAnswer: ...
    def status(self) -> NodeStatus: ...
    async def transfer_leadership(self, to: MemberId) -> None: ...
    def on_applied(self, callback: Callable[[AppliedBatch], None]) -> None: ...
