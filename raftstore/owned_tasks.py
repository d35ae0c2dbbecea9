"""The tasks that a member runs beside its loop, each with an owner that ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class OwnedTasks:
    """Tasks in a group that outlives them. Whatever one raises goes to `on_error`."""

    def __init__(self, group: asyncio.TaskGroup, on_error: Callable[[BaseException], None]) -> None:
        self._group = group
        self._on_error = on_error
        # In order of arrival: a set of objects has an order of its own in every run.
        self._running: dict[asyncio.Task[None], None] = {}

    def spawn(self, work: Callable[[], Awaitable[object]], name: str) -> None:
        """Run this beside everything else."""
        task = self._group.create_task(self._guard(work), name=name)
        self._running[task] = None
        task.add_done_callback(self._running.pop)

    def cancel(self) -> None:
        """End what still runs; the group awaits it."""
        for task in list(self._running):
            task.cancel()

    async def _guard(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the member's state is in doubt
            self._on_error(error)
