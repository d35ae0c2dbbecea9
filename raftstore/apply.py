"""From committed commands to state: the only writer of the key space, the leases and the alarms.

Deterministic: the same commands in the same order give the same state, responses and errors on
every member, so nothing here may look at a clock, a flag that may differ, or which member this is.
A command that fails changes nothing. Memory only; the node has made the entry durable before.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Protocol, cast

from etcdclient.pb.rpc_pb2 import (
    CORRUPT,
    NOSPACE,
    AlarmMember,
    AlarmRequest,
    AlarmResponse,
    AlarmType,
    CompactionRequest,
    CompactionResponse,
    DeleteRangeRequest,
    DeleteRangeResponse,
    LeaseCheckpointRequest,
    LeaseCheckpointResponse,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    PutRequest,
    PutResponse,
    RequestOp,
    TxnRequest,
    TxnResponse,
)
from raftstore.errors import StoreError
from raftstore.lease.lessor import LeaseGrant, LeaseId, Lessor
from raftstore.mvcc import errors, txn, validate
from raftstore.mvcc.errors import SnapshotCorruptError
from raftstore.mvcc.key_range import KeyRange
from raftstore.mvcc.revision import Event
from raftstore.mvcc.store import Store
from raftstore.pb.command_pb2 import Command, MemberAttributes
from raftstore.raft.types import Index

Response = (
    PutResponse
    | DeleteRangeResponse
    | TxnResponse
    | CompactionResponse
    | LeaseGrantResponse
    | LeaseRevokeResponse
    | LeaseCheckpointResponse
    | AlarmResponse
)


class AttributesSink(Protocol):
    """What takes the names and client URLs that members publish (`raftstore.membership`)."""

    def apply_attributes(self, attributes: MemberAttributes, /) -> None: ...


@dataclass(slots=True)
class ApplyResult:
    """What one command did. Exactly one of `response` and `error`, save that both are None for a
    command that nobody asked (member attributes). `events` are those of one revision, in order."""

    response: Response | None
    error: StoreError | None
    events: Sequence[Event]


class Alarms:
    """Which alarms stand, raised by whom. An alarm stands until it is disarmed."""

    def __init__(self) -> None:
        self._standing: dict[tuple[int, AlarmType], None] = {}

    def __bool__(self) -> bool:
        """Whether any alarm stands."""
        return bool(self._standing)

    def has(self, alarm: int) -> bool:
        """Whether any member has raised it."""
        return any(kind == alarm for _, kind in self._standing)

    def active(self, alarm: int = 0) -> list[AlarmMember]:
        """All alarms, or those of one type, by member."""
        return [
            AlarmMember(memberID=member, alarm=kind)
            for member, kind in sorted(self._standing)
            if alarm in (0, kind)
        ]

    def apply(self, request: AlarmRequest) -> list[AlarmMember]:
        """Carry out a request; the alarms it was about that stood, stand or fell."""
        key = (request.memberID, request.alarm)
        if request.action == AlarmRequest.GET:
            return self.active(request.alarm)
        if request.action == AlarmRequest.ACTIVATE:
            self._standing[key] = None
        elif key not in self._standing:
            return []
        else:
            del self._standing[key]
        return [AlarmMember(memberID=request.memberID, alarm=request.alarm)]

    def pairs(self) -> list[tuple[int, AlarmType]]:
        """Every (member, type), sorted, as a snapshot keeps them."""
        return sorted(self._standing)

    def restore(self, pairs: Iterable[tuple[int, AlarmType]]) -> None:
        """Replace all alarms."""
        self._standing = dict.fromkeys(pairs)


class Applier:
    """Applies commands in log order; `applied_index` is that of the last one.

    Invariant: a lease's keys in the lessor are exactly the live keys whose record names it.
    """

    def __init__(self, store: Store, lessor: Lessor, members: AttributesSink) -> None:
        self.store = store
        self.lessor = lessor
        self.alarms = Alarms()
        self.applied_index = Index(0)
        self._members = members
        self._handlers: dict[str, Callable[[Command], ApplyResult]] = {
            "put": lambda command: self._put(command.put),
            "delete_range": lambda command: self._delete_range(command.delete_range),
            "txn": lambda command: self._txn(command.txn),
            "compact": lambda command: self._compact(command.compact),
            "lease_grant": lambda command: self._lease_grant(command.lease_grant),
            "lease_revoke": lambda command: self._lease_revoke(command.lease_revoke),
            "lease_checkpoint": lambda command: self._checkpoint(command.lease_checkpoint),
            "alarm": lambda command: self._alarm(command.alarm),
            "member_attributes": lambda command: self._attributes(command.member_attributes),
        }

    def apply(self, index: int, command: Command) -> ApplyResult:
        """Apply one command of the entry at `index`; commands of one entry share it.

        Never apply a command twice: that `index` does not fall is all that is asserted.
        """
        assert index >= self.applied_index, (index, self.applied_index)
        self.applied_index = Index(index)
        op = command.WhichOneof("op")
        assert op is not None, "a command without an operation was committed"
        try:
            return self._handlers[op](command)
        except StoreError as error:
            return ApplyResult(None, error, ())

    def _put(self, request: PutRequest) -> ApplyResult:
        if self.alarms:
            self._refuse_if_alarmed(adds=True)
        validate.check_put(request)
        response, writer = txn.put(self.store, request, self.lessor.check)
        return self._written(response, writer.events)

    def _delete_range(self, request: DeleteRangeRequest) -> ApplyResult:
        self._refuse_if_alarmed(adds=False)
        validate.check_delete_range(request)
        response, writer = txn.delete_range(self.store, request)
        return self._written(response, writer.events)

    def _txn(self, request: TxnRequest) -> ApplyResult:
        if self.alarms:
            self._refuse_if_alarmed(adds=_has_put(request))
        validate.check_txn(request, validate.OPS_UNLIMITED)
        response, writer = txn.txn(self.store, request, self.lessor.check)
        return self._written(response, writer.events)

    def _compact(self, request: CompactionRequest) -> ApplyResult:
        self._refuse_if_alarmed(adds=False)
        self.store.compact(request.revision)
        compaction = CompactionResponse()
        compaction.header.revision = self.store.revision
        return ApplyResult(compaction, None, ())

    def _lease_grant(self, request: LeaseGrantRequest) -> ApplyResult:
        self._refuse_if_alarmed(adds=True)
        ttl_s = self.lessor.grant(request.ID, request.TTL)
        granted = LeaseGrantResponse(ID=request.ID, TTL=ttl_s)
        granted.header.revision = self.store.revision
        return ApplyResult(granted, None, ())

    def _lease_revoke(self, request: LeaseRevokeRequest) -> ApplyResult:
        """All keys of the lease go in one revision, in order."""
        self._refuse_if_alarmed(adds=False)
        writer = self.store.write()
        for key in self.lessor.keys_of(request.ID):
            writer.delete(KeyRange.of(key, b""))
        result = self._written(LeaseRevokeResponse(), writer.end())
        self.lessor.revoke(request.ID)
        assert isinstance(result.response, LeaseRevokeResponse)
        result.response.header.revision = self.store.revision
        return result

    def _checkpoint(self, request: LeaseCheckpointRequest) -> ApplyResult:
        for checkpoint in request.checkpoints:
            self.lessor.checkpoint(checkpoint.ID, checkpoint.remaining_TTL)
        response = LeaseCheckpointResponse()
        response.header.revision = self.store.revision
        return ApplyResult(response, None, ())

    def _alarm(self, request: AlarmRequest) -> ApplyResult:
        response = AlarmResponse(alarms=self.alarms.apply(request))
        response.header.revision = self.store.revision
        return ApplyResult(response, None, ())

    def _attributes(self, attributes: MemberAttributes) -> ApplyResult:
        self._members.apply_attributes(attributes)
        return ApplyResult(None, None, ())

    def _written(self, response: Response, events: Sequence[Event]) -> ApplyResult:
        """Move changed keys to the leases that they name now, and report."""
        for event in events:
            previous = event.previous
            before = 0 if previous is None else previous.lease
            if before != event.record.lease:
                self._move(event.record.key, before)
        return ApplyResult(response, None, events)

    def _move(self, key: bytes, before: int) -> None:
        if before:
            self.lessor.detach(before, key)
        current = self.store.index.live.get(key)
        if current is not None and current.lease:
            self.lessor.attach(current.lease, key)

    def _refuse_if_alarmed(self, *, adds: bool) -> None:
        """CORRUPT stops everything, NOSPACE what would add data (etcd applierV3Capped)."""
        if self.alarms.has(CORRUPT):
            raise errors.corrupt()
        if adds and self.alarms.has(NOSPACE):
            raise errors.no_space()

    def snapshot_chunks(self) -> Iterator[bytes]:
        """Key space, leases and alarms as of this call, encoded as the iterator is read.

        Commands may be applied and compaction may go on meanwhile.
        """
        head = encode_head(self.lessor.grants(), self.alarms.pairs())
        return chain((head,), self.store.snapshot_chunks())

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Become what `snapshot_chunks` saw. SnapshotCorruptError leaves everything as it was.

        The caller knows the snapshot's index and sets `applied_index`.
        """
        feed = iter(chunks)
        grants, alarms = decode_head(next(feed, b""))
        self.store.restore(feed)
        self._restore_rest(grants, alarms)

    def restore_steps(self, chunks: Iterable[bytes]) -> Iterator[None]:
        """As `restore`, in slices of bounded work: reads of the old state may go on in between.

        Nothing may be applied before the iterator has ended.
        """
        feed = iter(chunks)
        grants, alarms = decode_head(next(feed, b""))
        yield from self.store.restore_steps(feed)
        self._restore_rest(grants, alarms)

    def _restore_rest(
        self, grants: Sequence[LeaseGrant], alarms: Iterable[tuple[int, AlarmType]]
    ) -> None:
        self.alarms.restore(alarms)
        attached = (
            (record.lease, key) for key, record in self.store.index.live.items() if record.lease
        )
        self.lessor.restore(grants, attached)


