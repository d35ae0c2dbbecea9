"""A snapshot restored in slices gives the same state as one restored in one go."""

from __future__ import annotations

import random

import pytest

from raftstore.apply import Applier
from raftstore.lease import Lessor
from raftstore.membership import Membership
from raftstore.mvcc import Store
from raftstore.mvcc.errors import SnapshotCorruptError
from raftstore.pb.command_pb2 import Command


def applier() -> Applier:
    return Applier(Store(block_records=16), Lessor(1), Membership(1))


def with_history(seed: int) -> Applier:
    """Keys written, overwritten, deleted and written again, some compacted, some leased."""
    chance = random.Random(seed)
    made = applier()
    index = 1
    grant = Command()
    grant.lease_grant.ID, grant.lease_grant.TTL = 5, 60
    made.apply(index, grant)
    for _ in range(3_000):
        index += 1
        command = Command()
        key = b"k%03d" % chance.randrange(300)
        if chance.random() < 0.3:
            command.delete_range.key = key
        else:
            command.put.key, command.put.value = key, chance.randbytes(chance.randrange(20))
            command.put.lease = chance.choice((0, 5))
        made.apply(index, command)
    compact = Command()
    compact.compact.revision = made.store.revision // 2
    made.apply(index + 1, compact)
    while chance.random() < 0.9 and made.store.compaction_step(100):
        pass
    return made


@pytest.mark.parametrize("seed", range(6))
def test_slices_make_the_same_state(seed: int) -> None:
    origin = with_history(seed)
    chunks = list(origin.snapshot_chunks())
    whole, sliced = applier(), with_history(seed + 100)
    whole.restore(chunks)
    before = sliced.store.hash_kv()
    steps = sliced.restore_steps(chunks)
    next(steps)
    assert sliced.store.hash_kv() == before, "the old state is there until the last slice"
    assert sum(1 for _ in steps) >= 1
    while sliced.store.forget_step():
        pass
    for one in (whole, sliced):
        assert one.store.hash_kv() == origin.store.hash_kv()
        assert one.store.revision == origin.store.revision
        assert one.lessor.keys_of(5) == origin.lessor.keys_of(5)
    first = max(1, origin.store.compact_revision)
    assert sliced.store.events_since(first, 10_000) == whole.store.events_since(first, 10_000)
    assert sliced.store.index.live == whole.store.index.live
    assert sliced.store.index.dead == whole.store.index.dead
    assert sliced.store.index.older == whole.store.index.older


def test_a_cut_snapshot_leaves_the_old_state() -> None:
    made = with_history(1)
    before = made.store.hash_kv()
    cut = list(with_history(2).snapshot_chunks())[:-1]
    with pytest.raises(SnapshotCorruptError, match="ends before"):
        for _ in made.restore_steps(cut):
            pass
    assert made.store.hash_kv() == before
