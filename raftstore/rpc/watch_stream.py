"""One watch stream: its watches, and what it still has to send, in order.

Everything goes through one queue, so an answer to a progress request comes after all it speaks for
(etcd API reference, WatchProgressRequest). The queue is bounded: a reader too slow for it has its
watchers rewound to what it was sent, and they catch up from history once there is room again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from etcdclient.pb.rpc_pb2 import WatchCreateRequest, WatchRequest, WatchResponse
from raftstore.errors import StoreError
from raftstore.mvcc.revision import Event, Revision
from raftstore.mvcc.store import Store
from raftstore.mvcc.watchers import Delivery, Watcher, Watchers
from raftstore.rpc import errors
from raftstore.rpc.handlers import Context
from raftstore.rpc.headers import Headers

QUEUE_BYTES_MAX = 8 << 20
"""Of events and answers on their way. Beyond it watchers pause and no more requests are read."""
MERGED_BYTES_MAX = 1 << 20
ITEM_BYTES = 64
"""What an event or an answer counts beside its keys and values."""
WATCHES_MAX = 10_000
"""Watches on one stream."""
INVALID_WATCH_ID = -1
"""Etcd's clientv3.InvalidWatchID: no watch at all, or the whole stream."""


@dataclass(slots=True)
class _Watch:
    """`quiet`: nothing was sent since a progress notification was last due."""

    watcher: Watcher
    progress_notify: bool
    fragment: bool
    paused: bool = False
    quiet: bool = True


class _Events(NamedTuple):
    watch: _Watch
    events: list[Event]
    weight: int


