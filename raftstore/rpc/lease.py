"""etcd's Lease service: grants and revocations proposed, time asked of the leader.

Source: etcd server/etcdserver/api/v3rpc/lease.go.
"""

from __future__ import annotations

import secrets

from etcdclient.pb.rpc_pb2 import (
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseLeasesRequest,
    LeaseLeasesResponse,
    LeaseRevokeResponse,
    LeaseStatus,
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
)
from raftstore.errors import Code, StoreError
from raftstore.lease import errors as lease_errors
from raftstore.node import Node
from raftstore.pb.command_pb2 import Command
from raftstore.pb.peer_pb2 import LeaderAnswer, LeaderQuestion
from raftstore.rpc.handlers import Context, Handler, command_reader, stream, unary
from raftstore.rpc.headers import Headers

_NOT_FOUND_TEXT = lease_errors.lease_not_found().text


class LeaseService:
    """LeaseGrant, LeaseRevoke, LeaseKeepAlive, LeaseTimeToLive and LeaseLeases on one member."""

    def __init__(self, node: Node, headers: Headers) -> None:
        self._node = node
        self._headers = headers

    def handlers(self) -> dict[str, Handler]:
        """By full path."""
        path = "/etcdserverpb.Lease/Lease"
        return {
            path + "Grant": unary(self.grant, command_reader("lease_grant"), LeaseGrantResponse),
            path + "Revoke": unary(
                self.revoke, command_reader("lease_revoke"), LeaseRevokeResponse
            ),
            path + "KeepAlive": stream(
                self.keep_alive, LeaseKeepAliveRequest, LeaseKeepAliveResponse
            ),
            path + "TimeToLive": unary(
                self.time_to_live, LeaseTimeToLiveRequest.FromString, LeaseTimeToLiveResponse
            ),
            path + "Leases": unary(self.leases, LeaseLeasesRequest.FromString, LeaseLeasesResponse),
        }

    async def grant(self, command: Command) -> LeaseGrantResponse:
        """A new lease, under a random id if the caller names none."""
        while not command.lease_grant.ID:
            command.lease_grant.ID = secrets.randbits(63)
        result = await self._node.propose(command)
        if result.error is not None:
            raise result.error
        assert isinstance(result.response, LeaseGrantResponse)
        self._headers.fill(result.response.header)
        return result.response

    async def revoke(self, command: Command) -> LeaseRevokeResponse:
        """End a lease and delete its keys."""
        result = await self._node.propose(command)
        if result.error is not None:
            raise result.error
        assert isinstance(result.response, LeaseRevokeResponse)
        self._headers.fill(result.response.header)
        return result.response

    async def keep_alive(self, context: Context) -> None:
        """Renew each lease asked for, in order; a TTL of 0 answers for one that is not there."""
        while True:
            request = await context.read()
            if not isinstance(request, LeaseKeepAliveRequest):
                return
            answer = await self._node.ask_leader(LeaderQuestion(lease_keep_alive=request.ID))
            if answer.error and answer.error != _NOT_FOUND_TEXT:
                raise _from_leader(answer)
            response = LeaseKeepAliveResponse(ID=request.ID, TTL=answer.ttl)
            self._headers.fill(response.header)
            await context.write(response)

    async def time_to_live(self, request: LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse:
        """How long a lease has left, by the leader's clock; a TTL of -1 if it is not there."""
        answer = await self._node.ask_leader(LeaderQuestion(lease_time_to_live=request.ID))
        if answer.error and answer.error != _NOT_FOUND_TEXT:
            raise _from_leader(answer)
        response = LeaseTimeToLiveResponse(ID=request.ID, TTL=-1)
        if not answer.error:
            response.TTL = answer.ttl
            response.grantedTTL = answer.granted_ttl
            if request.keys:
                await self._fill_keys(response)
        self._headers.fill(response.header)
        return response

    async def _fill_keys(self, response: LeaseTimeToLiveResponse) -> None:
        await self._node.read_index()
        try:
            response.keys.extend(self._node.lessor.keys_of(response.ID))
        except StoreError:
            response.TTL, response.grantedTTL = -1, 0  # revoked since the leader answered

    async def leases(self, _request: LeaseLeasesRequest) -> LeaseLeasesResponse:
        """All leases."""
        await self._node.read_index()
        statuses = [LeaseStatus(ID=lease_id) for lease_id in self._node.lessor.leases()]
        response = LeaseLeasesResponse(leases=statuses)
        self._headers.fill(response.header)
        return response


def _from_leader(answer: LeaderAnswer) -> StoreError:
    """The leader's refusal, as ours. A renewal may be asked for again, whatever became of it."""
    return StoreError(Code.UNAVAILABLE, answer.error, definite=True)
