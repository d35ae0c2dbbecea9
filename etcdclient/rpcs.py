"""The etcd methods that the client calls, by path: request and response types, read or write.

Hand-written instead of generated stubs: a call costs one attribute and one multicallable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import grpc.aio
from google.protobuf.message import Message

from etcdclient.errors import Kind
from etcdclient.pb import rpc_pb2 as pb
from etcdclient.pb.pipe_pb2 import PipeRequest, PipeResponse

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class Rpc(Generic[Request, Response]):
    """One method of a service, and whether it changes state."""

    __slots__ = ("kind", "path", "request", "response")

    def __init__(
        self, path: str, request: type[Request], response: type[Response], kind: Kind
    ) -> None:
        self.path = path
        self.request = request
        self.response = response
        self.kind = kind

    def unary(
        self, channel: grpc.aio.Channel
    ) -> grpc.aio.UnaryUnaryMultiCallable[Request, Response]:
        """A callable for this method on this channel."""
        return channel.unary_unary(self.path, _serializer(self.request), self.response.FromString)

    def stream(
        self, channel: grpc.aio.Channel
    ) -> grpc.aio.StreamStreamMultiCallable[Request, Response]:
        """The same for a method that streams both ways."""
        return channel.stream_stream(self.path, _serializer(self.request), self.response.FromString)


def _serializer(message_type: type[Request]) -> Callable[[Request], bytes]:
    return message_type.SerializeToString


_KV = "/etcdserverpb.KV/"
_LEASE = "/etcdserverpb.Lease/"
_CLUSTER = "/etcdserverpb.Cluster/"
_MAINTENANCE = "/etcdserverpb.Maintenance/"

RANGE = Rpc(_KV + "Range", pb.RangeRequest, pb.RangeResponse, Kind.READ)
PUT = Rpc(_KV + "Put", pb.PutRequest, pb.PutResponse, Kind.WRITE)
DELETE_RANGE = Rpc(_KV + "DeleteRange", pb.DeleteRangeRequest, pb.DeleteRangeResponse, Kind.WRITE)
TXN = Rpc(_KV + "Txn", pb.TxnRequest, pb.TxnResponse, Kind.WRITE)
COMPACT = Rpc(_KV + "Compact", pb.CompactionRequest, pb.CompactionResponse, Kind.WRITE)
WATCH = Rpc("/etcdserverpb.Watch/Watch", pb.WatchRequest, pb.WatchResponse, Kind.READ)
LEASE_GRANT = Rpc(_LEASE + "LeaseGrant", pb.LeaseGrantRequest, pb.LeaseGrantResponse, Kind.WRITE)
LEASE_REVOKE = Rpc(
    _LEASE + "LeaseRevoke", pb.LeaseRevokeRequest, pb.LeaseRevokeResponse, Kind.WRITE
)
# Renewing a lease twice is renewing it once, so it is retried like a read.
LEASE_KEEP_ALIVE = Rpc(
    _LEASE + "LeaseKeepAlive", pb.LeaseKeepAliveRequest, pb.LeaseKeepAliveResponse, Kind.READ
)
LEASE_TIME_TO_LIVE = Rpc(
    _LEASE + "LeaseTimeToLive", pb.LeaseTimeToLiveRequest, pb.LeaseTimeToLiveResponse, Kind.READ
)
MEMBER_LIST = Rpc(_CLUSTER + "MemberList", pb.MemberListRequest, pb.MemberListResponse, Kind.READ)
STATUS = Rpc(_MAINTENANCE + "Status", pb.StatusRequest, pb.StatusResponse, Kind.READ)
HASH_KV = Rpc(_MAINTENANCE + "HashKV", pb.HashKVRequest, pb.HashKVResponse, Kind.READ)
MOVE_LEADER = Rpc(
    _MAINTENANCE + "MoveLeader", pb.MoveLeaderRequest, pb.MoveLeaderResponse, Kind.WRITE
)
TRANSACT = Rpc("/raftstore.v1.Pipe/Transact", PipeRequest, PipeResponse, Kind.WRITE)
