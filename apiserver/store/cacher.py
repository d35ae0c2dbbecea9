"""The cache of the whole key space, fed by one watch, and the events it gives to watchers.

Every key is watched, so every revision of the store shows up as an event and `revision` tells
exactly how far the cache has come. Reads wait until it covers what they need; they never see a
state that the store did not have. When the stream breaks the cache lags, resumes where it
stopped, and heals. When the store has compacted what is missing, it lists anew and tells every
watcher that there is a gap (410), for only the watcher can know what to do about it.
"""

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Final, Protocol

from apiserver.store.history import History
from apiserver.store.index import KeyIndex, prefix_end
from apiserver.store.objects import Event, StoredObject, UndecodableError
from apiserver.store.watchers import Matches, Watcher, Watchers
from etcdclient.errors import CompactedError, EtcdError
from etcdclient.pb.kv_pb2 import Event as StoreEvent
from etcdclient.pb.rpc_pb2 import (
    RangeRequest,
    RangeResponse,
    WatchCreateRequest,
    WatchResponse,
)

log = logging.getLogger("apiserver.cacher")

ROOT: Final = "/registry/"
PAGE_KEYS: Final = 1000
# How many revisions of the past a new replica takes from the store, so that watches resume on it.
BACKFILL_REVISIONS: Final = 4096
# The revision of a store in which nothing was ever written; no event shows it.
EMPTY_REVISION: Final = 1
BACKFILL_TIMEOUT_S: Final = 5.0
BACKOFF_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
# A stream that delivers nothing for this long although someone waits for a newer revision is
# taken for dead and opened anew.
STALL_TIMEOUT_S: Final = 1.0


class Responses(Protocol):
    """A watch that is open: responses in order, until it is closed or lost."""

    def __aiter__(self) -> AsyncIterator[WatchResponse]:
        """The responses."""

    async def close(self) -> None:
        """End the watch."""


class KeySpace(Protocol):
    """What the cacher asks of the store; `etcdclient.EtcdClient` gives it."""

    async def range(self, request: RangeRequest) -> RangeResponse:
        """Read keys, linearizable unless a revision is named."""

    def watch(self, request: WatchCreateRequest) -> Responses:
        """Open a watch."""


class StalledError(Exception):
    """The stream is silent while the store is known to be ahead."""


