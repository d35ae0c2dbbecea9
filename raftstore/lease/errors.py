"""What the lessor refuses, in etcd's codes and texts (etcd api/v3rpc/rpctypes/error.go)."""

from __future__ import annotations

from raftstore.errors import Code, StoreError


def lease_not_found() -> StoreError:
    """No lease has that id: never granted, revoked or expired."""
    return StoreError(Code.NOT_FOUND, "etcdserver: requested lease not found", definite=True)


def lease_exists() -> StoreError:
    """A lease with that id is granted already."""
    return StoreError(Code.FAILED_PRECONDITION, "etcdserver: lease already exists", definite=True)


def lease_ttl_too_large() -> StoreError:
    """The time to live is beyond what any clock here could count."""
    return StoreError(Code.OUT_OF_RANGE, "etcdserver: too large lease TTL", definite=True)