class WatchStream:
    """Serves one stream. Feeding it (`deliver` and its like) never waits; one task sends.

    `owners` is shared by all streams: each watcher's stream is found there. `on_unsynced` is called
    when a watcher of this stream has to catch up. `queued_bytes` is what waits to be sent.
    """

    def __init__(
        self,
        context: Context,
        watchers: Watchers,
        store: Store,
        headers: Headers,
        *,
        owners: dict[Watcher, WatchStream],
        on_unsynced: Callable[[], None],
        progress_interval_s: float,
        fragment_bytes: int,
        demands_leader: bool,
    ) -> None:
        self.demands_leader = demands_leader
        self._context = context
        self._watchers = watchers
        self._store = store
        self._headers = headers
        self._owners = owners
        self._on_unsynced = on_unsynced
        self._progress_interval_s = progress_interval_s
        self._fragment_bytes = fragment_bytes
        self._watches: dict[int, _Watch] = {}
        self._next_id = 0
        self._queue: deque[WatchResponse | _Events] = deque()
        self.queued_bytes = 0
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._progress_wanted = False
        self._ended: asyncio.Future[StoreError] = asyncio.get_running_loop().create_future()

    # -- life ----------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Until the client half-closes or leaves, or `end` is called: then its error is raised."""
        loop = asyncio.get_running_loop()
        tasks: list[asyncio.Future[Any]] = [
            loop.create_task(self._read_for_ever(), name="watch-reader"),
            loop.create_task(self._write_for_ever(), name="watch-writer"),
            loop.create_task(self._notify_for_ever(), name="watch-progress"),
        ]
        try:
            finished, _ = await asyncio.wait(
                [*tasks, self._ended], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for watch_id in list(self._watches):
                self._forget(watch_id)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if self._ended.done():
            raise self._ended.result()
        for task in tasks:
            if task in finished:
                task.result()

    def end(self, error: StoreError) -> None:
        """End the stream with this status."""
        if not self._ended.done():
            self._ended.set_result(error)

    # -- what the client asks ------------------------------------------------------------------

    async def _read_for_ever(self) -> None:
        while True:
            await self._has_room.wait()
            request = await self._context.read()
            if not isinstance(request, WatchRequest):
                return
            match request.WhichOneof("request_union"):
                case "create_request":
                    self._create(request.create_request)
                case "cancel_request":
                    self._cancel(request.cancel_request.watch_id)
                case "progress_request":
                    self._progress_wanted = True
                    self.maybe_report_progress()
                case None:
                    pass  # etcd ignores it too

    def _create(self, request: WatchCreateRequest) -> None:
        response = WatchResponse(created=True)
        self._headers.fill(response.header)
        try:
            response.watch_id = self._add(request)
        except StoreError as error:
            response.watch_id = INVALID_WATCH_ID
            response.canceled = True
            response.cancel_reason = error.text
        self._enqueue(response)

    def _add(self, request: WatchCreateRequest) -> int:
        if len(self._watches) >= WATCHES_MAX:
            raise errors.too_many_watches(WATCHES_MAX)
        while self._next_id in self._watches:
            self._next_id += 1
        watch_id = request.watch_id or self._next_id
        if watch_id in self._watches:
            raise errors.duplicate_watch_id()
        watcher = Watcher(
            watch_id,
            request.key,
            request.range_end,
            request.start_revision if request.start_revision >= 0 else 1,
            no_put=WatchCreateRequest.NOPUT in request.filters,
            no_delete=WatchCreateRequest.NODELETE in request.filters,
            prev_kv=request.prev_kv,
        )
        self._watchers.add(watcher)
        self._next_id += not request.watch_id
        self._watches[watch_id] = _Watch(watcher, request.progress_notify, request.fragment)
        self._owners[watcher] = self
        if not self._watchers.is_synced(watcher):
            self._on_unsynced()
        return watch_id

    def _cancel(self, watch_id: int) -> None:
        if watch_id not in self._watches:
            return  # etcd says nothing either
        self._forget(watch_id)
        response = WatchResponse(watch_id=watch_id, canceled=True)
        self._headers.fill(response.header)
        self._enqueue(response)
        self.maybe_report_progress()

    def _forget(self, watch_id: int) -> None:
        watcher = self._watches.pop(watch_id).watcher
        del self._owners[watcher]
        self._watchers.remove(watcher)

    # -- what the store has to say -------------------------------------------------------------

    def deliver(self, delivery: Delivery) -> None:
        """Queue events for one of our watchers; pause it if the queue is full."""
        watch = self._watches[delivery.watcher.id]
        weight = sum(map(_weight_of, delivery.events))
        if self.queued_bytes and self.queued_bytes + weight > QUEUE_BYTES_MAX:
            self._watchers.rewind(watch.watcher, delivery.events[0].record.main)
            watch.paused = True
            return
        self._enqueue(_Events(watch, delivery.events, weight))

    def cancel_compacted(self, watcher: Watcher) -> None:
        """A watcher is too late: what it should see next is compacted. The store has removed it."""
        del self._watches[watcher.id]
        del self._owners[watcher]
        response = WatchResponse(
            watch_id=watcher.id, canceled=True, compact_revision=self._store.compact_revision
        )
        self._headers.fill_member(response.header)
        self._enqueue(response)

    def maybe_report_progress(self) -> None:
        """Answer a progress request once every watcher here has been given all there is."""
        if not self._progress_wanted:
            return
        revision = self._store.revision
        for watch in self._watches.values():
            given = self._watchers.progress(watch.watcher)
            if given is None:
                return
            revision = min(revision, given)
        self._progress_wanted = False
        self._report(INVALID_WATCH_ID, revision)

    async def _notify_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._progress_interval_s)
            for watch_id, watch in self._watches.items():
                revision = self._watchers.progress(watch.watcher)
                if watch.progress_notify and watch.quiet and revision is not None:
                    self._report(watch_id, revision)
                watch.quiet = True

    def _report(self, watch_id: int, revision: Revision) -> None:
        response = WatchResponse(watch_id=watch_id)
        self._headers.fill_member(response.header)
        response.header.revision = revision
        self._enqueue(response)

    # -- sending -------------------------------------------------------------------------------

    def _enqueue(self, item: WatchResponse | _Events) -> None:
        self._queue.append(item)
        self.queued_bytes += item.weight if isinstance(item, _Events) else ITEM_BYTES
        self._filled.set()
        if self.queued_bytes > QUEUE_BYTES_MAX:
            self._has_room.clear()

    async def _write_for_ever(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                item = self._queue.popleft()
                if isinstance(item, _Events):
                    item = self._merged(item)
                    weight = item.weight
                    for response in self._responses(item):
                        await self._context.write(response)
                else:
                    weight = ITEM_BYTES
                    await self._context.write(item)
                self.queued_bytes -= weight
                self._maybe_resume()

    def _merged(self, first: _Events) -> _Events:
        """What waits for the same watch right behind goes along."""
        watch, events, weight = first
        while self._queue and weight < MERGED_BYTES_MAX:
            following = self._queue[0]
            if not isinstance(following, _Events) or following.watch is not watch:
                break
            self._queue.popleft()
            events = events + following.events
            weight += following.weight
        return _Events(watch, events, weight)

    def _responses(self, item: _Events) -> Iterator[WatchResponse]:
        watch = item.watch
        watch.quiet = False
        prev_kv = watch.watcher.prev_kv
        whole = WatchResponse(
            watch_id=watch.watcher.id,
            events=[event.to_pb(prev_kv=prev_kv) for event in item.events],
        )
        self._headers.fill(whole.header)
        if watch.fragment and whole.ByteSize() >= self._fragment_bytes:
            yield from fragments(whole, self._fragment_bytes)
        else:
            yield whole

    def _maybe_resume(self) -> None:
        if self.queued_bytes > QUEUE_BYTES_MAX // 2:
            return
        self._has_room.set()
        for watch in self._watches.values():
            if watch.paused:
                watch.paused = False
                self._watchers.resume(watch.watcher)
                self._on_unsynced()


def fragments(whole: WatchResponse, bytes_max: int) -> Iterator[WatchResponse]:
    """The response in parts below `bytes_max` (or of one event), all but the last `fragment`."""
    part = _part_of(whole)
    size = part.ByteSize()
    for event in whole.events:
        # Tag and length take at most ten bytes beside the event itself.
        weight = event.ByteSize() + 10
        if part.events and size + weight >= bytes_max:
            yield part
            part = _part_of(whole)
            size = part.ByteSize()
        part.events.append(event)
        size += weight
    part.fragment = False
    yield part


def _part_of(whole: WatchResponse) -> WatchResponse:
    part = WatchResponse(watch_id=whole.watch_id, fragment=True)
    part.header.CopyFrom(whole.header)
    return part


def _weight_of(event: Event) -> int:
    record, previous = event.record, event.previous
    weight = len(record.key) + len(record.value) + ITEM_BYTES
    return weight if previous is None else weight + len(previous.value)
