"""Who may hold the address. Pure: results of calls come in, actions go out, time is an argument.

An agent is the holder while two things are true: the record in the store is its own, and its lease
lives by its own reckoning, which starts *before* each renewal is sent and ends a margin before the
store's. The store deletes the record no earlier than the lease runs out there, so whoever creates
it next starts after the last holder has let go. The margin pays for clocks that drift and for a
loop that wakes late.

With a witness (all agents share a kernel: loopback), a refused connection proves that nobody holds
the address: the record may then be replaced by compare-and-swap before its lease ends. There the
exclusive bind is a second line of safety, and the only one against a record deleted by hand.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import NewType

LeaseId = NewType("LeaseId", int)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long and how often, in seconds; `drift` is the part of a lease that we give away."""

    ttl_s: int = 3
    drift: float = 0.1
    renew_every_s: float = 0.3
    verify_every_s: float = 1.0
    read_every_s: float = 1.0
    probe_every_s: float = 0.12
    settle_s: float = 0.1
    bind_every_s: float = 0.05
    retry_every_s: float = 0.1

    @classmethod
    def of_ttl(cls, ttl_s: int) -> "Timing":
        """The usual rhythm for a lease of this length: ten renewals in its life."""
        return cls(ttl_s=ttl_s, renew_every_s=ttl_s / 10)

    def __post_init__(self) -> None:
        if not self.renew_every_s < self.ttl_s * (1 - self.drift) / 3:
            raise ValueError("a lease must allow for two lost renewals")


class Call(Enum):
    """What an agent asks of the world; at most one of each is under way."""

    GRANT = "grant"
    KEEP_ALIVE = "keep-alive"
    READ = "read"
    CLAIM = "claim"
    REVOKE = "revoke"
    PROBE = "probe"
    BIND = "bind"


@dataclass(frozen=True, slots=True)
class Grant:
    """Ask the store for a lease of `ttl_s`; answer with on_granted or on_failed."""

    ttl_s: int


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Renew the lease; answer with on_renewed or on_failed."""

    lease: LeaseId


@dataclass(frozen=True, slots=True)
class Read:
    """Read the record, linearizable; answer with on_read or on_failed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Put our record, bound to `lease`, if the key's mod_revision is still `mod_revision` (0: if
    there is no key). Answer with on_claimed, on_read (what stood there instead), or on_failed.
    """

    lease: LeaseId
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Revoke:
    """End a lease and with it its record; answer with on_revoked, whatever came of it."""

    lease: LeaseId


@dataclass(frozen=True, slots=True)
class Probe:
    """Connect to the address; answer with on_probed."""


@dataclass(frozen=True, slots=True)
class Bind:
    """Take the address, until `deadline` unless extended; answer with on_bound or on_failed."""

    deadline: float


@dataclass(frozen=True, slots=True)
class Extend:
    """The address may be held until this later deadline."""

    deadline: float


@dataclass(frozen=True, slots=True)
class LetGo:
    """Close the listener and all connections, give up the address, now."""

    reason: str


Action = Grant | KeepAlive | Read | Claim | Revoke | Probe | Bind | Extend | LetGo


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease of ours; it lives at least until `deadline` on our clock."""

    id: LeaseId
    deadline: float


@dataclass(frozen=True, slots=True)
class SeenRecord:
    """The record as the store last showed it; mod_revision 0 if there is none."""

    mod_revision: int
    lease: LeaseId
    since: float


