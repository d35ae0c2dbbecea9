"""The consensus seam: what the store asks of an engine, and what an engine asks of the store.

The native engine is `raftstore.node.Node`, which drives raft/, wal/, snap/ and transport/. Another
one has to offer `Engine` and drive a `StateMachine` in the same order on every member.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from etcdclient.pb.rpc_pb2 import Member
from raftstore.membership import Membership
from raftstore.pb.command_pb2 import Command, ConfChange
from raftstore.raft.types import Index, MemberId, Role

if TYPE_CHECKING:
    from raftstore.apply import Alarms, ApplyResult
    from raftstore.lease import Lessor
    from raftstore.mvcc import Store


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
    """What one turn of the loop applied, in log order. `restored`: a snapshot replaced it all."""

    applied_index: int
    results: Sequence[ApplyResult]
    restored: bool


class StateMachine(Protocol):
    """What the node drives: `raftstore.apply.Applier`, or a smaller machine in tests."""

    applied_index: Index

    @property
    def alarms(self) -> Alarms: ...
    @property
    def store(self) -> Store: ...
    @property
    def lessor(self) -> Lessor: ...
    def apply(self, index: Index, command: Command, /) -> ApplyResult: ...
    def snapshot_chunks(self) -> Iterator[bytes]: ...
    def restore(self, chunks: Iterable[bytes], /) -> None: ...
    def restore_steps(self, chunks: Iterable[bytes], /) -> Iterator[None]: ...


class Engine(Protocol):
    """What the services need of consensus, whoever provides it. Errors are StoreErrors."""

    @property
    def members(self) -> Membership:
        """The membership as applied here."""

    async def propose(self, command: Command) -> ApplyResult:
        """Replicate a command; returns once it is durable on a majority and applied here."""

    async def propose_conf_change(self, change: ConfChange) -> list[Member]:
        """Change the membership; returns the new one once it is in force here."""

    async def read_index(self) -> None:
        """Return once everything acknowledged anywhere before this call is applied here."""

    async def transfer_leadership(self, to: MemberId) -> None:
        """Hand leadership to a voter; returns once this member sees it lead."""

    async def snapshot(self) -> Index:
        """Take a snapshot now; returns its index once it is durable."""

    def status(self) -> NodeStatus:
        """Where this member stands."""

    def on_applied(self, callback: Callable[[AppliedBatch], None]) -> None:
        """Call `callback` after each turn that applied something, before anybody is answered."""
