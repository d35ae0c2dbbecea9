"""What the endpoints see of the store: reads from the cache, watches, compare-and-swap writes.

Reads of `resourceVersion=""` are linearizable: a revision confirmed by the store, then the cache
at or after it. Lists at an exact revision and continued lists come from the store itself.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from apiserver.api import errors
from apiserver.api.errors import ApiError
from apiserver.store import resource_version as rv
from apiserver.store.barrier import ReadBarrier
from apiserver.store.cacher import Cacher
from apiserver.store.compactor import Compactor
from apiserver.store.continue_token import (
    INCONSISTENT,
    ContinueToken,
    ExpiredContinueError,
    decode_continue,
)
from apiserver.store.etcd3 import Etcd3Store, read_failure
from apiserver.store.index import prefix_end
from apiserver.store.objects import StoredObject
from apiserver.store.watchers import Matches, Watcher
from etcdclient.client import EtcdClient
from etcdclient.errors import CompactedError, EtcdError
from etcdclient.pb.rpc_pb2 import RangeRequest, RangeResponse

# How long a read waits for the cache to come level before it is told to try again.
FRESHNESS_TIMEOUT_S: Final = 10.0
# As the original: how long a read waits for a resourceVersion that the store has not reached.
FUTURE_TIMEOUT_S: Final = 3.0
RANGE_KEYS: Final = 500


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Which part of a collection, how fresh, and which objects of it."""

    resource_version: str = ""
    exact: bool = False
    limit: int = 0
    continue_: str = ""
    matches: Matches | None = None


@dataclass(frozen=True, slots=True)
class ListPage:
    """Objects in key order, all of one revision; `remaining` is None where it is unknown."""

    objects: list[StoredObject]
    resource_version: str
    continue_: str = ""
    remaining: int | None = None


