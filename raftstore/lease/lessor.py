"""Which leases are granted, which keys hang on them, and, on the leader, when they run out.

Grants, revocations, attachments and checkpoints come through apply and are equal on all members.
Time is not: only the leader counts it, from ticks, and what it finds expired it merely names; a
lease ends for everyone by a `lease_revoke` in the log. A new leader gives every lease its time
again, so a lease may live longer than asked but never shorter. Source: etcd server/lease/lessor.go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple, NewType

from raftstore.lease import errors

LeaseId = NewType("LeaseId", int)

TTL_MAX_S: Final = 9_000_000_000
EXPIRED_MAX: Final = 500
"""How many expired leases one tick names by default; the rest wait for the next."""
REVOKE_RETRY_MS: Final = 3_000
"""An expired lease is named again if it has not been revoked by then."""
CHECKPOINT_INTERVAL_MS: Final = 5 * 60 * 1_000
"""How often the remaining time of a long lease is made known, so that a new leader does not
start it from the beginning."""
CHECKPOINTS_MAX: Final = 1_000
"""How many checkpoints one tick names."""
SWEEP_MIN: Final = 1_000
"""How many entries of revoked leases are tolerated in the heap, beside one for each lease."""


class LeaseTtl(NamedTuple):
    """What a lease has left, in whole seconds (0 where not leader), and its keys, sorted."""

    ttl_s: int
    granted_ttl_s: int
    keys: list[bytes]


class LeaseCheckpoint(NamedTuple):
    """How much time a lease had left; 0 means that it was renewed."""

    lease_id: LeaseId
    remaining_ttl_s: int


class LeaseTick(NamedTuple):
    """What the leader should propose: leases to revoke and checkpoints to record."""

    expired: list[LeaseId]
    checkpoints: list[LeaseCheckpoint]


class LeaseGrant(NamedTuple):
    """A lease as it stands in a snapshot; its keys follow from the key space."""

    lease_id: LeaseId
    ttl_s: int
    remaining_ttl_s: int


@dataclass(slots=True)
class _Lease:
    """`remaining_ttl_s` is 0 unless a checkpoint set it. The times count on the leader only.

    `due_ms` and `checkpoint_due_ms` say which entry of the lessor's heaps is the valid one.
    """

    lease_id: LeaseId
    ttl_s: int
    remaining_ttl_s: int = 0
    expires_at_ms: int = 0
    due_ms: int = 0
    checkpoint_due_ms: int = 0
    keys: set[bytes] = field(default_factory=set)


class Lessor:
    """All leases of one member.

    `ttl_min_s` must be equal on all members: it decides what a grant answers. It must cover an
    election, or a leader could die and take every short lease with it (`ttl_min_of`).
    Invariant: while primary, each lease has one valid entry in `_due`, not later than it expires
    unless its revocation is awaited.
    """

    def __init__(self, ttl_min_s: int) -> None:
        self._ttl_min_s = ttl_min_s
        self._leases: dict[LeaseId, _Lease] = {}
        self._now_ms = 0
        self._primary = False
        self._due: list[tuple[int, LeaseId]] = []
        self._checkpoints_due: list[tuple[int, LeaseId]] = []
        self._renewed: dict[LeaseId, None] = {}

    @property
    def is_primary(self) -> bool:
        """Whether this member counts time, being the leader."""
        return self._primary

    def check(self, lease_id: int) -> None:
        """StoreError unless the lease is granted."""
        if lease_id not in self._leases:
            raise errors.lease_not_found()

    def leases(self) -> list[LeaseId]:
        """The ids of all leases, those that expire first (as far as known here) leading."""
        return sorted(
            self._leases, key=lambda lease_id: (self._leases[lease_id].expires_at_ms, lease_id)
        )

    # Called by apply, in log order.

    def grant(self, lease_id: int, ttl_s: int) -> int:
        """Grant a lease; its time to live, at least the minimum.

        StoreError if the id is 0 (the proposer has to choose one) or taken, or the time too long.
        """
        if lease_id == 0:
            raise errors.lease_not_found()
        if ttl_s > TTL_MAX_S:
            raise errors.lease_ttl_too_large()
        if lease_id in self._leases:
            raise errors.lease_exists()
        lease = _Lease(LeaseId(lease_id), max(ttl_s, self._ttl_min_s))
        self._leases[lease.lease_id] = lease
        if self._primary:
            self._start(lease, extend_ms=0)
        return lease.ttl_s

    def keys_of(self, lease_id: int) -> list[bytes]:
        """The keys attached to a lease, sorted. StoreError if it is not granted."""
        return sorted(self._get(lease_id).keys)

    def revoke(self, lease_id: int) -> None:
        """Forget a lease. Its keys must be deleted by the caller, beforehand."""
        lease = self._get(lease_id)
        assert not lease.keys, lease
        del self._leases[lease.lease_id]
        self._renewed.pop(lease.lease_id, None)
        self._maybe_sweep()

    def attach(self, lease_id: int, key: bytes) -> None:
        """Hang a key on a lease, which must be granted."""
        self._leases[LeaseId(lease_id)].keys.add(key)

    def detach(self, lease_id: int, key: bytes) -> None:
        """Take a key off a lease, if it hangs on it."""
        self._leases[LeaseId(lease_id)].keys.discard(key)

    def checkpoint(self, lease_id: int, remaining_ttl_s: int) -> None:
        """Record what a lease had left; 0 says that it was renewed. One that is gone is ignored.

        A leader may learn only now of a renewal that the one before it answered.
        """
        lease = self._leases.get(LeaseId(lease_id))
        if lease is None:
            return
        lease.remaining_ttl_s = remaining_ttl_s
        if remaining_ttl_s == 0 and lease.expires_at_ms > self._now_ms:
            lease.expires_at_ms = self._now_ms + lease.ttl_s * 1_000

    def grants(self) -> list[LeaseGrant]:
        """All leases as a snapshot keeps them, by id."""
        return [
            LeaseGrant(lease.lease_id, lease.ttl_s, lease.remaining_ttl_s)
            for _, lease in sorted(self._leases.items())
        ]

    def restore(self, grants: Iterable[LeaseGrant], attached: Iterable[tuple[int, bytes]]) -> None:
        """Replace all leases by those of a snapshot; `attached` are its (lease, key) pairs.

        A member that restores follows, so no time is counted until it is promoted.
        """
        self.demote()
        self._leases = {
            grant.lease_id: _Lease(grant.lease_id, grant.ttl_s, grant.remaining_ttl_s)
            for grant in grants
        }
        for lease_id, key in attached:
            self.attach(lease_id, key)

    # Called on the leader, by the node and its services.

    def promote(self, extend_ms: int) -> None:
        """Begin to count: every lease gets its (checkpointed) time again, and `extend_ms` more."""
        self.demote()
        self._primary = True
        for lease in self._leases.values():
            self._start(lease, extend_ms=extend_ms)

    def demote(self) -> None:
        """Stop counting; another member does, or nobody."""
        self._primary = False
        self._due = []
        self._checkpoints_due = []
        self._renewed.clear()
        for lease in self._leases.values():
            lease.expires_at_ms = lease.due_ms = lease.checkpoint_due_ms = 0

    def keep_alive(self, lease_id: int) -> int:
        """Give a lease its full time again; that time in seconds.

        StoreError if it is not granted or has expired, even if its revocation is still to come.
        """
        assert self._primary, "only the leader keeps leases alive"
        lease = self._get(lease_id)
        if lease.expires_at_ms <= self._now_ms:
            raise errors.lease_not_found()
        if lease.remaining_ttl_s:
            self._renewed[lease.lease_id] = None
        lease.expires_at_ms = self._now_ms + lease.ttl_s * 1_000
        return lease.ttl_s

    def time_to_live(self, lease_id: int) -> LeaseTtl:
        """What a lease has left and what hangs on it. StoreError if it is not granted."""
        lease = self._get(lease_id)
        left_ms = max(0, lease.expires_at_ms - self._now_ms)
        return LeaseTtl(left_ms // 1_000, lease.ttl_s, sorted(lease.keys))

    def pass_time(self, elapsed_ms: int) -> None:
        """Time has passed. What is granted, renewed or promoted next counts from here."""
        self._now_ms += elapsed_ms

    def tick(self, elapsed_ms: int, *, expired_max: int = EXPIRED_MAX) -> LeaseTick:
        """Let time pass; what to propose now. Anywhere but on the leader: nothing."""
        self.pass_time(elapsed_ms)
        if not self._primary:
            return LeaseTick([], [])
        return LeaseTick(self._pop_expired(expired_max), self._pop_checkpoints())

    def _pop_expired(self, expired_max: int) -> list[LeaseId]:
        """Expired leases, each put back to be named again should its revocation get lost.

        A renewal leaves the entry where it is; it moves to the lease's new time when it comes up.
        """
        expired: list[LeaseId] = []
        while self._due and self._due[0][0] <= self._now_ms and len(expired) < expired_max:
            due_ms, lease_id = heappop(self._due)
            lease = self._leases.get(lease_id)
            if lease is None or lease.due_ms != due_ms:
                continue
            if lease.expires_at_ms > self._now_ms:
                self._await_expiry(lease, lease.expires_at_ms)
            else:
                expired.append(lease_id)
                self._await_expiry(lease, self._now_ms + REVOKE_RETRY_MS)
        return expired

    def _pop_checkpoints(self) -> list[LeaseCheckpoint]:
        checkpoints = [LeaseCheckpoint(lease_id, 0) for lease_id in self._renewed]
        self._renewed.clear()
        due = self._checkpoints_due
        while due and due[0][0] <= self._now_ms and len(checkpoints) < CHECKPOINTS_MAX:
            due_ms, lease_id = heappop(due)
            lease = self._leases.get(lease_id)
            if lease is None or lease.checkpoint_due_ms != due_ms:
                continue
            self._await_checkpoint(lease)
            left_s = math.ceil((lease.expires_at_ms - self._now_ms) / 1_000)
            if 0 < left_s < lease.ttl_s:
                checkpoints.append(LeaseCheckpoint(lease_id, left_s))
        return checkpoints

    def _start(self, lease: _Lease, *, extend_ms: int) -> None:
        left_s = lease.remaining_ttl_s or lease.ttl_s
        lease.expires_at_ms = self._now_ms + left_s * 1_000 + extend_ms
        self._await_expiry(lease, lease.expires_at_ms)
        if lease.ttl_s * 1_000 > CHECKPOINT_INTERVAL_MS:
            self._await_checkpoint(lease)

    def _await_expiry(self, lease: _Lease, due_ms: int) -> None:
        lease.due_ms = due_ms
        heappush(self._due, (due_ms, lease.lease_id))

    def _await_checkpoint(self, lease: _Lease) -> None:
        lease.checkpoint_due_ms = self._now_ms + CHECKPOINT_INTERVAL_MS
        heappush(self._checkpoints_due, (lease.checkpoint_due_ms, lease.lease_id))

    def _maybe_sweep(self) -> None:
        """Drop entries of revoked leases once they are the most; their own time may be far off."""
        most = 2 * len(self._leases) + SWEEP_MIN
        leases = self._leases.values()
        if len(self._due) > most:
            self._due = [(lease.due_ms, lease.lease_id) for lease in leases]
            heapify(self._due)
        if len(self._checkpoints_due) > most:
            self._checkpoints_due = [
                (lease.checkpoint_due_ms, lease.lease_id)
                for lease in leases
                if lease.checkpoint_due_ms
            ]
            heapify(self._checkpoints_due)

    def _get(self, lease_id: int) -> _Lease:
        lease = self._leases.get(LeaseId(lease_id))
        if lease is None:
            raise errors.lease_not_found()
        return lease


def ttl_min_of(election_timeout_ms: int) -> int:
    """The shortest lease that outlives an election: one and a half timeouts, in whole seconds."""
    return math.ceil(1.5 * election_timeout_ms / 1_000)
