"""A whole Raft cluster in one thread, with every fault that a seed asks for.

Virtual time, a network that drops, delays, duplicates, reorders and cuts, members that stall and
die at any step, clients that propose and read, an operator that changes members, moves leadership
and compacts. The same seed gives the same run, event by event:

    python -m tests.support.raft_cluster SEED      prints it
"""

import heapq
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from raftstore.raft import (
    ConfChange,
    ConfChangeKind,
    ConfState,
    MemberId,
    Message,
    MessageKind,
    ProposalDropped,
    Role,
)
from raftstore.raft.render import describe_message
from tests.support.raft_checks import BrokenPromiseError, Checks
from tests.support.raft_member import Plant, SimMember, State, encode_conf_change

TICK = 100
"""Units of virtual time between two ticks of a member."""


@dataclass(frozen=True)
class Profile:
    """How hostile a run is: chances for each message, and mean times between faults in ticks.

    `draw` picks one at random, so that some runs see much of one fault and none of another
    (swarm testing): a fault that is always there hides the bugs that need its absence.
    """

    voters: int
    spares: int
    drop: float
    duplicate: float
    delay_max: int
    straggle: float
    slow: float
    crash_every: int
    partition_every: int
    conf_change_every: int
    transfer_every: int
    compact_every: int
    append_bytes_max: int
    ticks: int = 160

    @staticmethod
    def draw(random: Random) -> "Profile":
        never = 1 << 30
        return Profile(
            voters=random.choice((1, 2, 3, 3, 3, 5, 5)),
            spares=random.choice((0, 0, 1, 2)),
            drop=random.choice((0.0, 0.0, 0.02, 0.1)),
            duplicate=random.choice((0.0, 0.05, 0.2)),
            delay_max=random.choice((20, 100, 400, 1000)),
            straggle=random.choice((0.0, 0.0, 0.02, 0.1)),
            slow=random.choice((0.0, 0.2, 0.6)),
            crash_every=random.choice((never, 15, 40)),
            partition_every=random.choice((never, 20, 50)),
            conf_change_every=random.choice((never, 12, 30)),
            transfer_every=random.choice((never, 15, 60)),
            compact_every=random.choice((never, 4, 12)),
            append_bytes_max=random.choice((1, 100, 1 << 20)),
        )


@dataclass
class Outcome:
    """What a run that kept every promise has done."""

    acknowledged: int
    reads_served: int
    leaders: int
    crashes: int
    events: int


