"""etcd's Watch service: which streams there are, and how events reach them.

Owns the watchers' feeding: live events from apply, past ones from history in small steps. What one
stream sends, and in which order, is `watch_stream`. Source: etcd v3rpc/watch.go, interceptor.go.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Protocol

from etcdclient.pb.rpc_pb2 import WatchRequest, WatchResponse
from raftstore.engine.protocol import AppliedBatch
from raftstore.mvcc.watchers import Delivery, Watcher, Watchers
from raftstore.rpc.errors import no_leader_known
from raftstore.rpc.handlers import Context, Handler, stream
from raftstore.rpc.headers import Headers, Speaker
from raftstore.rpc.watch_stream import WatchStream

PROGRESS_INTERVAL_S = 600.0
"""Etcd's default of --watch-progress-notify-interval."""
NO_LEADER_CHECKS_MAX = 3
"""After so many election timeouts without a leader, streams that demand one are ended."""


class Source(Speaker, Protocol):
    """Where events come from: `raftstore.node.Node`."""

    def on_applied(self, callback: Callable[[AppliedBatch], None], /) -> None: ...


class WatchService:
    """All watch streams of one member. `run` must run while streams are served.

    `chance` spreads progress notifications; `fragment_bytes` is how large a response may be to a
    client that takes fragments.
    """

    def __init__(
        self,
        node: Source,
        headers: Headers,
        *,
        chance: random.Random,
        election_ms: int,
        progress_interval_s: float = PROGRESS_INTERVAL_S,
        fragment_bytes: int,
    ) -> None:
        self._node = node
        self._headers = headers
        self._chance = chance
        self._election_s = election_ms / 1_000
        self._progress_interval_s = progress_interval_s
        self._fragment_bytes = fragment_bytes
        self._watchers = Watchers(node.store)
        self._streams: set[WatchStream] = set()
        self._stream_of: dict[Watcher, WatchStream] = {}
        self._unsynced = asyncio.Event()
        node.on_applied(self._on_applied)

    @property
    def queued_bytes(self) -> int:
        """What waits to be sent on all streams; each holds at most QUEUE_BYTES_MAX of events."""
        return sum(served.queued_bytes for served in self._streams)

    def handlers(self) -> dict[str, Handler]:
        """By full path."""
        return {"/etcdserverpb.Watch/Watch": stream(self.watch, WatchRequest, WatchResponse)}

    async def watch(self, context: Context) -> None:
        """Serve one stream until either side ends it."""
        demands_leader = _demands_leader(context)
        if demands_leader and not self._node.status().leader:
            raise no_leader_known()
        # Etcd spreads these by a tenth, so that not all streams speak at once.
        interval_s = self._progress_interval_s * (1 + self._chance.uniform(0, 0.1))
        served = WatchStream(
            context,
            self._watchers,
            self._node.store,
            self._headers,
            owners=self._stream_of,
            on_unsynced=self._unsynced.set,
            progress_interval_s=interval_s,
            fragment_bytes=self._fragment_bytes,
            demands_leader=demands_leader,
        )
        self._streams.add(served)
        try:
            await served.serve()
        finally:
            self._streams.discard(served)

    async def run(self) -> None:
        """Bring lagging watchers forward, and watch over the leader, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sync_for_ever(), name="watch-sync")
            tasks.create_task(self._watch_over_leader(), name="watch-leader")

    def _on_applied(self, batch: AppliedBatch) -> None:
        if batch.restored:
            self._watchers.on_restored()
            self._unsynced.set()
        events = list(chain.from_iterable(result.events for result in batch.results))
        if events:
            self._deliver(self._watchers.notify(events))

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            self._stream_of[delivery.watcher].deliver(delivery)

    async def _sync_for_ever(self) -> None:
        while True:
            await self._unsynced.wait()
            self._unsynced.clear()
            while self._watchers.has_unsynced:
                step = self._watchers.sync()
                self._deliver(step.deliveries)
                for watcher in step.compacted:
                    self._stream_of[watcher].cancel_compacted(watcher)
                await asyncio.sleep(0)
            for served in self._streams:
                served.maybe_report_progress()

    async def _watch_over_leader(self) -> None:
        missed = 0
        while True:
            await asyncio.sleep(self._election_s)
            missed = 0 if self._node.status().leader else missed + 1
            if missed >= NO_LEADER_CHECKS_MAX:
                for served in self._streams:
                    if served.demands_leader:
                        served.end(no_leader_known())


def _demands_leader(context: Context) -> bool:
    metadata: Mapping[str, object] = dict(context.invocation_metadata() or ())
    return metadata.get("hasleader") == "true"
