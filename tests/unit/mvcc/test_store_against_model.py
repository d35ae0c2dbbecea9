"""The key space against the simplest model there is: every revision's whole content in a dict.

Two members apply the same commands and compact at their own pace, a third is restored from a
snapshot of one of them; all must agree with the model and with each other at every revision.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from etcdclient.pb import rpc_pb2 as pb
from etcdclient.pb.kv_pb2 import KeyValue
from raftstore.apply import Applier, ApplyResult
from raftstore.errors import Code, StoreError
from raftstore.lease.lessor import Lessor
from raftstore.mvcc.store import Store
from raftstore.pb.command_pb2 import Command, MemberAttributes

KEYS = [b"a", b"b", b"ba", b"bb", b"c", b"d"]
LEASES = [7, 8]
BLOCK_RECORDS = 4

keys = st.sampled_from(KEYS)
range_ends = st.sampled_from([b"", b"\0", b"a", b"bb", b"c"])
values = st.binary(max_size=2)
leases = st.sampled_from([0, *LEASES])


class ModelEvent(NamedTuple):
    revision: int
    key: bytes
    after: KeyValue | None
    before: KeyValue | None


class Nobody:
    def apply_attributes(self, attributes: MemberAttributes, /) -> None:
        raise AssertionError(attributes)


def member() -> Applier:
    return Applier(Store(block_records=BLOCK_RECORDS), Lessor(1), Nobody())


def in_range(key: bytes, start: bytes, end: bytes) -> bool:
    if not end:
        return key == start
    return key >= start and (end == b"\0" or key < end)


class KeySpace(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.eager, self.lazy = member(), member()
        self.index = 0
        self.content: dict[int, dict[bytes, KeyValue]] = {1: {}}
        self.events: list[ModelEvent] = []
        self.revision = 1
        self.compact_revision = -1
        for lease in LEASES:
            self._apply(Command(lease_grant=pb.LeaseGrantRequest(ID=lease, TTL=60)))

    def _apply(self, command: Command) -> ApplyResult:
        self.index += 1
        result = self.eager.apply(self.index, command)
        again = self.lazy.apply(self.index, command)
        assert (result.response, list(result.events)) == (again.response, list(again.events))
        assert repr(result.error) == repr(again.error)
        return result

    def _begin(self) -> dict[bytes, KeyValue]:
        return dict(self.content[self.revision])

    def _commit(self, content: dict[bytes, KeyValue]) -> None:
        """Make `content` the next revision if it differs, noting what changed."""
        before = self.content[self.revision]
        changed = [key for key in {**before, **content} if before.get(key) != content.get(key)]
        if changed:
            self.revision += 1
            self.content[self.revision] = content
            for key in sorted(changed):
                event = ModelEvent(self.revision, key, content.get(key), before.get(key))
                self.events.append(event)

    def _write(self, content: dict[bytes, KeyValue], request: pb.PutRequest) -> None:
        main = self.revision + 1
        before = content.get(request.key)
        content[request.key] = KeyValue(
            key=request.key,
            value=request.value,
            lease=request.lease,
            mod_revision=main,
            create_revision=main if before is None else before.create_revision,
            version=1 if before is None else before.version + 1,
        )

    @rule(key=keys, value=values, lease=leases)
    def put(self, key: bytes, value: bytes, lease: int) -> None:
        request = pb.PutRequest(key=key, value=value, lease=lease, prev_kv=True)
        content = self._begin()
        before = content.get(key)
        response = self._apply(Command(put=request)).response
        self._write(content, request)
        self._commit(content)
        assert isinstance(response, pb.PutResponse)
        assert response.HasField("prev_kv") == (before is not None)
        assert before is None or response.prev_kv == before
        assert response.header.revision == self.revision

    @rule(key=keys, end=range_ends)
    def delete(self, key: bytes, end: bytes) -> None:
        request = pb.DeleteRangeRequest(key=key, range_end=end, prev_kv=True)
        content = self._begin()
        doomed = sorted(known for known in content if in_range(known, key, end))
        response = self._apply(Command(delete_range=request)).response
        assert isinstance(response, pb.DeleteRangeResponse)
        assert list(response.prev_kvs) == [content.pop(known) for known in doomed]
        assert response.deleted == len(doomed)
        self._commit(content)
        assert response.header.revision == self.revision

    @rule(
        compared=keys,
        back=st.integers(0, 3),
        puts=st.dictionaries(keys, values, max_size=3),
        deleted=keys,
    )
    def txn(self, compared: bytes, back: int, puts: dict[bytes, bytes], deleted: bytes) -> None:
        """If `compared` was changed at a revision, write and delete; else read it."""
        at = self.revision - back
        compare = pb.Compare(key=compared, target=pb.Compare.MOD, mod_revision=at)
        requests = [pb.PutRequest(key=key, value=value) for key, value in puts.items()]
        success = [pb.RequestOp(request_put=request) for request in requests]
        if deleted not in puts:
            delete = pb.DeleteRangeRequest(key=deleted)
            success.append(pb.RequestOp(request_delete_range=delete))
        everything = pb.RangeRequest(key=b"\0", range_end=b"\0")
        success.append(pb.RequestOp(request_range=everything))
        failure = [pb.RequestOp(request_range=pb.RangeRequest(key=compared))]
        request = pb.TxnRequest(compare=[compare], success=success, failure=failure)
        content = self._begin()
        holds = content.get(compared, KeyValue()).mod_revision == at
        response = self._apply(Command(txn=request)).response
        assert isinstance(response, pb.TxnResponse)
        assert response.succeeded == holds
        seen = list(response.responses[-1].response_range.kvs)
        if not holds:
            assert seen == [content[key] for key in (compared,) if key in content]
        else:
            for put in requests:
                self._write(content, put)
            if deleted not in puts:
                content.pop(deleted, None)
            assert seen == [content[key] for key in sorted(content)]
            self._commit(content)
        assert response.header.revision == self.revision

    @rule(lease=st.sampled_from(LEASES))
    def revoke_and_grant(self, lease: int) -> None:
        content = self._begin()
        doomed = [key for key, kv in content.items() if kv.lease == lease]
        assert self.eager.lessor.keys_of(lease) == sorted(doomed)
        result = self._apply(Command(lease_revoke=pb.LeaseRevokeRequest(ID=lease)))
        assert [event.record.key for event in result.events] == sorted(doomed)
        for key in doomed:
            del content[key]
        self._commit(content)
        self._apply(Command(lease_grant=pb.LeaseGrantRequest(ID=lease, TTL=60)))

    @rule(back=st.integers(-1, 8))
    def compact(self, back: int) -> None:
        wanted = self.revision - back
        error = self._apply(Command(compact=pb.CompactionRequest(revision=wanted))).error
        if wanted <= self.compact_revision or wanted > self.revision:
            assert error is not None
            assert error.code == Code.OUT_OF_RANGE
        else:
            assert error is None
            self.compact_revision = wanted

    @precondition(lambda self: self.eager.store.compaction_pending())
    @rule()
    def compact_eagerly(self) -> None:
        while self.eager.store.compaction_step(records_max=1):
            pass

    @precondition(lambda self: self.lazy.store.compaction_pending())
    @rule()
    def compact_lazily(self) -> None:
        self.lazy.store.compaction_step(records_max=1)

    @rule()
    def restore_the_lazy_member(self) -> None:
        restored = member()
        restored.restore(self.lazy.snapshot_chunks())
        self.lazy = restored

    @rule(key=keys, end=range_ends, limit=st.integers(0, 3), back=st.integers(-1, 9))
    def read(self, key: bytes, end: bytes, limit: int, back: int) -> None:
        at = max(0, self.revision - back)
        request = pb.RangeRequest(key=key, range_end=end, limit=limit, revision=at)
        for store in (self.eager.store, self.lazy.store):
            if at > self.revision or 0 < at < self.compact_revision:
                assert_refused(store, request)
                continue
            content = self.content[at or self.revision]
            found = sorted(known for known in content if in_range(known, key, end))
            response = store.range(request)
            shown = found[:limit] if limit else found
            assert list(response.kvs) == [content[known] for known in shown]
            assert response.count == len(found)
            assert response.more == (len(shown) < len(found))
            assert response.header.revision == self.revision
            counted = pb.RangeRequest(key=key, range_end=end, revision=at, count_only=True)
            assert store.range(counted).count == len(found)

    @rule(back=st.integers(0, 9), limit=st.integers(1, 5))
    def follow(self, back: int, limit: int) -> None:
        start = max(1, self.compact_revision, self.revision - back)
        expected = [event for event in self.events if event.revision >= start]
        for store in (self.eager.store, self.lazy.store):
            found = store.events_since(start, limit)
            assert [event.record.main for event in found] == sorted(
                event.revision for event in expected[: len(found)]
            )
            complete = not found or found[-1].record.main
            rest = expected[len(found) :]
            assert not rest or (len(found) >= limit and rest[0].revision != complete)
            by_key = {(int(event.record.main), event.record.key): event for event in found}
            for event in expected[: len(found)]:
                seen = by_key[event.revision, event.key]
                assert seen.record.is_tombstone == (event.after is None)
                before = None if event.revision - 1 < self.compact_revision else event.before
                assert (seen.previous and seen.previous.to_pb()) == before

    @invariant()
    def members_agree(self) -> None:
        for at in range(max(1, self.compact_revision), self.revision + 1):
            assert self.eager.store.hash_kv(at) == self.lazy.store.hash_kv(at)
        assert self.eager.lessor.grants() == self.lazy.lessor.grants()
        for lease in LEASES:
            assert self.eager.lessor.keys_of(lease) == self.lazy.lessor.keys_of(lease)

    @invariant()
    def nothing_is_kept_beyond_need(self) -> None:
        """Once compacted, the history holds what a reader or watcher can still ask for, no more."""
        store = self.eager.store
        if store.compaction_pending():
            return
        remembered = list(store.history.since(0))
        needed = {event.revision for event in self.events}
        needed = {revision for revision in needed if revision >= self.compact_revision}
        if self.compact_revision > 0:
            content = self.content[self.compact_revision].values()
            needed |= {kv.mod_revision for kv in content}
        assert {record.main for record in remembered} == needed
        weight = sum(len(record.key) + len(record.value) + 64 for record in remembered)
        assert store.size_bytes == weight
        indexed = [*store.index.live.values(), *store.index.dead.values()]
        indexed += [record for older in store.index.older.values() for record in older]
        assert sorted(indexed) == remembered


def assert_refused(store: Store, request: pb.RangeRequest) -> None:
    with pytest.raises(StoreError) as refusal:
        store.range(request)
    assert refusal.value.code == Code.OUT_OF_RANGE


TestKeySpace = KeySpace.TestCase
TestKeySpace.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
