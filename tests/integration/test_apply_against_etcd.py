"""The state machine answers as Debian's etcd does: random requests to both, field by field.

Left out of the comparison: cluster, member and term in headers (they are rpc's to fill in), and the
order of records that a sort by anything but the key finds equal (etcd's sort is not stable).
"""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from etcdclient.pb import kv_pb2
from etcdclient.pb import rpc_pb2 as pb
from raftstore.apply import Applier
from raftstore.errors import StoreError
from raftstore.lease.lessor import Lessor
from raftstore.mvcc import validate
from raftstore.mvcc.revision import Event
from raftstore.mvcc.store import Store
from raftstore.pb.command_pb2 import Command, MemberAttributes

HOST = "127.0.23.1"
START_TIMEOUT_S = 30
REQUESTS = 2_500
KEYS = [b"a", b"aa", b"ab", b"b", b"b\0", b"ba", b"c", b"\xff", b"\xff\xff"]
RANGE_ENDS = [b"", b"", b"\0", b"b", b"c", b"ab", b"a", b"\xff"]
LEASES = [0, 0, 0, 11, 12, 13, 99]


class Nobody:
    """Membership is no part of what is compared."""

    def apply_attributes(self, attributes: MemberAttributes, /) -> None:
        raise AssertionError(attributes)


@dataclass(frozen=True, slots=True)
class Refused:
    """The code and text of an error."""

    code: int
    text: str


class Ours:
    """The state machine behind the checks that the services make before they propose."""

    def __init__(self) -> None:
        self.applier = Applier(Store(), Lessor(1), Nobody())
        self._index = 0
        self.events: list[Event] = []

    def call(self, request: Any) -> Any:
        try:
            return self._call(request)
        except StoreError as error:
            return Refused(error.code, error.text)

    def _call(self, request: Any) -> Any:
        match request:
            case pb.RangeRequest():
                validate.check_range(request)
                return self.applier.store.range(request)
            case pb.PutRequest():
                validate.check_put(request)
                return self._apply(Command(put=request))
            case pb.DeleteRangeRequest():
                validate.check_delete_range(request)
                return self._apply(Command(delete_range=request))
            case pb.TxnRequest():
                validate.check_txn(request)
                return self._apply(Command(txn=request))
            case pb.CompactionRequest():
                return self._apply(Command(compact=request))
            case pb.LeaseGrantRequest():
                return self._apply(Command(lease_grant=request))
            case pb.LeaseRevokeRequest():
                return self._apply(Command(lease_revoke=request))
        raise AssertionError(request)

    def _apply(self, command: Command) -> Any:
        self._index += 1
        result = self.applier.apply(self._index, command)
        if result.error is not None:
            raise result.error
        self.events += result.events
        self.applier.store.compaction_step(records_max=1)
        return result.response


METHODS: dict[type[Any], tuple[str, type[Any]]] = {
    pb.RangeRequest: ("KV/Range", pb.RangeResponse),
    pb.PutRequest: ("KV/Put", pb.PutResponse),
    pb.DeleteRangeRequest: ("KV/DeleteRange", pb.DeleteRangeResponse),
    pb.TxnRequest: ("KV/Txn", pb.TxnResponse),
    pb.CompactionRequest: ("KV/Compact", pb.CompactionResponse),
    pb.LeaseGrantRequest: ("Lease/LeaseGrant", pb.LeaseGrantResponse),
    pb.LeaseRevokeRequest: ("Lease/LeaseRevoke", pb.LeaseRevokeResponse),
}


