"""The checksum by which members find out whether they still agree.

Covers, as etcd's KV hash does (server/storage/mvcc/hash.go), the records up to a revision, without
those that a compaction supersedes, be they dropped yet or not. Etcd uses CRC-32C over its own
record encoding; here it is CRC-32 over ours, so hashes compare among our members only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from raftstore.mvcc import errors
from raftstore.mvcc.revision import Record, Revision

if TYPE_CHECKING:
    from raftstore.mvcc.store import Store

_HEAD: Final = struct.Struct("<qqqqqII")


class HashKv(NamedTuple):
    """A checksum and what it is of. Only those of equal revisions may be compared."""

    hash: int
    compact_revision: Revision
    hash_revision: Revision


def hash_kv_steps(store: Store, revision: int) -> Iterator[HashKv | None]:
    """Check the revision at once; then hash lazily, from the history as it was at the call."""
    if revision > store.revision:
        raise errors.future_revision()
    if 0 < revision < store.compact_revision:
        raise errors.compacted()
    wanted = Revision(revision) if revision > 0 else store.revision
    return _hash_blocks(store, wanted, store.compact_revision, store.history.view())


def _hash_blocks(
    store: Store, revision: Revision, compact_revision: Revision, blocks: list[list[Record]]
) -> Iterator[HashKv | None]:
    checksum = 0
    for block in blocks:
        if block and block[0].main > revision:
            break
        for record in _hashed(store, block, revision, compact_revision):
            checksum = _add(checksum, record)
        yield None
        if store.compact_revision != compact_revision:
            raise errors.compacted()
    yield HashKv(checksum, compact_revision, revision)


def _hashed(
    store: Store, block: list[Record], revision: Revision, compact_revision: Revision
) -> Iterator[Record]:
    for record in block:
        if record.main > revision:
            return
        if record.main > compact_revision or store.index.keeps(record, compact_revision):
            yield record


def _add(checksum: int, record: Record) -> int:
    main, sub, key, value, create_revision, key_version, lease = record
    head = _HEAD.pack(main, sub, create_revision, key_version, lease, len(key), len(value))
    return crc32(value, crc32(key, crc32(head, checksum)))
