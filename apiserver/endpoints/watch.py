"""WATCH a collection: what is there (if asked for), then every change, until someone ends it.

A stream ends when its time is up, when the client goes, when the client is too slow for the
bounded queue, or when the server stops; in each case the client resumes by resourceVersion.
Source: Kubernetes API concepts, "Efficient detection of changes", "Streaming lists".
"""

import asyncio
from typing import Final

import orjson
from aiohttp import web

from apiserver.api import errors
from apiserver.api.errors import ApiError
from apiserver.endpoints.api import Api
from apiserver.endpoints.options import CollectionOptions, parse_options
from apiserver.endpoints.presenter import Presenter, presenter_for
from apiserver.endpoints.target import Target
from apiserver.http.context import RequestContext
from apiserver.http.listener import Connection
from apiserver.http.negotiate import JSON, require
from apiserver.store.objects import StoredObject, watch_frame
from apiserver.store.watchers import Watcher

# As the original's --min-request-timeout: a watch without a timeout lives 30 to 60 minutes.
TIMEOUT_S_MIN: Final = 1800
BOOKMARK_PERIOD_S: Final = 60.0
# The last bookmark comes this long before the stream's end, so that the client can resume late.
BOOKMARK_BEFORE_END_S: Final = 2.0
CHUNK_FRAMES: Final = 500


async def watch(api: Api, ctx: RequestContext, target: Target) -> web.StreamResponse:
    """Stream events; what goes wrong after this point is told as an ERROR event."""
    media = require(ctx.accept)
    if media.content_type != JSON:
        raise errors.not_acceptable((JSON, f"{JSON};stream=watch"))
    if target.name:
        query = {**ctx.query, "fieldSelector": f"metadata.name={target.name}"}
    else:
        query = ctx.query
    options = parse_options(target.resource, query, watch=True)
    presenter = presenter_for(target.resource, media, ctx.query, api.now)
    timeout_s = options.timeout_s or TIMEOUT_S_MIN * (1 + api.chance.random())
    stream = _Stream(ctx, presenter, bookmarks=options.bookmarks, timeout_s=timeout_s)
    try:
        await stream.serve(api, target, options)
    finally:
        stream.close(api)
    return stream.response


class _Stream:
    """One watch on one connection."""

    def __init__(
        self, ctx: RequestContext, presenter: Presenter, *, bookmarks: bool, timeout_s: float
    ) -> None:
        self._ctx = ctx
        self._presenter = presenter
        self._bookmarks = bookmarks
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + timeout_s
        self._bookmark_at = self._next_bookmark()
        self._woken = asyncio.Event()
        self._watcher: Watcher | None = None
        self._timer: asyncio.TimerHandle | None = None
        assert isinstance(ctx.http.protocol, Connection)
        self._connection: Connection = ctx.http.protocol
        self.response = web.StreamResponse(
            headers={
                "Audit-Id": ctx.audit_id,
                "Cache-Control": "no-cache, private",
                "Content-Type": JSON,
            }
        )

    def _next_bookmark(self) -> float:
        now = self._loop.time()
        return min(now + BOOKMARK_PERIOD_S, max(now + 1.0, self._deadline - BOOKMARK_BEFORE_END_S))

    async def serve(self, api: Api, target: Target, options: CollectionOptions) -> None:
        """Begin the watch and follow it to its end."""
        self._connection.on_lost = self._wake
        try:
            frames = await self._begin(api, target, options)
        except ApiError as error:
            if error.status_code not in (410, 504):
                raise
            frames = [_error_frame(error)]
        writer = await self.response.prepare(self._ctx.http)
        assert writer is not None
        # The client waits for the head before any event comes.
        writer.send_headers()
        await self._write(frames)
        if self._watcher is not None:
            await self._follow(api, self._watcher)
        await self.response.write_eof()

    async def _begin(self, api: Api, target: Target, options: CollectionOptions) -> list[bytes]:
        """Start the watcher; the frames that come before its events."""
        version, matches = options.resource_version, options.matches()
        wants_initial = options.send_initial_events
        if wants_initial is None:
            wants_initial = version in ("", "0")
        if not wants_initial and version not in ("", "0"):
            self._watcher = await api.storage.watch(target.prefix, matches, version, self._wake)
            return []
        objects, at, self._watcher = await api.storage.list_and_watch(
            target.prefix, matches, version, self._wake
        )
        return self._initial_frames(objects if wants_initial else [], at, options)

    def _initial_frames(
        self, objects: list[StoredObject], at: str, options: CollectionOptions
    ) -> list[bytes]:
        frames = [self._presenter.initial(stored) for stored in objects]
        if options.send_initial_events and options.bookmarks:
            frames.append(self._presenter.bookmark(at, initial_events_end=True))
        return frames

    async def _follow(self, api: Api, watcher: Watcher) -> None:
        while True:
            self._woken.clear()
            deliveries = watcher.take()
            frame = self._presenter.frame
            await self._write([frame(type_, event) for type_, event in deliveries])
            now = self._loop.time()
            if watcher.closed == "gap":
                version = api.storage.bookmark_version()
                await self._write([_error_frame(errors.too_old_resource_version("0", version))])
            if watcher.closed or now >= self._deadline or self._connection.transport is None:
                return
            if self._woken.is_set():
                continue
            if self._bookmarks and now >= self._bookmark_at:
                await self._write([self._presenter.bookmark(api.storage.bookmark_version())])
                self._bookmark_at = self._next_bookmark()
                continue
            await self._wait(now)

    async def _wait(self, now: float) -> None:
        wake_at = min(self._deadline, self._bookmark_at) if self._bookmarks else self._deadline
        if self._timer is None or self._timer.cancelled() or self._timer.when() <= now:
            self._timer = self._loop.call_at(wake_at, self._woken.set)
        await self._woken.wait()

    def _wake(self) -> None:
        self._woken.set()
        watcher = self._watcher
        if watcher is not None and watcher.closed == "slow":
            transport = self._connection.transport
            if transport is not None:
                transport.abort()

    async def _write(self, frames: list[bytes]) -> None:
        for start in range(0, len(frames), CHUNK_FRAMES):
            await self.response.write(b"".join(frames[start : start + CHUNK_FRAMES]))

    def close(self, api: Api) -> None:
        """Let go of watcher, timer and connection."""
        self._connection.on_lost = None
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            api.storage.cacher.unwatch(self._watcher)


def _error_frame(error: ApiError) -> bytes:
    return watch_frame("ERROR", orjson.dumps(error.to_status()))
