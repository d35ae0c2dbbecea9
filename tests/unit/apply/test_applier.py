"""Commands beyond plain writes: leases and their keys, alarms, attributes, whole snapshots."""

from __future__ import annotations

from typing import Any

import pytest

from etcdclient.pb import rpc_pb2 as pb
from raftstore.apply import FORMAT_VERSION, Applier
from raftstore.errors import Code
from raftstore.lease.lessor import Lessor
from raftstore.mvcc.errors import SnapshotCorruptError
from raftstore.mvcc.store import Store
from raftstore.pb.command_pb2 import Command, MemberAttributes


class Attributes:
    """Remembers what members published."""

    def __init__(self) -> None:
        self.published: list[MemberAttributes] = []

    def apply_attributes(self, attributes: MemberAttributes, /) -> None:
        self.published.append(attributes)


class Member:
    """An applier that is fed one entry after the other."""

    def __init__(self) -> None:
        self.attributes = Attributes()
        self.applier = Applier(Store(), Lessor(1), self.attributes)

    def do(self, **op: Any) -> Any:
        """Apply a command that succeeds; its response."""
        result = self.applier.apply(self.applier.applied_index + 1, Command(**op))
        assert result.error is None
        return result.response

    def refused(self, **op: Any) -> tuple[Code, str]:
        """Apply a command that fails; code and text."""
        revision = self.applier.store.revision
        result = self.applier.apply(self.applier.applied_index + 1, Command(**op))
        assert result.error is not None
        assert result.response is None
        assert not result.events
        assert self.applier.store.revision == revision
        return result.error.code, result.error.text

    def keys_of(self, lease: int) -> list[bytes]:
        return self.applier.lessor.keys_of(lease)


def put(key: bytes, lease: int = 0) -> pb.PutRequest:
    return pb.PutRequest(key=key, lease=lease)


def test_revoking_a_lease_deletes_its_keys_in_one_revision_in_order() -> None:
    member = Member()
    member.do(lease_grant=pb.LeaseGrantRequest(ID=7, TTL=60))
    for key in (b"c", b"a", b"b"):
        member.do(put=put(key, 7))
    member.do(put=put(b"other"))
    revoke = Command(lease_revoke=pb.LeaseRevokeRequest(ID=7))
    result = member.applier.apply(100, revoke)
    assert [repr(event) for event in result.events] == [
        "6.0 DELETE b'a'",
        "6.1 DELETE b'b'",
        "6.2 DELETE b'c'",
    ]
    assert isinstance(result.response, pb.LeaseRevokeResponse)
    assert result.response.header.revision == 6
    assert member.applier.lessor.leases() == []
    gone = (Code.NOT_FOUND, "etcdserver: requested lease not found")
    assert member.refused(lease_revoke=pb.LeaseRevokeRequest(ID=7)) == gone
    assert member.refused(put=put(b"a", 7)) == gone


def test_a_lease_without_keys_goes_without_a_revision() -> None:
    member = Member()
    member.do(lease_grant=pb.LeaseGrantRequest(ID=7, TTL=60))
    assert member.do(lease_revoke=pb.LeaseRevokeRequest(ID=7)).header.revision == 1


def test_a_key_follows_the_lease_it_was_last_put_with() -> None:
    member = Member()
    member.do(lease_grant=pb.LeaseGrantRequest(ID=7, TTL=60))
    member.do(lease_grant=pb.LeaseGrantRequest(ID=8, TTL=60))
    member.do(put=put(b"a", 7))
    member.do(put=put(b"a", 8))
    assert (member.keys_of(7), member.keys_of(8)) == ([], [b"a"])
    member.do(put=pb.PutRequest(key=b"a", value=b"v", ignore_lease=True))
    assert member.keys_of(8) == [b"a"]
    member.do(put=put(b"a"))
    assert member.keys_of(8) == []
    member.do(put=put(b"a", 8))
    member.do(delete_range=pb.DeleteRangeRequest(key=b"a"))
    assert member.keys_of(8) == []


