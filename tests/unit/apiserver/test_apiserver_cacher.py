"""The cache against a scripted store: events, gaps, silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import orjson

from apiserver.store.cacher import Cacher
from apiserver.store.objects import EventType
from etcdclient.errors import CompactedError
from etcdclient.pb.kv_pb2 import Event, KeyValue
from etcdclient.pb.rpc_pb2 import (
    RangeRequest,
    RangeResponse,
    ResponseHeader,
    WatchCreateRequest,
    WatchResponse,
)

PREFIX = "/registry/configmaps/a/"


class FakeStream:
    """A watch whose responses the test puts in."""

    def __init__(self, request: WatchCreateRequest) -> None:
        self.start = request.start_revision
        self.queue: asyncio.Queue[WatchResponse | Exception] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[WatchResponse]:
        while True:
            item = await self.queue.get()
            if isinstance(item, Exception):
                raise item
            yield item

    async def close(self) -> None:
        """Nothing is held."""


class FakeKeySpace:
    """A store in memory: its current state, and the streams opened on it."""

    def __init__(self, revision: int, names: dict[str, int]) -> None:
        self.revision = revision
        self.names = names
        self.streams: list[FakeStream] = []
        self.backfills = 0
        self.opened = asyncio.Semaphore(0)

    async def range(self, request: RangeRequest) -> RangeResponse:
        kvs = [_kv(name, revision) for name, revision in sorted(self.names.items())]
        header = ResponseHeader(revision=self.revision)
        return RangeResponse(header=header, kvs=kvs, count=len(kvs))

    def watch(self, request: WatchCreateRequest) -> FakeStream:
        stream = FakeStream(request)
        if request.prev_kv:
            self.backfills += 1
            stream.queue.put_nowait(CompactedError(compact_revision=self.revision))
        else:
            self.streams.append(stream)
            self.opened.release()
        return stream

    async def next_stream(self) -> FakeStream:
        """The next stream that the cacher opens to follow the store."""
        async with asyncio.timeout(10):
            await self.opened.acquire()
        return self.streams[-1]


def _kv(name: str, revision: int, create: int = 0) -> KeyValue:
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}}
    return KeyValue(
        key=f"{PREFIX}{name}".encode(),
        value=orjson.dumps(obj),
        mod_revision=revision,
        create_revision=create or revision,
    )


def _put(name: str, revision: int) -> WatchResponse:
    return WatchResponse(events=[Event(type=Event.PUT, kv=_kv(name, revision))])


def _delete(name: str, revision: int) -> WatchResponse:
    kv = KeyValue(key=f"{PREFIX}{name}".encode(), mod_revision=revision)
    return WatchResponse(events=[Event(type=Event.DELETE, kv=kv)])


def _names(cacher: Cacher) -> list[str]:
    return [stored.key.removeprefix(PREFIX) for stored in cacher.scan(PREFIX)]


async def _with_cacher(store: FakeKeySpace, check: Callable[[Cacher], AsyncIterator[None]]) -> None:
    cacher = Cacher(store)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(cacher.run())
        async for _ in check(cacher):
            pass
        running.cancel()


async def test_events_change_the_cache_and_reach_watchers() -> None:
    store = FakeKeySpace(10, {"a": 3})

    async def check(cacher: Cacher) -> AsyncIterator[None]:
        stream = await store.next_stream()
        assert (cacher.revision, stream.start, _names(cacher)) == (10, 11, ["a"])
        woken = asyncio.Event()
        watcher = cacher.watch(PREFIX, None, after=None, wake=woken.set)
        assert watcher is not None
        stream.queue.put_nowait(_put("b", 11))
        stream.queue.put_nowait(_put("a", 12))
        stream.queue.put_nowait(_delete("a", 13))
        await cacher.wait_for(13)
        assert woken.is_set()
        taken = [(type_, event.key[-1], event.revision) for type_, event in watcher.take()]
        assert taken == [
            (EventType.ADDED, "b", 11),
            (EventType.MODIFIED, "a", 12),
            (EventType.DELETED, "a", 13),
        ]
        assert _names(cacher) == ["b"]
        resumed = cacher.watch(PREFIX, None, after=12, wake=woken.set)
        assert resumed is not None
        assert [event.revision for _, event in resumed.take()] == [13]
        assert cacher.watch(PREFIX, None, after=9, wake=woken.set) is None
        yield

    await _with_cacher(store, check)


async def test_a_gap_is_told_to_watchers_and_the_cache_lists_anew() -> None:
    store = FakeKeySpace(10, {"a": 3})

    async def check(cacher: Cacher) -> AsyncIterator[None]:
        stream = await store.next_stream()
        watcher = cacher.watch(PREFIX, None, after=None, wake=lambda: None)
        assert watcher is not None
        store.revision, store.names = 50, {"c": 40}
        stream.queue.put_nowait(CompactedError(compact_revision=45))
        again = await store.next_stream()
        assert watcher.closed == "gap"
        assert again.start == 51
        assert _names(cacher) == ["c"]
        assert cacher.watch(PREFIX, None, after=20, wake=lambda: None) is None
        yield

    await _with_cacher(store, check)


async def test_what_was_seen_already_is_not_seen_twice() -> None:
    store = FakeKeySpace(10, {})

    async def check(cacher: Cacher) -> AsyncIterator[None]:
        stream = await store.next_stream()
        watcher = cacher.watch(PREFIX, None, after=None, wake=lambda: None)
        assert watcher is not None
        stream.queue.put_nowait(_put("a", 11))
        stream.queue.put_nowait(_put("a", 11))
        stream.queue.put_nowait(_put("b", 12))
        await cacher.wait_for(12)
        assert [event.revision for _, event in watcher.take()] == [11, 12]
        yield

    await _with_cacher(store, check)


async def test_keys_of_others_move_the_revision_only() -> None:
    store = FakeKeySpace(10, {})

    async def check(cacher: Cacher) -> AsyncIterator[None]:
        stream = await store.next_stream()
        kv = KeyValue(key=b"/vip/holder", value=b"cp1", mod_revision=11)
        stream.queue.put_nowait(WatchResponse(events=[Event(kv=kv)]))
        await cacher.wait_for(11)
        assert _names(cacher) == []
        yield

    await _with_cacher(store, check)


async def test_silence_while_someone_waits_reopens_the_stream() -> None:
    store = FakeKeySpace(10, {})

    async def check(cacher: Cacher) -> AsyncIterator[None]:
        await store.next_stream()
        waiting = asyncio.ensure_future(cacher.wait_for(11))
        again = await store.next_stream()
        assert again.start == 11
        again.queue.put_nowait(_put("a", 11))
        async with asyncio.timeout(10):
            await waiting
        yield

    await _with_cacher(store, check)


async def test_an_empty_store_has_no_past_to_wait_for() -> None:
    store = FakeKeySpace(1, {})

    async def check(cacher: Cacher) -> AsyncIterator[None]:
        stream = await store.next_stream()
        assert (store.backfills, stream.start, cacher.oldest_resumable) == (0, 2, 0)
        yield

    await _with_cacher(store, check)


async def test_stopping_ends_watches_present_and_future() -> None:
    store = FakeKeySpace(10, {})

    async def check(cacher: Cacher) -> AsyncIterator[None]:
        await store.next_stream()
        first = cacher.watch(PREFIX, None, after=None, wake=lambda: None)
        cacher.stop_watchers()
        second = cacher.watch(PREFIX, None, after=None, wake=lambda: None)
        assert first is not None
        assert second is not None
        assert first.closed == second.closed == "stop"
        yield

    await _with_cacher(store, check)
