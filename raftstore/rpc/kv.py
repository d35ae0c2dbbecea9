"""etcd's KV service: reads confirmed by ReadIndex, writes proposed, limits checked before both.

Source: etcd server/etcdserver/api/v3rpc/key.go, quota.go and server/etcdserver/v3_server.go.
"""

from __future__ import annotations

import asyncio
import dataclasses

from etcdclient.pb.rpc_pb2 import (
    NOSPACE,
    AlarmRequest,
    CompactionResponse,
    DeleteRangeResponse,
    PutResponse,
    RangeRequest,
    RangeResponse,
    TxnRequest,
    TxnResponse,
)
from raftstore.apply import Alarms, Response
from raftstore.mvcc import errors as mvcc_errors
from raftstore.mvcc import txn, validate
from raftstore.node import Node
from raftstore.pb.command_pb2 import Command
from raftstore.rpc.handlers import Handler, command_reader, unary
from raftstore.rpc.headers import Headers

COMPACTION_POLL_S = 0.005
QUOTA_BYTES_DEFAULT = 2 << 30


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KvLimits:
    """Etcd's limits under etcd's names. A quota of 0 is none."""

    max_txn_ops: int = validate.TXN_OPS_MAX
    quota_backend_bytes: int = QUOTA_BYTES_DEFAULT


class KvService:
    """Range, Put, DeleteRange, Txn and Compact on one member. Raises StoreError."""

    def __init__(self, node: Node, headers: Headers, alarms: Alarms, limits: KvLimits) -> None:
        self._node = node
        self._headers = headers
        self._alarms = alarms
        self._limits = limits

    def handlers(self) -> dict[str, Handler]:
        """By full path. Requests that are proposed are decoded straight into their command."""
        path = "/etcdserverpb.KV/"
        return {
            path + "Range": unary(self.range, RangeRequest.FromString, RangeResponse),
            path + "Put": unary(self.put, command_reader("put"), PutResponse),
            path + "DeleteRange": unary(
                self.delete_range, command_reader("delete_range"), DeleteRangeResponse
            ),
            path + "Txn": unary(self.txn, command_reader("txn"), TxnResponse),
            path + "Compact": unary(self.compact, command_reader("compact"), CompactionResponse),
        }

    async def range(self, request: RangeRequest) -> RangeResponse:
        """Read; linearizable unless `serializable`, which answers from what is applied here."""
        validate.check_range(request)
        if not request.serializable:
            await self._node.read_index()
        response = self._node.store.range(request)
        self._headers.fill(response.header)
        return response

    async def put(self, command: Command) -> PutResponse:
        """Write one key."""
        validate.check_put(command.put)
        await self._check_quota(command)
        response = await self._propose(command)
        assert isinstance(response, PutResponse)
        return response

    async def delete_range(self, command: Command) -> DeleteRangeResponse:
        """Delete keys."""
        validate.check_delete_range(command.delete_range)
        response = await self._propose(command)
        assert isinstance(response, DeleteRangeResponse)
        return response

    async def txn(self, command: Command) -> TxnResponse:
        """Compare, then do one of two lists. One that cannot write is a read and not proposed."""
        request = command.txn
        validate.check_txn(request, self._limits.max_txn_ops)
        if _is_read_only(request):
            return await self._read_txn(request)
        await self._check_quota(command)
        response = await self._propose(command)
        assert isinstance(response, TxnResponse)
        return response

    async def compact(self, command: Command) -> CompactionResponse:
        """Forget superseded revisions; `physical` waits until their memory is given back."""
        response = await self._propose(command)
        assert isinstance(response, CompactionResponse)
        if command.compact.physical:
            while self._node.store.compaction_pending():  # noqa: ASYNC110 - pure, it has no events
                await asyncio.sleep(COMPACTION_POLL_S)
        return response

    async def read_revision(self) -> int:
        """The revision of now, linearizable."""
        await self._node.read_index()
        return self._node.store.revision

    async def _read_txn(self, request: TxnRequest) -> TxnResponse:
        if not _is_serializable(request):
            await self._node.read_index()
        response, writer = txn.txn(self._node.store, request, self._node.lessor.check)
        assert not writer.events, "a read-only txn wrote"
        self._headers.fill(response.header)
        return response

    async def _propose(self, command: Command) -> Response:
        result = await self._node.propose(command)
        if result.error is not None:
            raise result.error
        assert result.response is not None, command.WhichOneof("op")
        self._headers.fill(result.response.header)
        return result.response

    async def _check_quota(self, command: Command) -> None:
        """Refuse what would not fit, and raise the alarm that makes all members refuse.

        Under the alarm nothing is even proposed: a full disk has no room for the refused either.
        """
        quota = self._limits.quota_backend_bytes
        if not self._alarms.has(NOSPACE) and (
            not quota or self._node.store.size_bytes + command.ByteSize() <= quota
        ):
            return
        if command.HasField("txn") and not _has_put(command.txn):
            return
        if not self._alarms.has(NOSPACE):
            alarm = Command()
            alarm.alarm.action = AlarmRequest.ACTIVATE
            alarm.alarm.alarm = NOSPACE
            alarm.alarm.memberID = self._node.status().member_id
            await self._node.propose(alarm)
        raise mvcc_errors.no_space()


def _has_put(request: TxnRequest) -> bool:
    """Whether either branch of a txn could add data."""
    return any(
        _has_put(op.request_txn) if op.HasField("request_txn") else op.HasField("request_put")
        for ops in (request.success, request.failure)
        for op in ops
    )


def _is_read_only(request: TxnRequest) -> bool:
    """Whether both branches only read (etcd isTxnReadonly: a nested txn counts as a write)."""
    return all(op.HasField("request_range") for op in request.success) and all(
        op.HasField("request_range") for op in request.failure
    )


def _is_serializable(request: TxnRequest) -> bool:
    """Whether all it does is serializable reads. Compares alone are not: they must be current."""
    ops = [*request.success, *request.failure]
    return bool(ops) and all(op.request_range.serializable for op in ops)
