"""Names that something is to be done about, each when it is due, one at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from apiserver.api.errors import ApiError

log = logging.getLogger("apiserver.due")

# Bounds what a flood of events can make us remember; beyond it a full scan finds the rest.
NAMES_MAX = 100_000
RETRY_S = 1.0


class DueNames:
    """A set of names with due times on the loop's clock; `run` owns and empties it."""

    def __init__(self, work: Callable[[str], Awaitable[bool]]) -> None:
        """`work(name)` returns whether the name is done with; otherwise it is tried again."""
        self._work = work
        self._due: dict[str, float] = {}
        self._changed = asyncio.Event()

    def add(self, name: str, delay_s: float = 0.0) -> None:
        """Have `name` worked on after `delay_s`, or sooner if it is due sooner already."""
        when = asyncio.get_running_loop().time() + delay_s
        known = self._due.get(name)
        if known is None and len(self._due) >= NAMES_MAX:
            return
        if known is None or when < known:
            self._due[name] = when
            self._changed.set()

    async def run(self) -> None:
        """Work on names as they fall due until cancelled; failures are logged and tried again."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._due:
                self._changed.clear()
                await self._changed.wait()
            name = min(self._due, key=self._due.__getitem__)
            delay_s = self._due[name] - loop.time()
            if delay_s > 0:
                self._changed.clear()
                try:
                    async with asyncio.timeout(delay_s):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                continue
            del self._due[name]
            if not await self._done(name):
                self.add(name, RETRY_S)

    async def _done(self, name: str) -> bool:
        try:
            return await self._work(name)
        except ApiError as error:
            log.info("%s: %s", name, error)
            return False
