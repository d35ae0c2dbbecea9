"""Linearizable reads: one confirmed revision, shared by all requests that wait for it.

A round that began before a request came must not answer it, or the request could miss a write
acknowledged in between (Raft §6.4). So requests that arrive during a round wait for the next.
"""

import asyncio
from collections.abc import Awaitable, Callable

from etcdclient.errors import EtcdError


class ReadBarrier:
    """Coalesces callers of `revision()` into rounds of `read_revision`; owned by `run`."""

    def __init__(self, read_revision: Callable[[], Awaitable[int]]) -> None:
        self._read_revision = read_revision
        self._waiting: list[asyncio.Future[int]] = []
        self._asked = asyncio.Event()

    async def revision(self) -> int:
        """A revision that covers every write acknowledged before this call.

        Raises `EtcdError` when the store could not confirm one.
        """
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._asked.set()
        return await waiter

    async def run(self) -> None:
        """Serve rounds until cancelled."""
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                round_, self._waiting = self._waiting, []
                await self._round(round_)
        finally:
            for waiter in self._waiting:
                waiter.cancel()

    async def _round(self, waiters: list[asyncio.Future[int]]) -> None:
        try:
            revision = await self._read_revision()
        except EtcdError as error:
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(error)
            return
        except asyncio.CancelledError:
            for waiter in waiters:
                waiter.cancel()
            raise
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(revision)