class Theirs:
    """A running etcd."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def call(self, request: Any) -> Any:
        method, response = METHODS[type(request)]
        invoke = self._channel.unary_unary(
            f"/etcdserverpb.{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        try:
            return invoke(request, timeout=START_TIMEOUT_S, wait_for_ready=True)
        except grpc.RpcError as error:
            status: Any = error
            return Refused(status.code().value[0], status.details())

    def events_since(self, revision: int, through: int) -> list[kv_pb2.Event]:
        """What a watcher of everything is sent, with previous values."""
        create = pb.WatchCreateRequest(
            key=b"\0", range_end=b"\0", start_revision=revision, prev_kv=True
        )
        watch = self._channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.WatchResponse.FromString,
        )
        stream = watch(iter([pb.WatchRequest(create_request=create)]), timeout=START_TIMEOUT_S)
        events: list[kv_pb2.Event] = []
        for response in stream:
            events += response.events
            if events and events[-1].kv.mod_revision == through:
                stream.cancel()
                break
        return events

    def keys_of(self, lease_id: int) -> set[bytes]:
        """The keys attached to a lease; none if it is not granted."""
        invoke = self._channel.unary_unary(
            "/etcdserverpb.Lease/LeaseTimeToLive",
            request_serializer=pb.LeaseTimeToLiveRequest.SerializeToString,
            response_deserializer=pb.LeaseTimeToLiveResponse.FromString,
        )
        answer = invoke(pb.LeaseTimeToLiveRequest(ID=lease_id, keys=True), timeout=START_TIMEOUT_S)
        return set(answer.keys)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Theirs]:
    binary = shutil.which("etcd")
    assert binary is not None, "install Debian's etcd-server (tools/install-test-peers)"
    client, peer = (f"http://{HOST}:{free_port()}" for _ in range(2))
    command = [binary, "--data-dir", str(tmp_path / "etcd"), "--name", "peer"]
    command += ["--listen-client-urls", client, "--advertise-client-urls", client]
    command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    command += ["--initial-cluster", f"peer={peer}", "--unsafe-no-fsync"]
    with (tmp_path / "etcd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            with grpc.insecure_channel(client.removeprefix("http://")) as channel:
                yield Theirs(channel)
        finally:
            process.terminate()
            process.wait(START_TIMEOUT_S)


class Requests:
    """An endless mixture of requests, valid and not, over few keys, so that they often meet."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._txn_keeps = False
        self.revision = 1

    def next(self) -> Any:
        makers = [
            self.range,
            self.put,
            self.delete,
            self.txn,
            self.compact,
            self.grant,
            self.revoke,
        ]
        maker = self._random.choices(makers, [30, 25, 8, 40, 1, 3, 3])[0]
        return maker()

    def key(self) -> bytes:
        return b"" if self._chance(0.01) else self._random.choice(KEYS)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _revision(self) -> int:
        if self._chance(0.6):
            return 0
        return self.revision + self._random.randint(-30, 1)

    def _near(self) -> int:
        return max(0, self.revision + self._random.randint(-20, 2)) if self._chance(0.2) else 0

    def range(self) -> pb.RangeRequest:
        return pb.RangeRequest(
            key=self.key(),
            range_end=self._random.choice(RANGE_ENDS),
            limit=self._random.choice([0, 0, 1, 2, 3]),
            revision=max(0, self._revision()),
            sort_order=self._random.choice(["NONE", "NONE", "ASCEND", "DESCEND"]),
            sort_target=self._random.choice(["KEY", "KEY", "VERSION", "CREATE", "MOD", "VALUE"]),
            serializable=self._chance(0.5),
            keys_only=self._chance(0.2),
            count_only=self._chance(0.1),
            min_mod_revision=self._near(),
            max_mod_revision=self._near(),
            min_create_revision=self._near(),
            max_create_revision=self._near(),
        )

    def put(self) -> pb.PutRequest:
        ignore_value, ignore_lease = self._chance(0.1), self._chance(0.1)
        keep = self._chance(0.9)
        return pb.PutRequest(
            key=self.key(),
            value=b"" if ignore_value and keep else self._random.randbytes(2),
            lease=0 if ignore_lease and keep else self._random.choice(LEASES),
            prev_kv=self._chance(0.3),
            ignore_value=ignore_value,
            ignore_lease=ignore_lease,
        )

    def delete(self) -> pb.DeleteRangeRequest:
        return pb.DeleteRangeRequest(
            key=self.key(),
            range_end=self._random.choice(RANGE_ENDS),
            prev_kv=self._chance(0.3),
        )

    def compare(self) -> pb.Compare:
        compare = pb.Compare(
            key=self.key(),
            result=self._random.randrange(4),  # type: ignore[arg-type]
            target=self._random.randrange(5),  # type: ignore[arg-type]
            range_end=self._random.choice(RANGE_ENDS) if self._chance(0.2) else b"",
        )
        number = self._random.choice([0, 1, 2, self.revision, self.revision - 1, 11])
        field = self._random.choice(["version", "create_revision", "mod_revision", "lease", ""])
        if self._chance(0.8):
            fields = ["version", "create_revision", "mod_revision", "value", "lease"]
            field = fields[compare.target]
        if field == "value":
            compare.value = self._random.randbytes(1)
        elif field:
            setattr(compare, field, number)
        return compare

    def put_in_txn(self) -> pb.PutRequest:
        put = self.put()
        put.ignore_value &= self._txn_keeps
        put.ignore_lease &= self._txn_keeps
        return put

    def delete_in_txn(self) -> pb.DeleteRangeRequest:
        """Etcd panics if a txn deletes to the end and then keeps a value of what it deleted."""
        delete = self.delete()
        if self._txn_keeps and delete.range_end == b"\0":
            delete.range_end = b"\1"
        return delete

    def op(self, depth: int) -> pb.RequestOp:
        kinds = [8, 8, 3, 2 if depth < 2 else 0, 0.05]
        match self._random.choices(range(5), kinds)[0]:
            case 0:
                return pb.RequestOp(request_range=self.range())
            case 1:
                return pb.RequestOp(request_put=self.put_in_txn())
            case 2:
                return pb.RequestOp(request_delete_range=self.delete_in_txn())
            case 3:
                return pb.RequestOp(request_txn=self.txn(depth + 1))
        return pb.RequestOp()

    def txn(self, depth: int = 0) -> pb.TxnRequest:
        if depth == 0:
            self._txn_keeps = self._chance(0.5)
        sizes = [0, 1, 1, 2, 3]
        return pb.TxnRequest(
            compare=[self.compare() for _ in range(self._random.choice([0, 1, 1, 2]))],
            success=[self.op(depth) for _ in range(self._random.choice(sizes))],
            failure=[self.op(depth) for _ in range(self._random.choice(sizes))],
        )

    def compact(self) -> pb.CompactionRequest:
        return pb.CompactionRequest(revision=self.revision + self._random.randint(-25, 1))

    def grant(self) -> pb.LeaseGrantRequest:
        ttl = 9_000_000_001 if self._chance(0.1) else self._random.randint(600, 900)
        return pb.LeaseGrantRequest(ID=self._random.choice(LEASES[3:6]), TTL=ttl)

    def revoke(self) -> pb.LeaseRevokeRequest:
        return pb.LeaseRevokeRequest(ID=self._random.choice(LEASES[3:]))


