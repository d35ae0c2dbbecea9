"""Who leads, as far as this member knows, and whoever waits for that to change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from raftstore import errors
from raftstore.config import NodeConfig
from raftstore.raft.core import Raft
from raftstore.raft.types import NO_MEMBER, MemberId


class LeaderWatch:
    """The leader of the moment, 0 if none is known. Belongs to one loop."""

    def __init__(self) -> None:
        self.leader = NO_MEMBER
        # In order of arrival: a set of objects has an order of its own in every run.
        self._waiters: dict[asyncio.Future[None], None] = {}

    def saw(self, leader: MemberId) -> None:
        """Leader or role have changed: wake whoever waits."""
        self.leader = leader
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def change(self) -> None:
        """Return at the next change, be it to nobody."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            await waiter
        finally:
            del self._waiters[waiter]

    async def change_within(self, timeout_s: float) -> None:
        """Return at the next change, or when the time is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.change()


async def transfer(
    watch: LeaderWatch, raft: Raft, config: NodeConfig, to: MemberId, wake: Callable[[], None]
) -> None:
    """Hand leadership to voter `to`; returns once it is seen to lead. Raises StoreError."""
    loop = asyncio.get_running_loop()
    if to not in raft.conf_state.voters:
        raise errors.bad_leader_transferee()
    if watch.leader == NO_MEMBER:
        raise errors.no_leader()
    deadline = loop.time() + 2 * config.election_ms / 1_000
    while watch.leader != to:
        if loop.time() > deadline:
            raise errors.timed_out_leader_transfer()
        raft.transfer_leadership(to)  # the request itself may get lost: ask again
        wake()
        await watch.change_within(2 * config.heartbeat_ms / 1_000)
