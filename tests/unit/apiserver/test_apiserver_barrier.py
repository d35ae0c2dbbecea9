"""Shared reads: a round that began before a request came must not answer it."""

import asyncio

import grpc
import pytest

from apiserver.store.barrier import ReadBarrier
from etcdclient.errors import EtcdError


class FakeRevisions:
    """Rounds that end when the test says so."""

    def __init__(self) -> None:
        self.rounds: list[asyncio.Future[int]] = []
        self.begun = asyncio.Semaphore(0)

    async def read(self) -> int:
        round_: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.rounds.append(round_)
        self.begun.release()
        return await round_


async def test_latecomers_wait_for_the_next_round() -> None:
    revisions = FakeRevisions()
    barrier = ReadBarrier(revisions.read)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(barrier.run())
        early = [tasks.create_task(barrier.revision()) for _ in range(3)]
        await revisions.begun.acquire()
        late = [tasks.create_task(barrier.revision()) for _ in range(3)]
        revisions.rounds[0].set_result(7)
        assert [await one for one in early] == [7, 7, 7]
        await revisions.begun.acquire()
        assert not any(one.done() for one in late)
        revisions.rounds[1].set_result(9)
        assert [await one for one in late] == [9, 9, 9]
        assert len(revisions.rounds) == 2
        running.cancel()


async def test_a_failed_round_fails_its_own_callers_only() -> None:
    revisions = FakeRevisions()
    barrier = ReadBarrier(revisions.read)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(barrier.run())
        first = asyncio.ensure_future(barrier.revision())
        await revisions.begun.acquire()
        second = asyncio.ensure_future(barrier.revision())
        await asyncio.sleep(0)
        error = EtcdError(grpc.StatusCode.UNAVAILABLE, "no leader", definite=True)
        revisions.rounds[0].set_exception(error)
        with pytest.raises(EtcdError):
            await first
        await revisions.begun.acquire()
        revisions.rounds[1].set_result(3)
        assert await second == 3
        running.cancel()


async def test_a_caller_that_goes_away_harms_nobody() -> None:
    revisions = FakeRevisions()
    barrier = ReadBarrier(revisions.read)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(barrier.run())
        impatient = asyncio.ensure_future(barrier.revision())
        patient = asyncio.ensure_future(barrier.revision())
        await revisions.begun.acquire()
        impatient.cancel()
        revisions.rounds[0].set_result(4)
        assert await patient == 4
        assert impatient.cancelled() or impatient.done()
        running.cancel()
