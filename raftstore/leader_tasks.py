"""What only the leader may do or say: ending leases, answering questions about them.

Owns no state: the lessor has it. Proposals made here have no caller; what is lost is asked again.
"""

from __future__ import annotations

from collections.abc import Callable

from raftstore.lease import Lessor
from raftstore.pb.command_pb2 import Command
from raftstore.pb.peer_pb2 import LeaderAnswer, LeaderQuestion


def tick_leases(lessor: Lessor, elapsed_ms: int, propose: Callable[[Command], None]) -> None:
    """Let time pass for leases; propose what has expired, and checkpoints (leader only)."""
    tick = lessor.tick(elapsed_ms)
    for lease_id in tick.expired:
        command = Command()
        command.lease_revoke.ID = lease_id
        propose(command)
    if tick.checkpoints:
        command = Command()
        for checkpoint in tick.checkpoints:
            command.lease_checkpoint.checkpoints.add(
                ID=checkpoint.lease_id, remaining_TTL=checkpoint.remaining_ttl_s
            )
        propose(command)


def answer_question(lessor: Lessor, question: LeaderQuestion) -> LeaderAnswer:
    """Renew a lease or tell its time. Raises StoreError if it does not exist."""
    answer = LeaderAnswer(id=question.id)
    if question.WhichOneof("question") == "lease_keep_alive":
        answer.ttl = lessor.keep_alive(question.lease_keep_alive)
    else:
        ttl = lessor.time_to_live(question.lease_time_to_live)
        answer.ttl, answer.granted_ttl = ttl.ttl_s, ttl.granted_ttl_s
    return answer