@pytest.mark.parametrize("again", [7, 8, 0])
def test_a_key_deleted_and_put_in_one_txn_ends_on_the_lease_of_the_put(again: int) -> None:
    member = Member()
    member.do(lease_grant=pb.LeaseGrantRequest(ID=7, TTL=60))
    member.do(lease_grant=pb.LeaseGrantRequest(ID=8, TTL=60))
    member.do(put=put(b"a", 7))
    everything = pb.DeleteRangeRequest(key=b"\0", range_end=b"\0")
    delete = pb.RequestOp(request_delete_range=everything)
    write = pb.RequestOp(request_put=put(b"a", again))
    member.do(txn=pb.TxnRequest(success=[delete, write]))
    assert (member.keys_of(7) == [b"a"]) == (again == 7)
    assert (member.keys_of(8) == [b"a"]) == (again == 8)
    member.do(txn=pb.TxnRequest(success=[write, delete]))
    assert member.keys_of(7) == member.keys_of(8) == []


def alarm(action: str, kind: str, member_id: int = 1) -> pb.AlarmRequest:
    return pb.AlarmRequest(action=action, memberID=member_id, alarm=kind)


def test_without_space_only_what_adds_nothing_goes_on() -> None:
    member = Member()
    member.do(put=put(b"a"))
    raised = member.do(alarm=alarm("ACTIVATE", "NOSPACE"))
    assert raised.alarms == [pb.AlarmMember(memberID=1, alarm=pb.NOSPACE)]
    no_space = (Code.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")
    write = pb.RequestOp(request_put=put(b"b"))
    nested = pb.RequestOp(request_txn=pb.TxnRequest(failure=[write]))
    assert member.refused(put=put(b"b")) == no_space
    assert member.refused(txn=pb.TxnRequest(success=[nested])) == no_space
    assert member.refused(lease_grant=pb.LeaseGrantRequest(ID=7, TTL=60)) == no_space
    delete = pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=b"a"))
    assert member.do(txn=pb.TxnRequest(success=[delete])).header.revision == 3
    member.do(compact=pb.CompactionRequest(revision=2))
    member.do(alarm=alarm("DEACTIVATE", "NOSPACE"))
    member.do(put=put(b"b"))


def test_once_corrupt_nothing_goes_on() -> None:
    member = Member()
    member.do(alarm=alarm("ACTIVATE", "CORRUPT"))
    corrupt = (Code.DATA_LOSS, "etcdserver: corrupt cluster")
    assert member.refused(put=put(b"a")) == corrupt
    assert member.refused(delete_range=pb.DeleteRangeRequest(key=b"a")) == corrupt
    assert member.refused(txn=pb.TxnRequest()) == corrupt
    assert member.refused(compact=pb.CompactionRequest(revision=1)) == corrupt
    assert member.refused(lease_grant=pb.LeaseGrantRequest(ID=7, TTL=60)) == corrupt
    assert member.refused(lease_revoke=pb.LeaseRevokeRequest(ID=7)) == corrupt


def test_alarms_stand_until_they_are_disarmed() -> None:
    member = Member()
    for member_id in (2, 1):
        member.do(alarm=alarm("ACTIVATE", "NOSPACE", member_id))
    member.do(alarm=alarm("ACTIVATE", "CORRUPT", 3))
    listed = member.do(alarm=alarm("GET", "NONE")).alarms
    assert [(each.memberID, each.alarm) for each in listed] == [(1, 1), (2, 1), (3, 2)]
    listed = member.do(alarm=alarm("GET", "NOSPACE")).alarms
    assert [each.memberID for each in listed] == [1, 2]
    assert len(member.do(alarm=alarm("DEACTIVATE", "NOSPACE", 1)).alarms) == 1
    assert len(member.do(alarm=alarm("DEACTIVATE", "NOSPACE", 1)).alarms) == 0
    assert member.applier.alarms.has(pb.NOSPACE)
    member.do(alarm=alarm("DEACTIVATE", "NOSPACE", 2))
    assert not member.applier.alarms.has(pb.NOSPACE)
    assert member.applier.alarms


