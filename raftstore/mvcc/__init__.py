"""The multi-version key space (PURE): see `store` for the whole, `watchers` for who follows it."""

from raftstore.mvcc.errors import SnapshotCorruptError
from raftstore.mvcc.hashing import HashKv
from raftstore.mvcc.revision import Event, Record, Revision
from raftstore.mvcc.store import Store, Writer

__all__ = ["Event", "HashKv", "Record", "Revision", "SnapshotCorruptError", "Store", "Writer"]
