"""Keeping a lease alive, and knowing until when it surely lives.

The holder's clock starts when a renewal is asked for, the server's when it is granted, which is
later: so a holder that stops at `valid_until` stops before the server lets anybody else begin.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import grpc.aio

from etcdclient import errors
from etcdclient.connection import Connection
from etcdclient.errors import EtcdError, Kind
from etcdclient.pb.rpc_pb2 import LeaseKeepAliveRequest, LeaseKeepAliveResponse
from etcdclient.rpcs import LEASE_KEEP_ALIVE

log = logging.getLogger(__name__)

RETRY_PAUSE_S = 0.1


async def keep_alive_once(
    connection: Connection, lease_id: int, *, timeout_s: float
) -> LeaseKeepAliveResponse:
    """Renew a lease over one connection. `TTL` is 0 if there is no such lease."""
    stream = connection.stream(LEASE_KEEP_ALIVE)
    try:
        async with asyncio.timeout(timeout_s):
            await stream.write(LeaseKeepAliveRequest(ID=lease_id))
            response = await stream.read()
    except grpc.aio.AioRpcError as error:
        raise errors.from_rpc_error(error, Kind.READ, connection.endpoint) from None
    except asyncio.InvalidStateError:
        code, text = await stream.code(), await stream.details()
        raise errors.from_status(code, text, Kind.READ, connection.endpoint) from None
    except TimeoutError:
        raise errors.timed_out(Kind.READ, timeout_s, connection.endpoint) from None
    finally:
        stream.cancel()
    if not isinstance(response, LeaseKeepAliveResponse):
        text = "the server ended the keep-alive stream"
        code = grpc.StatusCode.UNAVAILABLE
        raise EtcdError(code, text, definite=True, endpoint=connection.endpoint)
    return response


class LeaseKeeper:
    """A lease renewed at every third of its time to live, until closed or lost.

    `valid_until` is in the event loop's time: before it the lease surely lives. `lost` is set once
    the server no longer knows the lease, or `valid_until` has passed without a renewal.
    """

    def __init__(
        self,
        renew: Callable[..., Awaitable[LeaseKeepAliveResponse]],
        lease_id: int,
        *,
        valid_until: float,
    ) -> None:
        self.lease_id = lease_id
        self.valid_until = valid_until
        self.lost = asyncio.Event()
        self._renew = renew
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(), name=f"lease {lease_id:x}")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (left_s := self.valid_until - loop.time()) > 0:
                await asyncio.sleep(left_s / 3)
                if not await self._renewed():
                    return
        finally:
            self.lost.set()

    async def _renewed(self) -> bool:
        """Renew before `valid_until`; False if the lease is gone."""
        loop = asyncio.get_running_loop()
        while (left_s := self.valid_until - loop.time()) > 0:
            asked_at = loop.time()
            try:
                response = await self._renew(self.lease_id, timeout_s=left_s)
            except EtcdError as error:
                log.warning("lease %x not renewed: %s", self.lease_id, error)
                await asyncio.sleep(min(RETRY_PAUSE_S, left_s))
                continue
            if response.TTL <= 0:
                return False
            self.valid_until = max(self.valid_until, asked_at + response.TTL)
            return True
        return False

    async def close(self) -> None:
        """Stop renewing. The lease itself is left to expire, or to be revoked by its owner."""
        self._task.cancel()
        await asyncio.wait((self._task,))