class Cacher:
    """Cache and watch hub of one API server. `run` owns all state and alone changes it."""

    def __init__(self, client: KeySpace) -> None:
        self._client = client
        self._index = KeyIndex()
        self._history = History()
        self._watchers = Watchers()
        # The cache equals the store at this revision; 0 before the first list.
        self.revision = 0
        self._synced = asyncio.Event()
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._ticket = count()
        # What the last failed attempt to follow the store ran into, for people to read.
        self.last_error = ""
        self._stall: asyncio.Timeout | None = None
        self._stopping = False
        self._listeners: list[Callable[[Event], None]] = []

    # -- reading ---------------------------------------------------------------------------

    @property
    def synced(self) -> bool:
        """Whether the first list is complete."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return once the first list is complete."""
        await self._synced.wait()

    def get(self, key: str) -> StoredObject | None:
        """The object at `key` in the cache."""
        return self._index.get(key)

    def scan(self, prefix: str, start: str = "") -> Iterator[StoredObject]:
        """The cached objects under `prefix` in key order from `start` on; do not await inside."""
        return self._index.scan(prefix, start)

    def count(self, prefix: str, start: str = "") -> int:
        """How many objects `scan` would yield."""
        return self._index.count(prefix, start)

    async def wait_for(self, revision: int) -> None:
        """Return once the cache has come to `revision`; the caller bounds the wait."""
        if self.revision >= revision and self.synced:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (revision, next(self._ticket), waiter))
        if self._stall is not None and self._stall.when() is None:
            self._watch_for_stall()
        await waiter

    # -- watching --------------------------------------------------------------------------

    def watch(
        self, prefix: str, matches: Matches | None, *, after: int | None, wake: Callable[[], None]
    ) -> Watcher | None:
        """Begin a watch of `prefix` with all events after revision `after` (None: from now).

        Returns None when events after `after` are no longer known: the caller says 410. The
        caller owns the watcher and must `unwatch` it.
        """
        if after is not None and after < self._history.floor:
            return None
        start = self.revision if after is None else after
        watcher = Watcher(prefix, matches, after=start, wake=wake)
        for event in self._history.since(start, prefix):
            watcher.replay(event)
        self._watchers.add(watcher)
        if self._stopping:
            watcher.close("stop")
        return watcher

    @property
    def oldest_resumable(self) -> int:
        """The oldest revision from which a watch may resume."""
        return self._history.floor

    def unwatch(self, watcher: Watcher) -> None:
        """End a watch that `watch` began."""
        watcher.close("stop")
        self._watchers.discard(watcher)

    def stop_watchers(self) -> None:
        """End every watch, now and from now on; clients resume on another replica."""
        self._stopping = True
        for watcher in self._watchers:
            watcher.close("stop")

    def on_event(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event, in order; it must be quick and not raise."""
        self._listeners.append(listener)

    # -- feeding ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the cache level with the store until cancelled."""
        failures = 0
        while True:
            try:
                if not self.synced:
                    await self._list()
                    await self._backfill()
                    self._synced.set()
                    self._wake_waiters()
                failures = 0
                await self._follow()
            except CompactedError as error:
                log.warning("cache has a gap, listing anew: %s", error)
                self._open_gap()
            except StalledError:
                log.warning("watch of the store is silent at revision %d, reopening", self.revision)
            except EtcdError as error:
                delay = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                failures += 1
                self.last_error = str(error)
                log.warning("store unreachable, next try in %.2f s: %s", delay, error)
                await asyncio.sleep(delay)

    def _open_gap(self) -> None:
        self._synced.clear()
        for watcher in self._watchers:
            watcher.close("gap")

    async def _list(self) -> None:
        """Replace the index by the store's state at one revision."""
        index = KeyIndex()
        start, revision = ROOT, 0
        while True:
            request = RangeRequest(
                key=start.encode(),
                range_end=prefix_end(ROOT).encode(),
                limit=PAGE_KEYS,
                revision=revision,
            )
            page = await self._client.range(request)
            revision = revision or page.header.revision
            for kv in page.kvs:
                current = _take_in(kv.key, kv.value, kv.mod_revision)
                if current is not None:
                    index.replace(current.key, current)
            if not page.more:
                break
            start = page.kvs[-1].key.decode() + "\0"
        assert revision >= self.revision, "the store went back in time"
        self._index = index
        self._history.reset(revision)
        self.revision = revision
        log.info("listed %d objects at revision %d", len(index), revision)

    async def _backfill(self) -> None:
        """Fill the history with the store's recent past, as far as it is still there."""
        target = self.revision
        start = max(1, target - BACKFILL_REVISIONS + 1)
        try:
            async with asyncio.timeout(BACKFILL_TIMEOUT_S):
                try:
                    await self._replay_past(start, target)
                except CompactedError as error:
                    first = error.compact_revision + 1 if error.compact_revision else target + 1
                    await self._replay_past(first, target)
        except (TimeoutError, EtcdError, StalledError) as error:
            log.info("watches resume from revision %d on only: %r", target, error)
            self._history.reset(target)

    async def _replay_past(self, start: int, target: int) -> None:
        self._history.reset(start - 1)
        if start > target or target == EMPTY_REVISION:
            return
        async with self._stream(start, prev_kv=True) as responses:
            async for response in responses:
                for event in response.events:
                    if event.kv.mod_revision <= target:
                        past = _past_event(event)
                        if past is not None:
                            self._history.append(past)
                if response.events and response.events[-1].kv.mod_revision >= target:
                    return

    async def _follow(self) -> None:
        """Apply the store's events from `revision` + 1 on; returns never, raises when it ends."""
        try:
            async with (
                asyncio.timeout(None) as self._stall,
                self._stream(self.revision + 1, prev_kv=False) as responses,
            ):
                self._watch_for_stall()
                async for response in responses:
                    for event in response.events:
                        self._apply(event)
                    if response.events:
                        self.revision = max(self.revision, response.events[-1].kv.mod_revision)
                        self._wake_waiters()
        except TimeoutError as error:
            raise StalledError from error
        finally:
            self._stall = None

    def _watch_for_stall(self) -> None:
        """Give the stream a bounded time to deliver, while and only while someone waits for it."""
        if self._stall is not None:
            waits = any(not waiter.done() for _, _, waiter in self._waiters)
            now = asyncio.get_running_loop().time()
            self._stall.reschedule(now + STALL_TIMEOUT_S if waits else None)

    @asynccontextmanager
    async def _stream(
        self, start: int, *, prev_kv: bool
    ) -> AsyncIterator[AsyncIterator[WatchResponse]]:
        """A watch of all keys from `start`; raises `CompactedError` when that is gone."""
        request = WatchCreateRequest(
            key=b"\0", range_end=b"\0", start_revision=start, prev_kv=prev_kv
        )
        stream = self._client.watch(request)
        try:
            yield _checked(stream)
        finally:
            await stream.close()

    def _apply(self, change: StoreEvent) -> None:
        if change.kv.mod_revision <= self.revision:
            return
        key = change.kv.key.decode(errors="replace")
        if not key.startswith(ROOT):
            return
        current = None
        if change.type == StoreEvent.PUT:
            current = _take_in(change.kv.key, change.kv.value, change.kv.mod_revision)
        previous = self._index.replace(key, current)
        if current is None and previous is None:
            return
        event = Event(change.kv.mod_revision, key, current, previous)
        self._history.append(event)
        self._watchers.dispatch(event)
        for listener in self._listeners:
            listener(event)

    def _wake_waiters(self) -> None:
        while self._waiters and self._waiters[0][0] <= self.revision:
            _, _, waiter = heapq.heappop(self._waiters)
            if not waiter.done():
                waiter.set_result(None)
        if self._stall is not None and self._stall.when() is not None:
            self._watch_for_stall()


async def _checked(stream: Responses) -> AsyncIterator[WatchResponse]:
    async for response in stream:
        if response.compact_revision:
            raise CompactedError(compact_revision=response.compact_revision)
        if response.canceled:
            raise StalledError
        yield response
    raise StalledError


def _take_in(key: bytes, value: bytes, revision: int) -> StoredObject | None:
    try:
        return StoredObject(key.decode(errors="replace"), value, revision)
    except UndecodableError as error:
        log.error("left out of every answer: %s", error)
        return None


def _past_event(event: StoreEvent) -> Event | None:
    key = event.kv.key.decode(errors="replace")
    if not key.startswith(ROOT):
        return None
    current = previous = None
    if event.type == StoreEvent.PUT:
        current = _take_in(event.kv.key, event.kv.value, event.kv.mod_revision)
    if event.prev_kv.mod_revision:
        previous = _take_in(event.kv.key, event.prev_kv.value, event.prev_kv.mod_revision)
    if current is None and previous is None:
        return None
    return Event(event.kv.mod_revision, key, current, previous)
