"""etcd's Maintenance service: how this member stands, its hashes, its alarms, who leads.

Source: etcd server/etcdserver/api/v3rpc/maintenance.go.
"""

from __future__ import annotations

import asyncio
from typing import Final

from etcdclient.pb import rpc_pb2 as pb
from raftstore import errors
from raftstore.apply import Alarms
from raftstore.mvcc.hashing import HashKv
from raftstore.node import Node
from raftstore.pb.command_pb2 import Command
from raftstore.raft.types import MemberId
from raftstore.rpc.errors import not_offered
from raftstore.rpc.handlers import Context, Handler, command_reader, server_stream, unary
from raftstore.rpc.headers import Headers

ETCD_VERSION: Final = "3.5.21"
"""The etcd release whose API we speak. From 3.5.13 on clients rely on exact progress answers."""
STORAGE_VERSION: Final = "3.5.0"

_ALARM_NAMES = {pb.NOSPACE: "NOSPACE", pb.CORRUPT: "CORRUPT"}


class MaintenanceService:
    """Status, Hash, HashKV, Alarm, Defragment, MoveLeader; Snapshot and Downgrade say no."""

    def __init__(
        self, node: Node, headers: Headers, alarms: Alarms, *, quota_backend_bytes: int
    ) -> None:
        self._node = node
        self._headers = headers
        self._alarms = alarms
        self._quota_backend_bytes = quota_backend_bytes

    def handlers(self) -> dict[str, Handler]:
        """By full path."""
        path = "/etcdserverpb.Maintenance/"
        return {
            path + "Status": unary(self.status, pb.StatusRequest.FromString, pb.StatusResponse),
            path + "Alarm": unary(self.alarm, command_reader("alarm"), pb.AlarmResponse),
            path + "Hash": unary(self.hash, pb.HashRequest.FromString, pb.HashResponse),
            path + "HashKV": unary(self.hash_kv, pb.HashKVRequest.FromString, pb.HashKVResponse),
            path + "Defragment": unary(
                self.defragment, pb.DefragmentRequest.FromString, pb.DefragmentResponse
            ),
            path + "MoveLeader": unary(
                self.move_leader, pb.MoveLeaderRequest.FromString, pb.MoveLeaderResponse
            ),
            path + "Snapshot": server_stream(
                self.snapshot, pb.SnapshotRequest.FromString, pb.SnapshotResponse
            ),
            path + "Downgrade": unary(
                self.downgrade, pb.DowngradeRequest.FromString, pb.DowngradeResponse
            ),
        }

    async def status(self, _request: pb.StatusRequest) -> pb.StatusResponse:
        """How this member stands, answered from memory whatever state the cluster is in."""
        status = self._node.status()
        size_bytes = self._node.store.size_bytes
        response = pb.StatusResponse(
            version=ETCD_VERSION,
            dbSize=size_bytes,
            dbSizeInUse=size_bytes,
            dbSizeQuota=self._quota_backend_bytes,
            leader=status.leader,
            raftIndex=status.commit_index,
            raftTerm=status.term,
            raftAppliedIndex=status.applied_index,
            isLearner=status.is_learner,
            storageVersion=STORAGE_VERSION,
        )
        if not status.leader:
            response.errors.append(errors.no_leader().text)
        for alarm in self._alarms.active():
            name = _ALARM_NAMES.get(alarm.alarm, str(alarm.alarm))
            response.errors.append(f"memberID:{alarm.memberID} alarm:{name} ")
        self._headers.fill(response.header)
        return response

    async def alarm(self, command: Command) -> pb.AlarmResponse:
        """Show alarms as they stand here; raise or disarm them everywhere."""
        if command.alarm.action == pb.AlarmRequest.GET:
            response = pb.AlarmResponse(alarms=self._alarms.active(command.alarm.alarm))
        else:
            result = await self._node.propose(command)
            if result.error is not None:
                raise result.error
            assert isinstance(result.response, pb.AlarmResponse)
            response = result.response
        self._headers.fill(response.header)
        return response

    async def hash(self, _request: pb.HashRequest) -> pb.HashResponse:
        """The hash of all that this member holds; comparable at equal revisions."""
        hashed = await self._hashed(0)
        response = pb.HashResponse(hash=hashed.hash)
        self._headers.fill(response.header)
        return response

    async def hash_kv(self, request: pb.HashKVRequest) -> pb.HashKVResponse:
        """The hash of all keys up to a revision: equal on members that agree."""
        hashed = await self._hashed(request.revision)
        response = pb.HashKVResponse(
            hash=hashed.hash,
            compact_revision=hashed.compact_revision,
            hash_revision=hashed.hash_revision,
        )
        self._headers.fill(response.header)
        return response

    async def _hashed(self, revision: int) -> HashKv:
        """In slices, so that heartbeats are answered in between."""
        for hashed in self._node.store.hash_kv_steps(revision):
            if hashed is not None:
                return hashed
            await asyncio.sleep(0)
        raise AssertionError("hash_kv_steps ends with a result")

    async def defragment(self, _request: pb.DefragmentRequest) -> pb.DefragmentResponse:
        """Nothing to do: the store is in memory, and its journal is rewritten by snapshots."""
        response = pb.DefragmentResponse()
        self._headers.fill_member(response.header)
        return response

    async def move_leader(self, request: pb.MoveLeaderRequest) -> pb.MoveLeaderResponse:
        """Hand leadership to a member. Only the leader can be asked (etcd ErrNotLeader)."""
        status = self._node.status()
        if status.leader != status.member_id:
            raise errors.not_leader()
        await self._node.transfer_leadership(MemberId(request.targetID))
        response = pb.MoveLeaderResponse()
        self._headers.fill_member(response.header)
        return response

    async def snapshot(self, _request: pb.SnapshotRequest, _context: Context) -> None:
        """Etcd's snapshot is a bbolt file; we have none."""
        raise not_offered("Maintenance/Snapshot (an image of etcd's database file)")

    async def downgrade(self, _request: pb.DowngradeRequest) -> pb.DowngradeResponse:
        """There is no older release to go back to."""
        raise not_offered("Maintenance/Downgrade")
