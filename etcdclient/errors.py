"""What an etcd call that did not succeed says: done, surely not done, or unknown.

Owns the judgement, and nothing else may make it. A write that was sent and not answered is unknown,
whatever the text; only what provably never reached a log is definite. Codes and texts are those of
etcd (api/v3rpc/rpctypes/error.go) and of gRPC's own client.
"""

from __future__ import annotations

import enum

import grpc

from etcdclient.pb.rpc_pb2 import WatchResponse

COMPACTED_TEXT = "etcdserver: mvcc: required revision has been compacted"

DEFINITE_KEY = "raftstore-definite"
"""Trailing metadata by which this project's store says that an operation did not happen."""


class EtcdError(Exception):
    """A call that was not answered with success.

    `code` and `text` are the gRPC status. `definite` is True when the operation surely has not
    happened and never will; a read is always definite. `endpoint` is empty when none was reached.
    """

    def __init__(
        self, code: grpc.StatusCode, text: str, *, definite: bool, endpoint: str = ""
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.definite = definite
        self.endpoint = endpoint

    def __str__(self) -> str:
        outcome = "" if self.definite else " (outcome unknown)"
        where = f" from {self.endpoint}" if self.endpoint else ""
        return f"{self.code.name}{where}: {self.text}{outcome}"


class CompactedError(EtcdError):
    """The revision asked for is compacted. `compact_revision` is 0 where that is not said."""

    def __init__(self, *, compact_revision: int = 0, endpoint: str = "") -> None:
        code = grpc.StatusCode.OUT_OF_RANGE
        super().__init__(code, COMPACTED_TEXT, definite=True, endpoint=endpoint)
        self.compact_revision = compact_revision


class Kind(enum.Enum):
    """Whether a call changes state: that decides what a failure means and what may be retried."""

    READ = "read"
    WRITE = "write"


# The server answered before it did anything: it judged the request, or refused to begin.
_DEFINITE_CODES = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)
# Texts that are definite under codes that otherwise are not: the first two are etcd's for requests
# it never handed to Raft, the others gRPC's for requests that never left this process.
_DEFINITE_TEXTS = (
    "etcdserver: no leader",
    "raft proposal dropped",
    "etcdserver: raft proposal dropped",
    "etcdserver: too many requests",
    "etcdserver: mvcc: database space exceeded",
)
_NEVER_SENT_TEXTS = ("failed to connect to all addresses", "Sent message larger than max")
# The server's gRPC refused the request unread. It cannot be ours about the response: our channels
# set no limit on what they receive.
_TOO_LARGE_TEXT = "eceived message larger than max"

# Failures of one member (or of the way to it), which another member may well not share.
_ELSEWHERE_CODES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.CANCELLED,
    }
)


def is_definite(code: grpc.StatusCode, text: str) -> bool:
    """Whether a write that failed so surely did not happen."""
    if code in _DEFINITE_CODES or text in _DEFINITE_TEXTS:
        return True
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE_TEXT in text:
        return True
    return any(text.startswith(never_sent) for never_sent in _NEVER_SENT_TEXTS)


def is_elsewhere_worthwhile(error: EtcdError) -> bool:
    """Whether another endpoint may answer where this one failed."""
    return error.code in _ELSEWHERE_CODES


def from_status(
    code: grpc.StatusCode, text: str, kind: Kind, endpoint: str, *, told_definite: bool = False
) -> EtcdError:
    """The error that a gRPC status means for a call of this kind.

    `told_definite`: the server itself says that nothing happened, as this project's store does.
    """
    if text == COMPACTED_TEXT:
        return CompactedError(endpoint=endpoint)
    definite = kind is Kind.READ or told_definite or is_definite(code, text)
    return EtcdError(code, text, definite=definite, endpoint=endpoint)


def from_rpc_error(error: grpc.aio.AioRpcError, kind: Kind, endpoint: str) -> EtcdError:
    """The same for an error that a gRPC call raised."""
    told_definite = any(key == DEFINITE_KEY for key, _ in error.trailing_metadata() or ())
    text = error.details() or ""
    return from_status(error.code(), text, kind, endpoint, told_definite=told_definite)


def unreachable(endpoints: str, waited_s: float) -> EtcdError:
    """No endpoint could be connected to in time; nothing was sent."""
    text = f"no endpoint of {endpoints} could be reached within {waited_s:.2f} s"
    return EtcdError(grpc.StatusCode.UNAVAILABLE, text, definite=True)


def timed_out(kind: Kind, timeout_s: float, endpoint: str) -> EtcdError:
    """The call was sent and not answered in time."""
    text = f"not answered within {timeout_s:.2f} s"
    code = grpc.StatusCode.DEADLINE_EXCEEDED
    return EtcdError(code, text, definite=kind is Kind.READ, endpoint=endpoint)


def closed() -> EtcdError:
    """The client, or the stream, is closed; nothing was sent."""
    return EtcdError(grpc.StatusCode.CANCELLED, "the client is closed", definite=True)


def from_canceled_watch(response: WatchResponse) -> EtcdError:
    """What a canceled watch response says, as an error."""
    if response.compact_revision:
        return CompactedError(compact_revision=response.compact_revision)
    text = response.cancel_reason or "etcdserver: watch canceled"
    return EtcdError(grpc.StatusCode.CANCELLED, text, definite=True)
