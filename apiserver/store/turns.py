"""Writers of one key take turns, so that those of one server do not make each other lose races.

Only a matter of speed: what keeps writes safe is the compare-and-swap, which writers elsewhere
respect too. Keys that nobody writes at the moment cost nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from apiserver.store.objects import StoredObject


class Turn:
    """The queue for one key, and what the last of its writers left there."""

    __slots__ = ("latest", "lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        # Newer than the cache may be yet; None when nothing is known to be newer.
        self.latest: StoredObject | None = None

    def newest(self, cached: StoredObject | None) -> StoredObject | None:
        """The newer of what the cache has and what the last writer left."""
        latest = self.latest
        if cached is None or (latest is not None and latest.mod_revision > cached.mod_revision):
            return latest
        return cached


class Turns:
    """The queues of all keys being written."""

    def __init__(self) -> None:
        self._by_key: dict[str, Turn] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[Turn]:
        """Hold the turn of `key`; first come, first served."""
        turn = self._by_key.get(key)
        if turn is None:
            turn = self._by_key[key] = Turn()
        turn.users += 1
        try:
            async with turn.lock:
                yield turn
        finally:
            turn.users -= 1
            if not turn.users:
                del self._by_key[key]