class Cluster:
    """One run. `run` raises BrokenPromiseError, or the core's own assertion fails."""

    def __init__(
        self,
        seed: int,
        *,
        plant: Plant | None = None,
        profile: Profile | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.profile = profile or Profile.draw(self.random)
        self.log = log
        self.checks = Checks()
        self.now = 0
        self.crashes = 0
        self.healing = False
        self.cut: set[tuple[MemberId, MemberId]] = set()
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._operations = 0
        voters = tuple(MemberId(n + 1) for n in range(self.profile.voters))
        settings = {
            "election_ticks": 5,
            "heartbeat_ticks": 1,
            "append_bytes_max": self.profile.append_bytes_max,
            "inflight_messages_max": 4,
        }
        self.members: dict[MemberId, SimMember] = {}
        for n in range(self.profile.voters + self.profile.spares):
            member = MemberId(n + 1)
            self.members[member] = SimMember(
                member,
                ConfState(voters if member in voters or self.random.random() < 0.5 else ()),
                random=self.random,
                settings=settings,
                checks=self.checks,
                plant=plant or Plant(),
                send=self._send,
            )
            self._at(self.random.randrange(TICK), partial(self._tick, member))
        self._at(TICK, self._client)
        for every, fault in (
            (self.profile.crash_every, self._crash),
            (self.profile.partition_every, self._partition),
            (self.profile.conf_change_every, self._change_members),
            (self.profile.transfer_every, self._transfer),
            (self.profile.compact_every, self._compact),
        ):
            self._repeat(every, fault)

    # Time

    def _at(self, delay: int, event: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (self.now + delay, self._sequence, event))

    def _repeat(self, every: int, fault: Callable[[], None]) -> None:
        """Let `fault` happen at random, every so many ticks on average, until healing begins."""

        def fire() -> None:
            if not self.healing:
                fault()
                self._repeat(every, fault)

        self._at(self.random.randrange(1, 2 * every) * TICK, fire)

    def _run_until(self, end: int) -> None:
        while self._queue and self._queue[0][0] <= end:
            self.now, _, event = heapq.heappop(self._queue)
            event()
        self.now = end

    def _note(self, text: str) -> None:
        if self.log is not None:
            self.log(f"{self.now / TICK:8.2f} {text}")

    # Members

    def _after_event(self, member: SimMember) -> None:
        """Drive the Ready loop, now or after a while, and judge."""
        self.checks.on_event(member)
        while member.alive and member.take():
            if self.random.random() < self.profile.slow and not self.healing:
                late = partial(self._finish_late, member, member.incarnation)
                self._at(self.random.randrange(TICK), late)
                return
            self._finish(member)

    def _finish_late(self, member: SimMember, incarnation: int) -> None:
        if member.alive and member.incarnation == incarnation:
            self._finish(member)
            self._after_event(member)

    def _finish(self, member: SimMember) -> None:
        member.finish()
        if member.alive:
            self.checks.on_event(member)
        else:
            self._on_crashed(member)

    def _tick(self, id_: MemberId) -> None:
        member = self.members[id_]
        self._at(TICK + self.random.randrange(-5, 6), lambda: self._tick(id_))
        if member.alive:
            member.raft.tick()
            self._after_event(member)

    # Network

    def _send(self, message: Message, image: State) -> None:
        chance = 1.0 if self.healing else self.random.random()
        self._note(f"{describe_message(message)}{' LOST' if chance < self.profile.drop else ''}")
        lost = chance < self.profile.drop
        copies = 2 if not lost and chance > 1 - self.profile.duplicate and not self.healing else 1
        delay_max = 20 if self.healing else self.profile.delay_max
        for _ in range(copies):
            delay = self.random.randrange(1, delay_max)
            if self.random.random() < self.profile.straggle and not self.healing:
                delay += self.random.randrange(40 * TICK)  # beyond a few elections
            self._at(delay, partial(self._deliver, message, image, sent_at=self.now, lost=lost))

    def _deliver(self, message: Message, image: State, *, sent_at: int, lost: bool) -> None:
        link = (message.from_, message.to)
        receiver = self.members[message.to]
        # A healed network is rid of stragglers: those of a leader that is gone would keep others
        # believing in it.
        too_late = self.healing and self.now - sent_at > 10 * TICK
        lost = lost or too_late or link in self.cut or not receiver.alive
        if message.kind is MessageKind.SNAP:
            sender = self.members[message.from_]
            if sender.alive:
                sender.raft.report_snapshot(message.to, ok=not lost)
                self._after_event(sender)
        if lost or not receiver.alive:
            return
        receiver.receive(message, image)
        self._after_event(receiver)

    # Clients

    def _client(self) -> None:
        if not self.healing:
            self._at(self.random.randrange(1, 2 * TICK), self._client)
        alive = [member for member in self.members.values() if member.alive]
        if alive:
            self._operate(self.random.choice(alive))

    def _operate(self, member: SimMember) -> None:
        self._operations += 1
        if self.random.random() < 0.6:
            member.propose(b"p%d" % self._operations)
        else:
            member.read(b"r%d" % self._operations)
        self._after_event(member)

    # Faults and operators

    def _some_member(self) -> SimMember:
        """Often the leader: most faults hurt there."""
        members = list(self.members.values())
        leaders = [m for m in members if m.alive and m.raft.role is Role.LEADER]
        return self.random.choice(leaders if leaders and self.random.random() < 0.5 else members)

    def _crash(self) -> None:
        member = self._some_member()
        if member.alive and member.doomed is None:
            member.doomed = self.random.choice(SimMember.PHASES)
            self._note(f"{member.id} is to crash {member.doomed}")

    def _on_crashed(self, member: SimMember) -> None:
        self.crashes += 1
        self._note(f"{member.id} crashed")
        self._at(self.random.randrange(1, 12 * TICK), lambda: self._restart(member))

    def _restart(self, member: SimMember) -> None:
        if not member.alive:
            self._note(f"{member.id} restarts")
            member.start()
            self._after_event(member)

    def _partition(self) -> None:
        ids = list(self.members)
        some = {self._some_member().id}
        if self.random.random() < 0.5:
            some = set(self.random.sample(ids, self.random.randrange(1, len(ids) + 1)))
        one_way = self.random.random() < 0.2
        cut = [(a, b) for a in ids for b in ids if a in some and b not in some]
        self.cut = set(cut if one_way else cut + [(b, a) for a, b in cut])
        self._note(f"cut {sorted(self.cut)}")
        self._at(self.random.randrange(2, 25) * TICK, self._reconnect)

    def _reconnect(self) -> None:
        self.cut = set()
        self._note("reconnected")

    def _change_members(self) -> None:
        for member in self.members.values():
            if member.alive and member.raft.role is Role.LEADER:
                kind = self.random.choice(tuple(ConfChangeKind))
                if kind is ConfChangeKind.REMOVE and len(member.raft.conf_state.voters) < 3:
                    continue
                change = ConfChange(kind, self.random.choice(list(self.members)))
                self._note(f"{member.id} proposes {change}")
                try:
                    member.raft.propose_conf_change(encode_conf_change(change))
                except ProposalDropped:
                    continue
                self._after_event(member)

    def _transfer(self) -> None:
        member = self._some_member()
        if member.alive:
            member.raft.transfer_leadership(self.random.choice(list(self.members)))
            self._after_event(member)

    def _compact(self) -> None:
        for member in self.members.values():
            if member.alive and self.random.random() < 0.5:
                member.compact(keep=self.random.choice((0, 0, 5)))
        self.checks.log_matching(list(self.members.values()))

    # The run

    def run(self) -> Outcome:
        """Chaos, then healing, then everything that was promised must be there."""
        self._run_until(self.profile.ticks * TICK)
        self.checks.log_matching(list(self.members.values()))
        self.healing = True
        self.cut = set()
        for member in self.members.values():
            member.doomed = None
            self._restart(member)
        self._run_until(self.now + 40 * TICK)
        final = self._final_member()
        final.compact(keep=0)  # Whoever joined without knowing anybody waits for a snapshot.
        self._run_until(self.now + 10 * TICK)
        final.propose(b"final")
        self._after_event(final)
        self._run_until(self.now + 10 * TICK)
        if b"final" not in self.checks.acknowledged:
            raise BrokenPromiseError("liveness: a healed cluster did not commit a proposal in time")
        conf = final.raft.conf_state
        self.checks.at_end([self.members[m] for m in sorted(conf.voters + conf.learners)])
        self.checks.log_matching(list(self.members.values()))
        return Outcome(
            acknowledged=len(self.checks.acknowledged),
            reads_served=self.checks.reads_served,
            leaders=len(self.checks.leaders),
            crashes=self.crashes,
            events=self._sequence,
        )

    def _final_member(self) -> SimMember:
        """The leader, which a healed cluster must have by now."""
        leaders = [m for m in self.members.values() if m.raft.role is Role.LEADER]
        if not leaders:
            raise BrokenPromiseError("liveness: a healed cluster elected no leader in time")
        return max(leaders, key=lambda member: member.raft.term)


def replay_command(seed: int) -> str:
    """What prints the run of `seed`."""
    return f"python -m tests.support.raft_cluster {seed}"


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main(arguments: list[str]) -> int:
    """Print one run; exit code 1 if it breaks a promise."""
    cluster = Cluster(int(arguments[0]), log=_print)
    _print(f"{cluster.profile}")
    _print(f"{cluster.run()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
