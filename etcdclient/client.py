"""The one asynchronous client of the etcd v3 API: endpoints in order, failover, retries.

Reads, and writes that surely did not happen, are tried again, elsewhere first, until the timeout. A
write that may have happened is never sent twice: its caller gets an EtcdError that is not definite.
Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

import grpc
from google.protobuf.message import Message

from etcdclient import errors, rpcs
from etcdclient.connection import Connection
from etcdclient.endpoints import Endpoints
from etcdclient.errors import EtcdError, Kind
from etcdclient.lease import LeaseKeeper, keep_alive_once
from etcdclient.pb import rpc_pb2 as pb
from etcdclient.pb.pipe_pb2 import PipeCall, PipeResult, ReadRevision
from etcdclient.pipe import BATCH_BYTES_MAX, PipeAbsentError
from etcdclient.rpcs import Rpc
from etcdclient.tls import TlsFiles
from etcdclient.watch import WatchStream

__all__ = ["EtcdClient", "TlsFiles"]

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")

RETRY_PAUSE_S = 0.02
RETRY_PAUSE_MAX_S = 0.25

_COUNT_OF_NOTHING = pb.RangeRequest(key=b"\0", count_only=True)


class EtcdClient:
    """Calls by their etcd messages, on the most preferred endpoint that works.

    `endpoints` are `https://host:port` in order of preference; `tls` is needed for servers that
    demand client certificates. Every call takes at most `timeout_s` (its own, or the client's),
    retries included, and raises EtcdError.
    """

    def __init__(
        self, endpoints: Sequence[str], *, tls: TlsFiles | None = None, timeout_s: float = 5.0
    ) -> None:
        if not endpoints:
            raise ValueError("an EtcdClient needs at least one endpoint")
        self._timeout_s = timeout_s
        self._connections = {endpoint: Connection(endpoint, tls) for endpoint in endpoints}
        self._endpoints = Endpoints(tuple(self._connections.values()))
        self._only = {
            endpoint: Endpoints((connection,)) for endpoint, connection in self._connections.items()
        }
        self._watches: set[WatchStream] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # -- keys --------------------------------------------------------------------------------

    async def range(
        self, request: pb.RangeRequest, *, timeout_s: float | None = None
    ) -> pb.RangeResponse:
        """Read keys; linearizable unless the request says `serializable`."""
        if request.range_end and not request.count_only:
            # A list may be large: on the pipe, small calls would wait behind it.
            return await self._unary(rpcs.RANGE, request, timeout_s)
        result = await self._piped(PipeCall(range=request), Kind.READ, timeout_s)
        if result is None:
            return await self._unary(rpcs.RANGE, request, timeout_s)
        return result.range

    async def put(
        self, request: pb.PutRequest, *, timeout_s: float | None = None
    ) -> pb.PutResponse:
        """Write one key, durable on return."""
        return await self._unary(rpcs.PUT, request, timeout_s)

    async def delete_range(
        self, request: pb.DeleteRangeRequest, *, timeout_s: float | None = None
    ) -> pb.DeleteRangeResponse:
        """Delete keys, durable on return."""
        return await self._unary(rpcs.DELETE_RANGE, request, timeout_s)

    async def txn(
        self, request: pb.TxnRequest, *, timeout_s: float | None = None
    ) -> pb.TxnResponse:
        """Compare, then do one of two lists of operations, atomically; durable on return."""
        kind = Kind.READ if _is_read_only(request) else Kind.WRITE
        result = await self._piped(PipeCall(txn=request), kind, timeout_s)
        if result is None:
            return await self._unary(rpcs.TXN, request, timeout_s, kind=kind)
        return result.txn

    async def compact(
        self, request: pb.CompactionRequest, *, timeout_s: float | None = None
    ) -> pb.CompactionResponse:
        """Forget what only revisions below `request.revision` show."""
        return await self._unary(rpcs.COMPACT, request, timeout_s)

    async def read_revision(self, *, timeout_s: float | None = None) -> int:
        """The store's revision, linearizable: at least that of any write acknowledged before."""
        call = PipeCall(read_revision=ReadRevision())
        result = await self._piped(call, Kind.READ, timeout_s)
        if result is not None:
            return result.read_revision.revision
        response = await self._unary(rpcs.RANGE, _COUNT_OF_NOTHING, timeout_s)
        return response.header.revision

    # -- watches and leases --------------------------------------------------------------------

    def watch(
        self,
        request: pb.WatchCreateRequest,
        *,
        require_leader: bool = True,
        resume: bool = True,
        exact_progress: bool = False,
    ) -> WatchStream:
        """A watch on a stream of its own; the caller must close it. See WatchStream.

        With `resume` it goes on elsewhere when its server is lost, raising EtcdError only when no
        endpoint can be reached for the client's timeout. `exact_progress` says that the servers'
        answers to progress requests are exact (etcd 3.4.31, 3.5.13 and later; this project's
        store), so that they too count for where to resume. With `require_leader` a member without
        a leader ends the stream rather than being silently late.
        """
        stream = WatchStream(
            self._endpoints,
            request,
            require_leader=require_leader,
            resume=resume,
            exact_progress=exact_progress,
            timeout_s=self._timeout_s,
            on_close=self._watches.discard,
        )
        self._watches.add(stream)
        return stream

    async def lease_grant(
        self, ttl_s: int, lease_id: int = 0, *, timeout_s: float | None = None
    ) -> pb.LeaseGrantResponse:
        """A new lease of at least `ttl_s` seconds; the server chooses the id if it is 0."""
        request = pb.LeaseGrantRequest(TTL=ttl_s, ID=lease_id)
        return await self._unary(rpcs.LEASE_GRANT, request, timeout_s)

    async def lease_revoke(
        self, lease_id: int, *, timeout_s: float | None = None
    ) -> pb.LeaseRevokeResponse:
        """End a lease and delete its keys."""
        request = pb.LeaseRevokeRequest(ID=lease_id)
        return await self._unary(rpcs.LEASE_REVOKE, request, timeout_s)

    async def lease_keep_alive_once(
        self, lease_id: int, *, timeout_s: float | None = None
    ) -> pb.LeaseKeepAliveResponse:
        """Renew a lease. The response's `TTL` is 0 if the lease does not exist (any more)."""

        async def attempt(connection: Connection, remaining_s: float) -> pb.LeaseKeepAliveResponse:
            return await keep_alive_once(connection, lease_id, timeout_s=remaining_s)

        return await self._retried(attempt, timeout_s)

    async def lease_time_to_live(
        self, lease_id: int, *, keys: bool = False, timeout_s: float | None = None
    ) -> pb.LeaseTimeToLiveResponse:
        """How long a lease lives unless renewed; -1 if it does not exist. With `keys`, its keys."""
        request = pb.LeaseTimeToLiveRequest(ID=lease_id, keys=keys)
        return await self._unary(rpcs.LEASE_TIME_TO_LIVE, request, timeout_s)

    async def keep_lease(self, ttl_s: int) -> LeaseKeeper:
        """Grant a lease and keep it alive until the keeper is closed. See LeaseKeeper."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        granted = await self.lease_grant(ttl_s)
        return LeaseKeeper(
            self.lease_keep_alive_once, granted.ID, valid_until=asked_at + granted.TTL
        )

    # -- members -------------------------------------------------------------------------------

    async def member_list(self, *, timeout_s: float | None = None) -> pb.MemberListResponse:
        """The members of the cluster, linearizable."""
        request = pb.MemberListRequest(linearizable=True)
        return await self._unary(rpcs.MEMBER_LIST, request, timeout_s)

    async def status(self, endpoint: str, *, timeout_s: float | None = None) -> pb.StatusResponse:
        """How one member stands; `endpoint` is one of the client's."""
        return await self._unary(rpcs.STATUS, pb.StatusRequest(), timeout_s, endpoint=endpoint)

    async def hash_kv(
        self, endpoint: str, revision: int = 0, *, timeout_s: float | None = None
    ) -> pb.HashKVResponse:
        """One member's hash of all keys up to `revision` (0: now)."""
        request = pb.HashKVRequest(revision=revision)
        return await self._unary(rpcs.HASH_KV, request, timeout_s, endpoint=endpoint)

    async def move_leader(
        self, endpoint: str, to: int, *, timeout_s: float | None = None
    ) -> pb.MoveLeaderResponse:
        """Ask the leader, which must be at `endpoint`, to hand over to the member `to`."""
        request = pb.MoveLeaderRequest(targetID=to)
        return await self._unary(rpcs.MOVE_LEADER, request, timeout_s, endpoint=endpoint)

    async def close(self) -> None:
        """End all watches, then all connections. Calls in flight fail."""
        self._closed = True
        for stream in list(self._watches):
            await stream.close()
        for endpoints in (self._endpoints, *self._only.values()):
            await endpoints.close()
        for connection in self._connections.values():
            await connection.close()

    # -- how a call is made --------------------------------------------------------------------

    async def _unary(
        self,
        rpc: Rpc[Request, Response],
        request: Request,
        timeout_s: float | None,
        *,
        kind: Kind | None = None,
        endpoint: str | None = None,
    ) -> Response:
        judged = kind or rpc.kind

        def attempt(connection: Connection, remaining_s: float) -> Awaitable[Response]:
            return connection.unary(rpc, request, kind=judged, timeout_s=remaining_s)

        return await self._retried(attempt, timeout_s, kind=judged, endpoint=endpoint)

    async def _piped(
        self, call: PipeCall, kind: Kind, timeout_s: float | None
    ) -> PipeResult | None:
        """The result of a call through the pipe, or None if it has to be a call of its own."""
        if call.ByteSize() > BATCH_BYTES_MAX:
            return None

        async def attempt(connection: Connection, remaining_s: float) -> PipeResult | None:
            if connection.pipe.absent:
                return None
            try:
                return await connection.pipe.call(call, kind=kind, timeout_s=remaining_s)
            except PipeAbsentError:
                return None

        return await self._retried(attempt, timeout_s, kind=kind)

    async def _retried(
        self,
        attempt: Callable[[Connection, float], Awaitable[Answer]],
        timeout_s: float | None,
        *,
        kind: Kind = Kind.READ,
        endpoint: str | None = None,
    ) -> Answer:
        """Make attempts until one succeeds, fails for good, or the time is up."""
        if self._closed:
            raise errors.closed()
        loop = asyncio.get_running_loop()
        endpoints = self._endpoints if endpoint is None else self._only.get(endpoint)
        if endpoints is None:
            names = ", ".join(self._connections)
            raise ValueError(f"endpoint {endpoint!r} is not one of this client's: {names}")
        deadline = loop.time() + (self._timeout_s if timeout_s is None else timeout_s)
        pause_s = RETRY_PAUSE_S
        tried: list[Connection] = []
        while True:
            connection = await endpoints.pick(deadline, tried)
            untried = 1 if kind is Kind.WRITE else max(1, endpoints.size - len(tried))
            connection.asked(loop.time())
            in_time: bool | None = None
            try:
                answer = await attempt(connection, max(0.001, deadline - loop.time()) / untried)
            except EtcdError as error:
                in_time = error.code is not grpc.StatusCode.DEADLINE_EXCEEDED
                if not errors.is_elsewhere_worthwhile(error):
                    connection.restore()
                    raise
                connection.set_aside(loop.time())
                if not error.definite or loop.time() + pause_s >= deadline:
                    raise
            else:
                in_time = True
                if connection.failures:
                    connection.restore()
                return answer
            finally:
                connection.answered(loop.time(), in_time=in_time)
            tried.append(connection)
            if len(tried) >= endpoints.size:
                tried.clear()
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_PAUSE_MAX_S)


def _is_read_only(request: pb.TxnRequest) -> bool:
    return all(
        _is_read_only(op.request_txn)
        if op.HasField("request_txn")
        else op.HasField("request_range")
        for ops in (request.success, request.failure)
        for op in ops
    )