def test_what_rpc_should_have_refused_is_refused_here_too() -> None:
    member = Member()
    empty = (Code.INVALID_ARGUMENT, "etcdserver: key is not provided")
    assert member.refused(put=pb.PutRequest()) == empty
    assert member.refused(delete_range=pb.DeleteRangeRequest()) == empty
    twice = pb.TxnRequest(success=[pb.RequestOp(request_put=put(b"a"))] * 2)
    code, text = member.refused(txn=twice)
    assert (code, text) == (
        Code.INVALID_ARGUMENT,
        "etcdserver: duplicate key given in txn request",
    )


def test_the_number_of_operations_is_no_matter_of_apply() -> None:
    """--max-txn-ops may differ between members; what was proposed is applied."""
    member = Member()
    many = [pb.RequestOp(request_put=put(b"%d" % number)) for number in range(1_000)]
    assert len(member.do(txn=pb.TxnRequest(success=many)).responses) == 1_000


def test_members_publish_their_names() -> None:
    member = Member()
    attributes = MemberAttributes(member_id=5, name="cp1", client_urls=["https://a:2379"])
    assert member.do(member_attributes=attributes) is None
    assert member.attributes.published == [attributes]


def test_the_index_may_repeat_but_not_fall() -> None:
    member = Member()
    member.applier.apply(5, Command(put=put(b"a")))
    member.applier.apply(5, Command(put=put(b"b")))
    with pytest.raises(AssertionError):
        member.applier.apply(4, Command(put=put(b"c")))
    assert member.applier.applied_index == 5


def filled() -> Member:
    member = Member()
    member.do(lease_grant=pb.LeaseGrantRequest(ID=7, TTL=600))
    member.do(lease_grant=pb.LeaseGrantRequest(ID=8, TTL=60))
    for number in range(50):
        member.do(put=put(b"key%d" % number, 7 if number % 2 else 0))
    member.do(delete_range=pb.DeleteRangeRequest(key=b"key1", range_end=b"key2"))
    checkpoint = pb.LeaseCheckpoint(ID=7, remaining_TTL=99)
    member.do(lease_checkpoint=pb.LeaseCheckpointRequest(checkpoints=[checkpoint]))
    member.do(alarm=alarm("ACTIVATE", "NOSPACE", 3))
    member.do(compact=pb.CompactionRequest(revision=20))
    return member


def test_a_snapshot_carries_leases_and_alarms_too() -> None:
    member, copy = filled(), Member()
    chunks = member.applier.snapshot_chunks()
    hashed = member.applier.store.hash_kv()
    grants = member.applier.lessor.grants()
    member.do(lease_revoke=pb.LeaseRevokeRequest(ID=8))
    member.do(alarm=alarm("DEACTIVATE", "NOSPACE", 3))
    copy.applier.restore(chunks)
    assert copy.applier.store.hash_kv() == hashed
    assert copy.applier.lessor.grants() == grants
    assert copy.keys_of(7) == member.keys_of(7) != []
    assert copy.applier.alarms.has(pb.NOSPACE)
    copy.do(lease_revoke=pb.LeaseRevokeRequest(ID=7))
    assert not any(record.lease for record in copy.applier.store.index.live.values())


def test_a_snapshot_that_cannot_be_read_changes_nothing() -> None:
    chunks = list(filled().applier.snapshot_chunks())
    later = chunks[0][:4] + (FORMAT_VERSION + 1).to_bytes(4, "little") + chunks[0][8:]
    damaged = {
        "not a snapshot of the store": chunks[1:],
        "format version 2": [later, *chunks[1:]],
        "first chunk": [chunks[0][:-1], *chunks[1:]],
        "not a snapshot of the key space": [chunks[0], *chunks[2:]],
        "ends before": chunks[:-1],
    }
    member = filled()
    before = list(member.applier.snapshot_chunks())
    for reason, bad in damaged.items():
        with pytest.raises(SnapshotCorruptError, match=reason):
            member.applier.restore(bad)
        assert list(member.applier.snapshot_chunks()) == before
