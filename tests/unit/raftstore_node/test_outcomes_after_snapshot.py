"""A snapshot that skips entries hides what became of the proposals in them, now and later."""

from __future__ import annotations

import asyncio

from raftstore.config import Limits
from raftstore.errors import StoreError
from raftstore.pb.command_pb2 import Command
from raftstore.proposals import Proposals


def handed_over(waiting: Proposals[str], term: int) -> asyncio.Future[str]:
    command = Command()
    command.put.key, command.put.value = b"k", b"v"
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiting.add(command, future, 0.0)
    waiting.handed_over(waiting.next_batch(), term, 0.0)
    return future


async def test_a_proposal_of_the_term_of_the_snapshot_never_becomes_definite() -> None:
    """It may stand in the snapshot: a later term must not be taken for proof that it failed."""
    waiting: Proposals[str] = Proposals(Limits(), first_id=1, timeout_s=5.0)
    skipped = handed_over(waiting, term=3)
    waiting.term_applied(3, complete=False)
    waiting.term_applied(4, complete=True)
    error = skipped.exception()
    assert isinstance(error, StoreError)
    assert not error.definite


async def test_a_proposal_of_a_term_after_the_snapshot_still_waits() -> None:
    waiting: Proposals[str] = Proposals(Limits(), first_id=1, timeout_s=5.0)
    later = handed_over(waiting, term=4)
    waiting.term_applied(3, complete=False)
    assert not later.done()
