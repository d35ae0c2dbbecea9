"""What the key space refuses, in etcd's codes and texts (etcd api/v3rpc/rpctypes/error.go).

All of these are definite: what they answer was checked before anything changed.
"""

from __future__ import annotations

from raftstore.errors import Code, StoreError


class SnapshotCorruptError(Exception):
    """A snapshot's chunks cannot be read: cut short, altered, or of another format version."""


def _invalid(text: str) -> StoreError:
    return StoreError(Code.INVALID_ARGUMENT, f"etcdserver: {text}", definite=True)


def empty_key() -> StoreError:
    """Every operation names a key."""
    return _invalid("key is not provided")


def key_not_found() -> StoreError:
    """A put that keeps the value or lease needs a key that has them; also for an empty txn op."""
    return _invalid("key not found")


def value_provided() -> StoreError:
    """`ignore_value` with a value."""
    return _invalid("value is provided")


def lease_provided() -> StoreError:
    """`ignore_lease` with a lease."""
    return _invalid("lease is provided")


def too_many_operations() -> StoreError:
    """More compares or operations in a branch than `--max-txn-ops`."""
    return _invalid("too many operations in txn request")


def duplicate_key() -> StoreError:
    """One txn would put a key twice, or put and delete it."""
    return _invalid("duplicate key given in txn request")


def invalid_sort_option() -> StoreError:
    """A sort order or target that does not exist."""
    return _invalid("invalid sort option")


def compacted() -> StoreError:
    """The revision is below the compact revision."""
    text = "etcdserver: mvcc: required revision has been compacted"
    return StoreError(Code.OUT_OF_RANGE, text, definite=True)


def future_revision() -> StoreError:
    """The revision is not reached yet."""
    text = "etcdserver: mvcc: required revision is a future revision"
    return StoreError(Code.OUT_OF_RANGE, text, definite=True)


def no_space() -> StoreError:
    """The NOSPACE alarm stands: only reads and deletes until it is disarmed."""
    text = "etcdserver: mvcc: database space exceeded"
    return StoreError(Code.RESOURCE_EXHAUSTED, text, definite=True)


def corrupt() -> StoreError:
    """The CORRUPT alarm stands: members were seen to disagree."""
    return StoreError(Code.DATA_LOSS, "etcdserver: corrupt cluster", definite=True)
