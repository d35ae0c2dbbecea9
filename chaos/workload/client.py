"""A Kubernetes API client that says of each request: done, surely not done, or unknown.

aiohttp sends an idempotent request (GET, PUT) again when a kept connection turns out to be closed;
a conflict on the second sending may then be with our own first. The trace counts sendings, and no
failure after two of them is definite.
"""

import asyncio
import ssl
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import aiohttp
import orjson

REQUEST_TIMEOUT_S = 2.0
_STATUS_TEXT_MAX = 200


class Outcome(Enum):
    """What a client may conclude."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's end. `body` is the decoded JSON object; `error` says why it is not DONE."""

    outcome: Outcome
    status: int | None
    body: dict[str, Any]
    error: str | None = None

    @property
    def is_conflict(self) -> bool:
        return self.status == 409


class ApiClient:
    """One connection at a time to one server; each request takes at most `timeout_s`."""

    def __init__(
        self, server: str, context: ssl.SSLContext, *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> None:
        self.server = server.rstrip("/")
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_count_sending)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, ssl=context),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            trace_configs=[trace],
            headers={"Accept": "application/json"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._session.close()

    async def get(self, path: str) -> Answer:
        """GET; a failed read is never UNKNOWN to the cluster, but is told the same way."""
        return await self._request("GET", path, None)

    async def post(self, path: str, body: dict[str, Any]) -> Answer:
        return await self._request("POST", path, body)

    async def put(self, path: str, body: dict[str, Any]) -> Answer:
        return await self._request("PUT", path, body)

    async def delete(self, path: str) -> Answer:
        return await self._request("DELETE", path, None)

    async def _request(self, method: str, path: str, body: dict[str, Any] | None) -> Answer:
        sendings = SimpleNamespace(count=0)
        data = None if body is None else orjson.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, self.server + path, data=data, headers=headers, trace_request_ctx=sendings
            ) as response:
                content = await response.read()
                return judge_response(response.status, content, sendings=sendings.count)
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            text = f"{type(error).__name__}: {error}".removesuffix(": ")
            return judge_failure(text, sendings=sendings.count)


def judge_response(status: int, content: bytes, *, sendings: int) -> Answer:
    """What a whole response says of a request that was sent so many times."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    if 200 <= status < 300:
        return Answer(Outcome.DONE, status, body)
    message = str(body.get("message") or content[:_STATUS_TEXT_MAX].decode(errors="replace"))
    error = f"HTTP {status}: {message[:_STATUS_TEXT_MAX]}"
    # 408 is a server that gave up waiting; 5xx says nothing of what was done before.
    definite = 400 <= status < 500 and status != 408 and sendings <= 1
    return Answer(Outcome.FAILED if definite else Outcome.UNKNOWN, status, body, error)


def judge_failure(error: str, *, sendings: int) -> Answer:
    """What the lack of a response says: nothing, unless nothing was sent."""
    return Answer(Outcome.UNKNOWN if sendings else Outcome.FAILED, None, {}, error)


async def _count_sending(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    context.trace_request_ctx.count += 1
