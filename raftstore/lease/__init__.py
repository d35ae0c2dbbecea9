"""Leases: keys that live only as long as somebody keeps them alive (PURE); see `lessor`."""

from raftstore.lease.lessor import LeaseCheckpoint, LeaseId, LeaseTick, LeaseTtl, Lessor

__all__ = ["LeaseCheckpoint", "LeaseId", "LeaseTick", "LeaseTtl", "Lessor"]
