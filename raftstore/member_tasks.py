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
from raftstore.raft.types import MemberId

if TYPE_CHECKING:
    from raftstore.apply import ApplyResult

log = logging.getLogger(__name__)

PUBLISH_RETRY_S = 0.5


async def publish_attributes(
    member_id: MemberId,
    config: NodeConfig,
    propose: Callable[[Command], Awaitable[ApplyResult]],
) -> None:
    """Make our name and client URLs known, as etcd's publish does, until it has worked."""
    while True:
        command = Command()
        command.member_attributes.member_id = member_id
        command.member_attributes.name = config.name
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
