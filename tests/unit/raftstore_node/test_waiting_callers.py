"""What becomes of proposals and reads that wait: answered, failed, definite or unknown."""

from __future__ import annotations

import asyncio

import pytest

from raftstore.config import Limits
from raftstore.errors import Code, StoreError
from raftstore.pb.command_pb2 import Command, CommandBatch
from raftstore.proposals import RETRY_S, Proposals, Waiting, encode_command_batch
from raftstore.reads import ReadRounds

TIMEOUT_S = 5.0


def proposals(limits: Limits | None = None) -> Proposals[str]:
    return Proposals(limits or Limits(), first_id=100, timeout_s=TIMEOUT_S)


def add(waiting: Proposals[str], now: float = 0.0, value: bytes = b"v") -> asyncio.Future[str]:
    command = Command()
    command.put.key, command.put.value = b"k", value
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiting.add(command, future, now)
    return future


def hand_over(waiting: Proposals[str], term: int = 1, now: float = 0.0) -> list[Waiting[str]]:
    batch = waiting.next_batch()
    waiting.handed_over(batch, term, now)
    return batch


def failure(future: asyncio.Future[str] | asyncio.Future[None]) -> tuple[str, bool]:
    error = future.exception()
    assert isinstance(error, StoreError)
    return error.text.removeprefix("etcdserver: "), error.definite


async def test_everything_that_waits_becomes_one_batch() -> None:
    waiting = proposals()
    for number in range(5):
        add(waiting, value=b"%d" % number)
    batch = hand_over(waiting)
    decoded = CommandBatch.FromString(encode_command_batch(batch))
    assert [command.put.value for command in decoded.commands] == [b"0", b"1", b"2", b"3", b"4"]
    assert [command.id for command in decoded.commands] == [101, 102, 103, 104, 105]


@pytest.mark.parametrize("size", [1, 127, 128, 20_000])
async def test_a_batch_is_the_protobuf_message_it_claims_to_be(size: int) -> None:
    waiting = proposals()
    add(waiting, value=b"x" * size)
    decoded = CommandBatch.FromString(encode_command_batch(waiting.next_batch()))
    assert len(decoded.commands[0].put.value) == size


async def test_batches_keep_within_their_bounds() -> None:
    waiting = proposals(Limits(batch_commands_max=3))
    for _ in range(4):
        add(waiting)
    assert len(hand_over(waiting)) == 3
    waiting = proposals(Limits(batch_bytes_max=1_000))
    for _ in range(3):
        add(waiting, value=b"x" * 600)
    assert len(hand_over(waiting)) == 1


async def test_the_next_batch_goes_when_the_last_has_come_back() -> None:
    waiting = proposals()
    assert not waiting.may_send(0.0, 1.0)
    first = add(waiting)
    assert waiting.may_send(0.0, 1.0), "a lone caller does not wait"
    batch = hand_over(waiting)
    second = add(waiting)
    assert not waiting.may_send(0.5, 1.0)
    waiting.applied(batch[0].command_id, "done")
    assert first.result() == "done"
    assert waiting.may_send(0.5, 1.0)
    assert not second.done()


async def test_a_batch_that_never_comes_back_does_not_block_the_others() -> None:
    waiting = proposals()
    add(waiting)
    hand_over(waiting, now=0.0)
    add(waiting, now=0.1)
    assert not waiting.may_send(0.9, 1.0)
    assert waiting.may_send(1.1, 1.0)


async def test_a_full_queue_refuses_definitely() -> None:
    waiting = proposals(Limits(waiting_proposals_max=2))
    add(waiting)
    add(waiting)
    with pytest.raises(StoreError, match="too many requests") as caught:
        add(waiting)
    assert caught.value.definite
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    waiting = proposals(Limits(waiting_proposal_bytes_max=500, batch_bytes_max=100))
    with pytest.raises(StoreError, match="too many requests"):
        add(waiting, value=b"x" * 600)


async def test_a_newer_term_ends_older_proposals_definitely_and_leaves_others() -> None:
    waiting = proposals()
    old = add(waiting)
    hand_over(waiting, term=3)
    current = add(waiting)
    hand_over(waiting, term=4)
    queued = add(waiting)
    waiting.term_applied(4, complete=True)
    assert failure(old) == ("leader changed", True)
    assert not current.done()
    assert not queued.done()


async def test_after_a_snapshot_the_outcome_is_unknown() -> None:
    waiting = proposals()
    old = add(waiting)
    hand_over(waiting, term=3)
    waiting.term_applied(4, complete=False)
    assert failure(old) == ("leader changed", False)


async def test_a_timeout_is_definite_only_for_what_never_left_the_queue() -> None:
    waiting = proposals()
    handed = add(waiting, now=1.0)
    hand_over(waiting, now=1.0)
    queued = add(waiting, now=1.0)
    waiting.expire(1.0 + TIMEOUT_S)
    assert not handed.done()
    waiting.expire(1.1 + TIMEOUT_S)
    assert failure(handed) == ("request timed out", False)
    assert failure(queued) == ("request timed out", True)
    assert len(waiting) == 0