def _has_put(request: TxnRequest) -> bool:
    """Whether either branch, nested ones too, could add data."""
    return any(_op_has_put(op) for op in chain(request.success, request.failure))


def _op_has_put(op: RequestOp) -> bool:
    kind = op.WhichOneof("request")
    return kind == "request_put" or (kind == "request_txn" and _has_put(op.request_txn))


FORMAT_VERSION: Final = 1
_MAGIC: Final = b"TPSM"
_HEAD: Final = struct.Struct("<4sIII")
_LEASE: Final = struct.Struct("<qqq")
_ALARM: Final = struct.Struct("<QI")


def encode_head(grants: Sequence[LeaseGrant], alarms: Sequence[tuple[int, int]]) -> bytes:
    """The first chunk of a snapshot: leases and alarms. The key space's own chunks follow."""
    return b"".join(
        (
            _HEAD.pack(_MAGIC, FORMAT_VERSION, len(grants), len(alarms)),
            *(_LEASE.pack(*grant) for grant in grants),
            *(_ALARM.pack(*alarm) for alarm in alarms),
        )
    )


def decode_head(chunk: bytes) -> tuple[list[LeaseGrant], list[tuple[int, AlarmType]]]:
    """Read what `encode_head` made. SnapshotCorruptError names what is wrong with it."""
    if len(chunk) < _HEAD.size or chunk[:4] != _MAGIC:
        raise SnapshotCorruptError("this is not a snapshot of the store")
    _, version, lease_count, alarm_count = _HEAD.unpack_from(chunk)
    if version != FORMAT_VERSION:
        raise SnapshotCorruptError(
            f"snapshot format version {version} is unknown; this release reads {FORMAT_VERSION}"
        )
    alarms_at = _HEAD.size + lease_count * _LEASE.size
    if len(chunk) != alarms_at + alarm_count * _ALARM.size:
        raise SnapshotCorruptError("the snapshot's first chunk is cut short or has bytes too many")
    leases = _LEASE.iter_unpack(chunk[_HEAD.size : alarms_at])
    grants = [LeaseGrant(LeaseId(lease_id), ttl_s, left_s) for lease_id, ttl_s, left_s in leases]
    alarms = _ALARM.iter_unpack(chunk[alarms_at:])
    return grants, [(member, cast(AlarmType, kind)) for member, kind in alarms]
