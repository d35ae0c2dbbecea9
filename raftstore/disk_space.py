"""A full disk is an alarm, not an end: reads go on, writes are refused until there is room again.

Owns when this member raises NOSPACE for its own disk, and how often it looks whether there is room.
The alarm stands until an operator disarms it, as in etcd; a disk still full raises it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from etcdclient.pb.rpc_pb2 import NOSPACE, AlarmRequest
from raftstore.errors import StoreError
from raftstore.mvcc.errors import no_space
from raftstore.pb.command_pb2 import Command
from raftstore.proposals import Proposals
from raftstore.raft.types import MemberId
from raftstore.snap.store import SnapshotStore
from raftstore.wal.segment import Journal

if TYPE_CHECKING:
    from raftstore.apply import Alarms, ApplyResult

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5


class DiskSpace:
    """What one member does about its disk."""

    def __init__(
        self,
        member_id: MemberId,
        journal: Journal,
        snapshots: SnapshotStore,
        alarms: Alarms,
        propose: Callable[[Command], Awaitable[ApplyResult]],
        waiting: Proposals[ApplyResult],
    ) -> None:
        """`waiting` are refused when room runs out: the reserve is for the alarm."""
        self._member_id = member_id
        self._journal = journal
        self._snapshots = snapshots
        self._alarms = alarms
        self._propose = propose
        self._waiting = waiting
        self._short = asyncio.Event()
        journal.on_short_of_room = self._on_short

    def _on_short(self) -> None:
        self._waiting.refuse_queued(no_space)
        self._short.set()

    async def watch(self) -> None:
        """Look for ever; ends by cancellation."""
        was_full = False
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._short.wait()
            self._short.clear()
            self._journal.keep_reserve()
            is_full = self._journal.short_of_room or self._snapshots.take_disk_full()
            if is_full and not self._alarms.has(NOSPACE):
                await self._raise_alarm()
            if is_full != was_full:
                was_full = is_full
                log.warning("the disk of this member %s", "is full" if is_full else "has room")

    async def _raise_alarm(self) -> None:
        command = Command()
        command.alarm.action = AlarmRequest.ACTIVATE
        command.alarm.alarm = NOSPACE
        command.alarm.memberID = self._member_id
        try:
            await self._propose(command)
        except StoreError as error:
            log.warning("the disk is full, and the alarm cannot be raised: %s", error.text)
