"""The thread that waits for the disk, so that the event loop never does.

Owns one thread and the order of its jobs. A job that fails with OSError ends the process: after a
failed fsync nobody knows what the disk holds (PostgreSQL, 2018), so it is never retried.
"""

from __future__ import annotations

import abc
import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from raftstore.errors import MemberEndedError
from raftstore.raft.types import LostLogError

log = logging.getLogger(__name__)
T = TypeVar("T")

QUEUE_MAX = 1_024
"""Jobs waiting; callers keep far fewer (one journal batch, one snapshot chunk) in flight."""

Fatal = Callable[[BaseException], None]


def end_process(error: BaseException) -> None:
    """A failed disk, or a broken invariant: say so, and stop without another line of ours."""
    expected = isinstance(error, MemberEndedError | LostLogError)
    trace = None if expected else error
    log.critical("this member cannot go on and stops now: %s", error, exc_info=trace)
    logging.shutdown()
    os._exit(1)


class Worker(abc.ABC):
    """Runs jobs in order, beside the loop, and reports each on the loop that submitted it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    @abc.abstractmethod
    def submit(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        """Run `job`, then `done` on the loop. A failing job ends the process."""

    @abc.abstractmethod
    def close(self) -> None:
        """Finish what was submitted, and end. Blocks until then."""

    async def run(self, job: Callable[[], T]) -> T:
        """Run `job` and return what it returned.

        An OSError ends the process; any other exception is raised here.
        """
        finished: asyncio.Future[T] = self._loop.create_future()
        results: list[T] = []
        failures: list[Exception] = []

        def guarded() -> None:
            try:
                results.append(job())
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001 - handed to the caller below
                failures.append(error)

        def report() -> None:
            if finished.done():
                return
            if failures:
                finished.set_exception(failures[0])
            else:
                finished.set_result(results[0])

        self.submit(guarded, report)
        return await finished


class DiskWorker(Worker):
    """A worker that is a thread."""

    def __init__(self, name: str, *, on_fatal: Fatal = end_process) -> None:
        super().__init__()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], Callable[[], None]] | None] = (
            queue.SimpleQueue()
        )
        self._on_fatal = on_fatal
        self._waiting = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        assert self._waiting < QUEUE_MAX, "disk jobs pile up"
        self._waiting += 1
        self._jobs.put((job, done))

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - the process ends, whatever it was
                self._on_fatal(error)
                return
            try:
                self._loop.call_soon_threadsafe(self._report, done)
            except RuntimeError:  # the loop is closed: nobody is left to be told
                return

    def _report(self, done: Callable[[], None]) -> None:
        self._waiting -= 1
        done()
