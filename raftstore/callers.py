"""Everybody who waits on this member: proposals, membership changes, reads.

Owns when what waits is handed to Raft. Group commit: everything that waits becomes one entry, and
the next batch goes when the last has come back; a lone caller does not wait for company.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from etcdclient.pb.rpc_pb2 import Member
from raftstore.config import NodeConfig
from raftstore.errors import StoreError
from raftstore.pb.command_pb2 import CommandBatch, ConfChange
from raftstore.proposals import Proposals, Waiting, encode_command_batch
from raftstore.raft.core import Raft
from raftstore.raft.messages import Message, MessageKind
from raftstore.raft.types import NO_MEMBER, EntryKind, MemberId, ProposalDropped
from raftstore.reads import ReadRounds

if TYPE_CHECKING:
    from raftstore.apply import ApplyResult

T = TypeVar("T")

CHANGES_MAX = 16
"""Membership changes waiting; Raft takes one at a time."""


class Callers:
    """The waiting callers of one member. Times are the loop's seconds."""

    def __init__(self, config: NodeConfig, member_id: MemberId, chance: random.Random) -> None:
        timeout_s = config.request_timeout_ms / 1_000
        self._patience_s = 2 * config.heartbeat_ms / 1_000
        # As etcd's idutil: the member in front, then something that no earlier run has used.
        first_id = (member_id & 0xFFFF) << 48 | chance.getrandbits(40) << 8
        self.proposals: Proposals[ApplyResult] = Proposals(
            config.limits, first_id=first_id, timeout_s=timeout_s
        )
        self.changes: Proposals[list[Member] | StoreError] = Proposals(
            dataclasses.replace(
                config.limits, batch_commands_max=1, waiting_proposals_max=CHANGES_MAX
            ),
            first_id=first_id,
            timeout_s=timeout_s,
        )
        self.reads = ReadRounds(
            config.limits,
            context_prefix=member_id.to_bytes(8, "big") + chance.randbytes(8),
            timeout_s=timeout_s,
            retry_s=config.election_ms / 1_000,
        )

    def hand_over(self, raft: Raft, now: float) -> None:
        """Give Raft what waits: reads at once, one batch of proposals at a time."""
        has_leader = raft.leader != NO_MEMBER
        context = self.reads.next_context(now, has_leader=has_leader)
        if context is not None:
            raft.read_index(context)
        if not has_leader:
            return

        def propose(batch: Sequence[Waiting[ApplyResult]]) -> None:
            raft.propose(encode_command_batch(batch))

        def change(batch: Sequence[Waiting[list[Member] | StoreError]]) -> None:
            raft.propose_conf_change(batch[0].data)

        self._hand_over(self.proposals, propose, raft, now)
        self._hand_over(self.changes, change, raft, now)

    def _hand_over(
        self,
        waiting: Proposals[T],
        propose: Callable[[Sequence[Waiting[T]]], None],
        raft: Raft,
        now: float,
    ) -> None:
        if not waiting.may_send(now, self._patience_s):
            return
        batch = waiting.next_batch()
        if not batch:
            return
        try:
            propose(batch)
        except ProposalDropped:
            waiting.give_back(batch, now)
        else:
            waiting.handed_over(batch, raft.term, now)

    def unsent(self, messages: Sequence[Message], now: float) -> None:
        """These messages never left: proposals among them surely did not happen, and wait again."""
        for message in messages:
            if message.kind != MessageKind.PROP:
                continue
            for entry in message.entries:
                if entry.kind == EntryKind.CONF_CHANGE:
                    self.changes.not_sent([ConfChange.FromString(entry.data).id], now)
                else:
                    batch = CommandBatch.FromString(entry.data)
                    self.proposals.not_sent([command.id for command in batch.commands], now)

    def term_applied(self, term: int, *, complete: bool) -> None:
        """An entry of a newer term was applied; `complete` unless a snapshot skipped some."""
        self.proposals.term_applied(term, complete=complete)
        self.changes.term_applied(term, complete=complete)

    def expire(self, now: float) -> None:
        """Fail whoever has waited longer than the request timeout."""
        for waiting in (self.proposals, self.changes, self.reads):
            waiting.expire(now)

    def no_leader(self, asked_before: float) -> None:
        """No leader has been known for long: fail whoever came before `asked_before`."""
        for waiting in (self.proposals, self.changes, self.reads):
            waiting.no_leader(asked_before)

    def stop(self) -> None:
        """This member stops: fail everybody."""
        for waiting in (self.proposals, self.changes, self.reads):
            waiting.stop()