def comparable(answer: Any, request: Any) -> Any:
    """An answer without what may differ."""
    if isinstance(answer, Refused):
        return answer
    header = answer.header
    header.cluster_id = header.member_id = header.raft_term = 0
    if isinstance(answer, pb.RangeResponse):
        settle_ties(answer, request)
    if isinstance(answer, pb.TxnResponse):
        settle_nested_ties(answer, request)
    return answer


def settle_nested_ties(answer: pb.TxnResponse, request: pb.TxnRequest) -> None:
    ops = request.success if answer.succeeded else request.failure
    for op, response in zip(ops, answer.responses, strict=True):
        if op.HasField("request_range"):
            settle_ties(response.response_range, op.request_range)
        if op.HasField("request_txn"):
            settle_nested_ties(response.response_txn, op.request_txn)


def settle_ties(answer: pb.RangeResponse, request: pb.RangeRequest) -> None:
    """Of records with equal sort keys the order is open, and with a limit which of them come.

    Then only what they were sorted by is left to compare.
    """
    field = ["key", "version", "create_revision", "mod_revision", "value"][request.sort_target]
    values = [getattr(kv, field) for kv in answer.kvs]
    if field != "key" and (len(set(values)) < len(values) or answer.more):
        del answer.kvs[:]
        answer.kvs.extend(kv_pb2.KeyValue(**{field: value}) for value in values)


def assert_same_history(ours: Ours, etcd: Theirs) -> None:
    """What watchers from the compact revision on are told, live and caught up alike."""
    store = ours.applier.store
    start = max(1, store.compact_revision + 1)
    expected = etcd.events_since(start, store.revision)
    caught_up = store.events_since(start, len(expected) + 1)
    assert [event.to_pb(prev_kv=True) for event in caught_up] == expected
    assert expected
    live = [event for event in ours.events if event.record.main >= start]
    assert [event.to_pb(prev_kv=True) for event in live] == expected


def assert_same_leases(ours: Ours, etcd: Theirs) -> None:
    lessor = ours.applier.lessor
    for lease_id in set(LEASES) - {0}:
        keys = lessor.keys_of(lease_id) if lease_id in lessor.leases() else []
        assert set(keys) == etcd.keys_of(lease_id), lease_id


@pytest.mark.parametrize("seed", [1, 2])
def test_every_answer_is_etcds(etcd: Theirs, seed: int) -> None:
    ours = Ours()
    requests = Requests(seed)
    answered = refused = 0
    for number in range(REQUESTS):
        request = requests.next()
        expected = comparable(etcd.call(request), request)
        actual = comparable(ours.call(request), request)
        assert actual == expected, f"request {number} of seed {seed}: {request}"
        requests.revision = ours.applier.store.revision
        refused += isinstance(expected, Refused)
        answered += not isinstance(expected, Refused)
    assert_same_history(ours, etcd)
    assert_same_leases(ours, etcd)
    assert answered > REQUESTS / 2
    assert refused > REQUESTS / 50