class Storage:
    """One API server's access to the store. `run` must be running for reads to return."""

    def __init__(self, client: EtcdClient, *, compaction_interval_s: float = 0.0) -> None:
        """With a compaction interval of 0 the store is left to be compacted by others."""
        self._client = client
        self._compactor = (
            Compactor(client, compaction_interval_s) if compaction_interval_s else None
        )
        self.cacher = Cacher(client)
        self.writes = Etcd3Store(client)
        self._barrier = ReadBarrier(client.read_revision)

    async def run(self) -> None:
        """Feed the cache and confirm revisions until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.cacher.run(), name="cacher")
            tasks.create_task(self._barrier.run(), name="read-barrier")
            if self._compactor is not None:
                tasks.create_task(self._compactor.run(), name="compactor")

    async def catch_up(self) -> None:
        """Return once the cache covers every write acknowledged before this call."""
        try:
            async with asyncio.timeout(FRESHNESS_TIMEOUT_S):
                await self.cacher.wait_for(await self._barrier.revision())
        except EtcdError as error:
            raise read_failure(error) from error
        except TimeoutError as error:
            raise _not_fresh() from error

    async def _reach(self, resource_version: str) -> None:
        """Bring the cache to where a read of `resource_version` may be answered from it."""
        if not resource_version:
            await self.catch_up()
            return
        wanted = rv.parse(resource_version)
        if not self.cacher.revision:
            raise errors.too_many_requests("storage is (re)initializing")
        if self.cacher.revision >= wanted:
            return
        try:
            async with asyncio.timeout(FUTURE_TIMEOUT_S):
                await self.cacher.wait_for(wanted)
        except TimeoutError as error:
            raise errors.too_large_resource_version(wanted, self.cacher.revision) from error

    async def get(self, key: str, resource_version: str = "") -> StoredObject | None:
        """The object at `key`: linearizable by default, else not older than the version given."""
        await self._reach(resource_version)
        return self.cacher.get(key)

    def cached(self, key: str) -> StoredObject | None:
        """The object at `key` as the cache has it now, perhaps stale: for a first attempt."""
        return self.cacher.get(key)

    async def list_(self, prefix: str, options: ListOptions) -> ListPage:
        """One page of the collection under `prefix`."""
        if options.continue_:
            return await self._continue(prefix, options, decode_continue(options.continue_))
        if options.exact:
            revision = rv.parse(options.resource_version)
            return await self._list_at(prefix, options, revision, prefix)
        await self._reach(options.resource_version)
        return self._list_cached(prefix, options, prefix)

    def _list_cached(self, prefix: str, options: ListOptions, start: str) -> ListPage:
        matches, limit = options.matches, options.limit
        version = rv.render(self.cacher.revision)
        found: list[StoredObject] = []
        if not limit:
            objects = self.cacher.scan(prefix, start)
            found = [o for o in objects if matches(o)] if matches else list(objects)
            return ListPage(found, version)
        for stored in self.cacher.scan(prefix, start):
            if matches is not None and not matches(stored):
                continue
            if len(found) == limit:
                next_start = found[-1].key + "\0"
                token = ContinueToken(self.cacher.revision, next_start[len(prefix) :])
                remaining = None if matches else self.cacher.count(prefix, next_start)
                return ListPage(found, version, token.encode(), remaining)
            found.append(stored)
        return ListPage(found, version)

    async def _continue(self, prefix: str, options: ListOptions, token: ContinueToken) -> ListPage:
        start = prefix + token.start
        if token.revision == INCONSISTENT:
            await self.catch_up()
            return self._list_cached(prefix, options, start)
        return await self._list_at(prefix, options, token.revision, start)

    async def _list_at(
        self, prefix: str, options: ListOptions, revision: int, start: str
    ) -> ListPage:
        """A page of the store's state at `revision`, read from the store."""
        matches, limit = options.matches, options.limit
        found: list[StoredObject] = []
        page_keys = limit if limit and matches is None else RANGE_KEYS
        while True:
            response = await self._range_at(prefix, start, revision, page_keys, options)
            for position, kv in enumerate(response.kvs):
                stored = StoredObject(kv.key.decode(), kv.value, kv.mod_revision)
                if matches is None or matches(stored):
                    found.append(stored)
                if limit and len(found) == limit:
                    remaining = int(response.count) - position - 1
                    if not remaining:
                        break
                    token = ContinueToken(revision, f"{stored.key}\0"[len(prefix) :])
                    known = remaining if matches is None else None
                    return ListPage(found, rv.render(revision), token.encode(), known)
            if not response.more:
                return ListPage(found, rv.render(revision))
            start = response.kvs[-1].key.decode() + "\0"

    async def _range_at(
        self, prefix: str, start: str, revision: int, limit: int, options: ListOptions
    ) -> RangeResponse:
        request = RangeRequest(
            key=start.encode(),
            range_end=prefix_end(prefix).encode(),
            revision=revision,
            limit=limit,
        )
        try:
            return await self._client.range(request)
        except CompactedError as error:
            raise _expired_list(prefix, start, options) from error
        except EtcdError as error:
            if "future revision" in error.text:
                raise errors.too_large_resource_version(revision, self.cacher.revision) from error
            raise read_failure(error) from error

    async def watch(
        self, prefix: str, matches: Matches | None, resource_version: str, wake: Callable[[], None]
    ) -> Watcher:
        """Events under `prefix` after `resource_version`, which must not be "" or "0".

        Raises `ApiError` 410 when they are no longer known.
        """
        after = rv.parse(resource_version)
        await self.cacher.wait_synced()
        watcher = self.cacher.watch(prefix, matches, after=after, wake=wake)
        if watcher is None:
            oldest = rv.render(self.cacher.oldest_resumable + 1)
            raise errors.too_old_resource_version(resource_version, oldest)
        return watcher

    async def list_and_watch(
        self, prefix: str, matches: Matches | None, resource_version: str, wake: Callable[[], None]
    ) -> tuple[list[StoredObject], str, Watcher]:
        """The state at or after `resource_version` ("" is now), its version, and what follows."""
        await self._reach(resource_version)
        await self.cacher.wait_synced()
        objects = [o for o in self.cacher.scan(prefix) if matches is None or matches(o)]
        watcher = self.cacher.watch(prefix, matches, after=None, wake=wake)
        assert watcher is not None
        return objects, rv.render(self.cacher.revision), watcher

    def bookmark_version(self) -> str:
        """The resourceVersion up to which every watcher has been offered all events."""
        return rv.render(self.cacher.revision)


def _not_fresh() -> ApiError:
    return errors.timeout("the cache did not catch up with the store in time; try again")


def _expired_list(prefix: str, start: str, options: ListOptions) -> ApiError:
    if not options.continue_:
        return errors.expired(
            "The resourceVersion for the provided list is too old to display a consistent list "
            "result. You can start a new list without the resourceVersion."
        )
    return ExpiredContinueError(ContinueToken(INCONSISTENT, start[len(prefix) :]))
