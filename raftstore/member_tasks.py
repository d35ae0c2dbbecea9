"""What a member does unasked: make itself known; as leader, end leases and answer about them.

Owns no state: the lessor and the log have it. A proposal that is lost is made again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from raftstore.config import NodeConfig
from raftstore.errors import StoreError
from raftstore.lease import Lessor
from raftstore.pb.command_pb2 import Command, CommandBatch
from raftstore.pb.peer_pb2 import LeaderAnswer, LeaderQuestion
from raftstore.raft.core import Raft
from raftstore.raft.types import NO_MEMBER, MemberId, Role

if TYPE_CHECKING:
    from raftstore.apply import ApplyResult

log = logging.getLogger(__name__)

PUBLISH_RETRY_S = 0.5


async def tick_for_ever(config: NodeConfig, on_tick: Callable[[float], None]) -> None:
    """Call `on_tick` with the loop's time once every heartbeat interval."""
    loop = asyncio.get_running_loop()
    interval_s = config.heartbeat_ms / 1_000
    due = loop.time() + interval_s
    while True:
        await asyncio.sleep(max(0.0, due - loop.time()))
        now = loop.time()
        # A loop that stalled has missed ticks; to make them up would depose a healthy leader.
        due = max(due + interval_s, now + interval_s / 2)
        on_tick(now)


def may_campaign_early(raft: Raft, connected_members: int) -> bool:
    """When a whole cluster starts, its first member need not wait for a timeout.

    Only a hint: the pre-vote asks the others, and they refuse if they hear a leader.
    """
    voters = raft.conf_state.voters
    return (
        raft.leader == NO_MEMBER
        and raft.role in (Role.FOLLOWER, Role.PRE_CANDIDATE)
        and voters[:1] == (raft.id,)
        and 2 * (1 + connected_members) > len(voters)
    )


async def publish_attributes(
    member_id: MemberId,
    incarnation: int,
    config: NodeConfig,
    propose: Callable[[Command], Awaitable[ApplyResult]],
) -> None:
    """Make our name and client URLs known, as etcd's publish does, until it has worked."""
    while True:
        command = Command()
        command.member_attributes.member_id = member_id
        command.member_attributes.name = config.name
        command.member_attributes.incarnation = incarnation
        command.member_attributes.client_urls.extend(config.advertise_client_urls)
        try:
            await propose(command)
        except StoreError as error:
            log.info("publishing this member's attributes: %s; trying again", error.text)
            await asyncio.sleep(PUBLISH_RETRY_S)
        else:
            return


def propose_lease_ends(lessor: Lessor, propose: Callable[[bytes], None]) -> None:
    """Propose as one batch what the leader finds due: revocations and checkpoints.

    `propose` must append it in the leader's own term or not at all.
    """
    tick = lessor.tick(0)
    batch = CommandBatch()
    for lease_id in tick.expired:
        batch.commands.add().lease_revoke.ID = lease_id
    if tick.checkpoints:
        recorded = batch.commands.add().lease_checkpoint.checkpoints
        for checkpoint in tick.checkpoints:
            recorded.add(ID=checkpoint.lease_id, remaining_TTL=checkpoint.remaining_ttl_s)
    if batch.commands:
        propose(batch.SerializeToString())


def answer_question(lessor: Lessor, question: LeaderQuestion) -> LeaderAnswer:
    """Renew a lease or tell its time. Raises StoreError if it does not exist."""
    answer = LeaderAnswer(id=question.id)
    if question.WhichOneof("question") == "lease_keep_alive":
        answer.ttl = lessor.keep_alive(question.lease_keep_alive)
    else:
        ttl = lessor.time_to_live(question.lease_time_to_live)
        answer.ttl, answer.granted_ttl = ttl.ttl_s, ttl.granted_ttl_s
    return answer