@dataclass(slots=True)
class Election:
    """One agent's view. The caller starts every action that `decide` returns and reports back.

    Times are seconds of one clock that never stands still, not even in suspension.
    """

    timing: Timing
    has_witness: bool
    lease: HeldLease | None = None
    record: SeenRecord | None = None
    bound: bool = False
    stopping: bool = False
    _claimed: int = 0  # mod_revision of our record; 0: we have none
    _refused_at: float | None = None  # when the last probe was sent, if it was refused
    _in_flight: set[Call] = field(default_factory=set)
    _not_before: dict[Call, float] = field(default_factory=dict)
    _extend: bool = False
    _let_go_reason: str = ""
    _doomed: list[LeaseId] = field(default_factory=list)

    @property
    def is_holder(self) -> bool:
        """Whether the record is ours; that the lease lives, `decide` makes sure."""
        return self._claimed != 0 and self.lease is not None

    @property
    def is_idle(self) -> bool:
        """After `stop`: whether nothing is left to do."""
        return self.stopping and not (self._in_flight or self.bound or self.lease or self._doomed)

    def decide(self, now: float) -> list[Action]:
        """What to do now. Everything is under way, in the caller's hands, once returned."""
        self._check_lease(now)
        actions = self._let_go_actions()
        if self.stopping:
            if self.lease is not None:
                self._give_up("stopping")
        elif self.is_holder:
            actions += self._holder_actions(now)
        else:
            actions += self._standby_actions(now)
        if self._doomed and self._may(Call.REVOKE, now):
            actions.append(Revoke(self._doomed.pop()))
        assert not self.bound or self.is_holder, "bound without being the holder"
        return actions

    # -- results -------------------------------------------------------------------------------

    def on_granted(self, lease: LeaseId, ttl_s: int, *, sent_at: float) -> None:
        """The store granted a lease that we asked for at `sent_at`."""
        self._done(Call.GRANT)
        assert self.lease is None
        self.lease = HeldLease(lease, self._deadline(sent_at, ttl_s))

    def on_renewed(self, lease: LeaseId, ttl_s: int, *, sent_at: float) -> None:
        """A renewal sent at `sent_at` was answered; `ttl_s` 0 says that there is no such lease."""
        self._done(Call.KEEP_ALIVE)
        if self.lease is None or self.lease.id != lease:
            return
        if ttl_s <= 0:
            self.lease = None
            self._lose("the store no longer knows the lease")
            return
        deadline = max(self.lease.deadline, self._deadline(sent_at, ttl_s))
        self.lease = HeldLease(lease, deadline)
        self._extend = self.bound

    def on_read(self, mod_revision: int, lease: LeaseId, *, now: float, call: Call) -> None:
        """The record as it stands: mod_revision 0 if there is none, and the lease it hangs on."""
        assert call in (Call.READ, Call.CLAIM)
        self._done(call)
        if self.record is None or self.record.mod_revision != mod_revision:
            self.record = SeenRecord(mod_revision, lease, now)
        ours = self.lease is not None and mod_revision != 0 and lease == self.lease.id
        if ours:
            self._claimed = mod_revision  # also when a claim's answer was lost
        elif self._claimed:
            self._give_up("another agent's record stands in the store")

    def on_claimed(self, mod_revision: int, lease: LeaseId, *, now: float) -> None:
        """Our record stands, at this revision, hanging on this lease."""
        self.on_read(mod_revision, lease, now=now, call=Call.CLAIM)

    def on_probed(self, *, refused: bool, sent_at: float) -> None:
        """Whether a connection to the address, begun at `sent_at`, was refused."""
        self._done(Call.PROBE)
        self._refused_at = sent_at if refused else None

    def on_bound(self) -> None:
        """The address is ours; if we lost the right to it meanwhile, `decide` lets it go."""
        self._done(Call.BIND)
        self.bound = True
        if not self.is_holder:
            self._lose("the right to it was lost while it was taken")

    def on_revoked(self) -> None:
        self._done(Call.REVOKE)

    def on_failed(self, call: Call, *, now: float) -> None:
        """A call failed, or nobody knows; it may be made again after a pause."""
        self._done(call)
        pause = self.timing.bind_every_s if call is Call.BIND else self.timing.retry_every_s
        self._not_before[call] = now + pause
        if call is Call.CLAIM:
            self._forget_record()  # it may have taken effect: read before claiming again

    def stop(self) -> None:
        """Let go and revoke, so that another agent need not wait."""
        self.stopping = True
        self._give_up("stopping")

    # -- rules ---------------------------------------------------------------------------------

    def _holder_actions(self, now: float) -> list[Action]:
        assert self.lease is not None
        actions: list[Action] = []
        if self._may(Call.KEEP_ALIVE, now):
            self._not_before[Call.KEEP_ALIVE] = now + self.timing.renew_every_s
            actions.append(KeepAlive(self.lease.id))
        if self._may(Call.READ, now):
            self._not_before[Call.READ] = now + self.timing.verify_every_s
            actions.append(Read())
        if not self.bound and self._may(Call.BIND, now):
            actions.append(Bind(self.lease.deadline))
        elif self._extend:
            actions.append(Extend(self.lease.deadline))
        self._extend = False
        return actions

    def _standby_actions(self, now: float) -> list[Action]:
        actions: list[Action] = []
        if self.has_witness and self._may(Call.PROBE, now):
            self._not_before[Call.PROBE] = now + self.timing.probe_every_s
            actions.append(Probe())
        # A read and a claim are never under way together: what a read shows is then what stands
        # after every claim of ours that was answered.
        if Call.CLAIM in self._in_flight or Call.READ in self._in_flight:
            return actions
        if self.record is not None and self._may_claim(self.record):
            if self.lease is None:
                if self._may(Call.GRANT, now):
                    actions.append(Grant(self.timing.ttl_s))
            elif self._may(Call.CLAIM, now):
                actions.append(Claim(self.lease.id, self.record.mod_revision))
            return actions
        if self.lease is not None and self.record is not None:
            self._give_up("not needed")
        if self._may(Call.READ, now):
            self._not_before[Call.READ] = now + self.timing.read_every_s
            actions.append(Read())
        return actions

    def _may_claim(self, record: SeenRecord) -> bool:
        if record.mod_revision == 0:
            return True
        # A fresh record's owner gets time to bind before a refusal counts against it.
        settled_at = record.since + self.timing.settle_s
        return self._refused_at is not None and self._refused_at >= settled_at

    def _check_lease(self, now: float) -> None:
        if self.lease is not None and now >= self.lease.deadline:
            self._give_up("the lease could not be renewed in time")

    def _give_up(self, reason: str) -> None:
        """Let go, and have the lease revoked so that nobody waits for it to run out."""
        if self.lease is not None:
            self._doomed.append(self.lease.id)
            self.lease = None
        self._lose(reason)

    def _lose(self, reason: str) -> None:
        self._claimed = 0
        self._refused_at = None
        self._forget_record()
        self._let_go_reason = reason

    def _forget_record(self) -> None:
        self.record = None
        self._not_before.pop(Call.READ, None)

    def _let_go_actions(self) -> list[Action]:
        if not self.bound or self.is_holder:
            return []
        self.bound = False
        return [LetGo(self._let_go_reason)]

    def _deadline(self, sent_at: float, ttl_s: int) -> float:
        return sent_at + ttl_s * (1 - self.timing.drift)

    def _may(self, call: Call, now: float) -> bool:
        """Whether the call may start now; if so, the caller starts it."""
        if call in self._in_flight or now < self._not_before.get(call, now):
            return False
        self._in_flight.add(call)
        return True

    def _done(self, call: Call) -> None:
        assert call in self._in_flight, f"{call} was not under way"
        self._in_flight.discard(call)
