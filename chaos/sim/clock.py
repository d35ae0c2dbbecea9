"""Virtual time: one scheduler for everything, and an event loop for each simulated process.

Idle time costs nothing: the clock jumps to the next event. A process that was killed never runs
again, one that is paused runs later, and each has a clock of its own, which may drift.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, cast

Callback = Callable[..., object]


class SimHandle:
    """Something to be run, as `asyncio.Handle`. `when` is in the scheduler's seconds."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context", "loop", "when")

    def __init__(
        self,
        loop: SimLoop,
        when: float,
        callback: Callback,
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> None:
        self.loop = loop
        self.when = when
        self._callback = callback
        self._args = args
        self._context = context
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def run(self) -> None:
        if self._cancelled:
            return
        if self._context is None:
            self._callback(*self._args)
        else:
            self._context.run(self._callback, *self._args)


class Scheduler:
    """All that is going to happen, in order. `now` is in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self.failure: BaseException | None = None
        """Set by whoever finds that the run must end; `run_until` raises it."""
        self._ready: deque[SimHandle] = deque()
        self._later: list[tuple[float, int, SimHandle]] = []
        self._sequence = 0

    def soon(self, handle: SimHandle) -> None:
        self._ready.append(handle)

    def at(self, handle: SimHandle) -> None:
        self._sequence += 1
        heapq.heappush(self._later, (handle.when, self._sequence, handle))

    def run_until(self, end: float) -> None:
        """Run everything up to `end`. Raises `failure`."""
        ready, later = self._ready, self._later
        running: SimLoop | None = None
        try:
            while True:
                if ready:
                    handle = ready.popleft()
                elif later and later[0][0] <= end:
                    when, _, handle = heapq.heappop(later)
                    self.now = max(self.now, when)
                else:
                    break
                loop = handle.loop
                if loop.dead or handle.cancelled():
                    continue
                if loop.paused_until > self.now:
                    handle.when = loop.paused_until
                    self.at(handle)
                    continue
                if loop is not running:
                    events._set_running_loop(cast(Any, loop))
                    running = loop
                self.events += 1
                handle.run()
                if self.failure is not None:
                    raise self.failure
            self.now = end
        finally:
            events._set_running_loop(None)

    def fail(self, error: BaseException) -> None:
        """End the run; the first failure counts."""
        if self.failure is None:
            self.failure = error


class SimLoop:
    """The event loop of one simulated process, as far as asyncio's own objects need one."""

    def __init__(self, scheduler: Scheduler, name: str, *, rate: float = 1.0) -> None:
        """`rate` is how fast this process's clock runs."""
        self.scheduler = scheduler
        self.name = name
        self.rate = rate
        self.dead = False
        self.paused_until = 0.0
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def time(self) -> float:
        return self.scheduler.now * self.rate

    def call_soon(
        self, callback: Callback, *args: Any, context: contextvars.Context | None = None
    ) -> Any:
        handle = SimHandle(self, self.scheduler.now, callback, args, context)
        if not self.dead:
            self.scheduler.soon(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(self, when: float, callback: Callback, *args: Any, context: Any = None) -> Any:
        handle = SimHandle(self, when / self.rate, callback, args, context)
        if not self.dead:
            self.scheduler.at(handle)
        return handle

    def call_later(self, delay: float, callback: Callback, *args: Any, context: Any = None) -> Any:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def after(self, delay: float, callback: Callback, *args: Any) -> SimHandle:
        """As `call_later`, but in the scheduler's seconds: for what the world does to us."""
        handle = SimHandle(self, self.scheduler.now + delay, callback, args, None)
        if not self.dead:
            self.scheduler.at(handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast(Any, self))

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Any = None
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(
            coro, loop=cast(Any, self), name=name, context=context
        )
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def run_in_executor(self, executor: object, func: Callback, *args: Any) -> Any:
        """There are no threads here: it is done before this returns."""
        future = self.create_future()
        future.set_result(func(*args))
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.dead:
            error = context.get("exception")
            text = f"{self.name}: {context.get('message')}"
            self.scheduler.fail(error if error is not None else AssertionError(text))

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.dead

    def is_closed(self) -> bool:
        return self.dead

    def kill(self) -> None:
        """Let nothing of this process run again; its coroutines are thrown away."""
        self.dead = True
        for task in list(self._tasks):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        GRAVEYARD.append(self)

    def bury(self) -> None:
        """Close what a killed process left hanging. Nothing it does then reaches the world."""
        for task in list(self._tasks):
            coroutine = task.get_coro()
            with contextlib.suppress(BaseException):  # it is dead; what it says does not count
                cast(Any, coroutine).close()
        self._tasks.clear()


GRAVEYARD: list[SimLoop] = []


def bury_the_dead() -> None:
    """Once a run is over: see `SimLoop.bury`."""
    while GRAVEYARD:
        GRAVEYARD.pop().bury()