async def test_without_a_leader_the_queue_fails_definitely_and_the_rest_is_unknown() -> None:
    waiting = proposals()
    handed = add(waiting, now=1.0)
    hand_over(waiting, now=1.0)
    queued = add(waiting, now=1.0)
    young = add(waiting, now=2.0)
    waiting.no_leader(1.5)
    text = "request timed out, possibly due to previous leader failure"
    assert failure(handed) == (text, False)
    assert failure(queued) == ("no leader", True)
    assert not young.done()


async def test_what_could_not_leave_waits_again_in_its_old_order() -> None:
    waiting = proposals()
    for number in range(3):
        add(waiting, value=b"%d" % number)
    batch = hand_over(waiting, now=0.0)
    add(waiting, value=b"3")
    waiting.not_sent([item.command_id for item in batch], now=0.0)
    assert not waiting.may_send(0.0, 1.0)
    assert waiting.may_send(RETRY_S, 1.0)
    assert [item.command_id for item in waiting.next_batch()] == [101, 102, 103, 104]


async def test_a_caller_that_gave_up_is_not_sent() -> None:
    waiting = proposals()
    add(waiting).cancel()
    add(waiting)
    assert [item.command_id for item in waiting.next_batch()] == [102]


async def test_stopping_fails_everybody() -> None:
    waiting = proposals()
    handed = add(waiting)
    hand_over(waiting)
    queued = add(waiting)
    waiting.stop()
    assert failure(handed) == ("server stopped", False)
    assert failure(queued) == ("server stopped", True)


def rounds() -> ReadRounds:
    return ReadRounds(Limits(), context_prefix=b"me", timeout_s=TIMEOUT_S, retry_s=0.3)


def read(reads: ReadRounds, now: float = 0.0) -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    reads.add(future, now)
    return future


def ask(reads: ReadRounds, now: float = 0.0) -> bytes:
    context = reads.next_context(now, has_leader=True)
    assert context is not None
    return context


async def test_a_round_serves_only_callers_that_came_before_it() -> None:
    reads = rounds()
    first = read(reads)
    context = ask(reads)
    late = read(reads)
    reads.confirmed(context, 10)
    reads.applied(9)
    assert not first.done()
    reads.applied(10)
    assert first.done()
    assert not late.done()
    second = ask(reads)
    assert second != context
    reads.confirmed(second, 10)
    reads.applied(10)
    assert late.done()


async def test_one_question_serves_all_that_wait() -> None:
    reads = rounds()
    futures = [read(reads) for _ in range(100)]
    context = ask(reads)
    assert reads.next_context(0.1, has_leader=True) is None
    reads.confirmed(context, 3)
    reads.applied(5)
    assert all(future.done() for future in futures)


async def test_an_unanswered_question_is_asked_again_and_either_answer_serves() -> None:
    reads = rounds()
    waiting = read(reads)
    first = ask(reads, 0.0)
    again = ask(reads, 0.31)
    assert again != first
    reads.confirmed(first, 1)
    reads.applied(1)
    assert waiting.done()


async def test_an_aborted_question_is_asked_again_once_a_leader_is_known() -> None:
    reads = rounds()
    read(reads)
    reads.aborted(ask(reads))
    assert reads.next_context(0.0, has_leader=False) is None
    ask(reads, 0.0)


async def test_an_answer_to_an_earlier_round_serves_nobody() -> None:
    reads = rounds()
    read(reads)
    old = ask(reads)
    reads.confirmed(old, 1)
    waiting = read(reads)
    ask(reads)
    reads.confirmed(old, 1)
    reads.applied(5)
    assert not waiting.done()


async def test_reads_fail_definitely_when_late_or_leaderless() -> None:
    reads = rounds()
    asked = read(reads, 0.0)
    context = ask(reads, 0.0)
    queued = read(reads, 1.0)
    reads.no_leader(0.5)
    assert failure(asked) == ("no leader", True)
    reads.expire(1.1 + TIMEOUT_S)
    assert failure(queued) == ("request timed out", True)
    reads.confirmed(context, 1)
    behind = read(reads, 10.0)
    reads.confirmed(ask(reads, 10.0), 1_000)
    reads.expire(10.1 + TIMEOUT_S)
    assert failure(behind) == (
        "request timed out, waiting for the applied index took too long",
        True,
    )


async def test_too_many_waiting_reads_are_refused_and_room_returns() -> None:
    reads = ReadRounds(
        Limits(waiting_reads_max=1), context_prefix=b"me", timeout_s=TIMEOUT_S, retry_s=0.3
    )
    only = read(reads)
    with pytest.raises(StoreError, match="too many requests"):
        read(reads)
    only.cancel()
    await asyncio.sleep(0)
    read(reads)
