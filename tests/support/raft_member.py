"""One simulated member: a Raft core, a disk that forgets what was not synced, a state machine.

It drives the core exactly as its contract says (persist -> send -> apply -> advance), may be slow
at any step while other events come in, and may die at any step.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from raftstore.raft import (
    ConfChange,
    ConfChangeKind,
    Config,
    ConfState,
    Entry,
    EntryKind,
    HardState,
    Index,
    MemberId,
    Message,
    MessageKind,
    ProposalDropped,
    Raft,
    RaftLog,
    Ready,
    SnapshotMeta,
)
from tests.support.raft_checks import Checks

State = tuple[bytes, ...]


@dataclass(frozen=True)
class Plant:
    """What a cluster is built from; a planted bug replaces a part."""

    raft_type: type[Raft] = Raft
    log_type: type[RaftLog] = RaftLog
    send_before_persist: bool = False
    vote_persisted: bool = True


@dataclass
class SimDisk:
    """What survives a crash. `unsynced` is a hard state that was written but not synced."""

    snapshot: SnapshotMeta
    state: State = ()
    hard_state: HardState = field(default_factory=HardState)
    entries: list[Entry] = field(default_factory=list)
    unsynced: HardState | None = None

    def persist(self, ready: Ready, state: State, plant: Plant, *, entries_max: int) -> None:
        """Write a Ready; a crash in the middle leaves only the first `entries_max` entries."""
        hard_state = ready.hard_state
        if hard_state is not None:
            if not plant.vote_persisted:
                hard_state = HardState(hard_state.term, MemberId(0), hard_state.commit)
            self.unsynced = hard_state
        if not ready.must_sync:
            return
        if self.unsynced is not None:
            self.hard_state, self.unsynced = self.unsynced, None
        if ready.snapshot is not None:
            self.snapshot, self.state, self.entries = ready.snapshot, state, []
        entries = ready.entries[:entries_max]
        if entries:
            first = entries[0].index
            while self.entries and self.entries[-1].index >= first:
                self.entries.pop()
            self.entries.extend(entries)


class SimMember:
    """A member that can be stepped, slowed, killed and started again."""

    PHASES = ("before persist", "torn persist", "before send", "while sending", "before apply")

    def __init__(
        self,
        member: MemberId,
        initial: ConfState,
        *,
        random: Random,
        settings: dict[str, int],
        checks: Checks,
        plant: Plant,
        send: Callable[[Message, State], None],
    ) -> None:
        self.id = member
        self.random = random
        self.settings = settings
        self.checks = checks
        self.plant = plant
        self._send = send
        self.disk = SimDisk(SnapshotMeta(conf_state=initial))
        self.incarnation = 0
        self.alive = False
        self.doomed: str | None = None
        """The phase at which it is to die."""
        self.start()

    def start(self) -> None:
        """Begin, or begin again, from what the disk holds."""
        disk = self.disk
        self.alive = True
        self.doomed = None
        self.incarnation += 1
        self.outstanding: Ready | None = None
        self.raft = self.plant.raft_type(
            Config(id=self.id, random=self.random, hard_state=disk.hard_state, **self.settings),
            self.plant.log_type(disk.snapshot, disk.entries),
        )
        self.state: list[bytes] = list(disk.state)
        self.images: dict[Index, State] = {}
        self.waiting: set[bytes] = set()
        self.reads: dict[bytes, Index] = {}
        self.confirmed: list[Index] = []

    def crash(self) -> None:
        """Lose everything that a completed persist did not make durable."""
        self.alive = False
        if self.disk.unsynced is not None and self.random.random() < 0.5:
            self.disk.hard_state = self.disk.unsynced
        self.disk.unsynced = None

    # Events

    def propose(self, data: bytes) -> None:
        try:
            self.raft.propose(data)
        except ProposalDropped:
            return
        self.waiting.add(data)

    def read(self, context: bytes) -> None:
        self.reads[context] = self.checks.floor
        self.raft.read_index(context)

    def receive(self, message: Message, image: State) -> None:
        if message.snapshot is not None:
            self.images[message.snapshot.index] = image
        self.raft.step(message)

    def compact(self, keep: int) -> None:
        """Take a snapshot of what is applied, unless one is being installed."""
        raft = self.raft
        if self.outstanding is not None or raft.log.pending_snapshot is not None:
            return
        term = raft.log.term_at(raft.applied_index)
        if raft.applied_index == self.disk.snapshot.index or term is None:
            return
        meta = SnapshotMeta(raft.applied_index, term, raft.conf_state)
        index = Index(max(0, raft.applied_index - keep))
        self.disk.snapshot, self.disk.state = meta, tuple(self.state)
        self.disk.entries = [entry for entry in self.disk.entries if entry.index > index]
        raft.compact(index, meta)

    # The Ready loop, one phase at a time

    def take(self) -> bool:
        """Take the next Ready if there is one."""
        if self.outstanding is None and self.raft.has_ready():
            self.outstanding = self.raft.ready()
            return True
        return False

    def finish(self) -> None:
        """Do all that the outstanding Ready asks for, or die on the way."""
        ready = self.outstanding
        assert ready is not None
        early = self.plant.send_before_persist or (
            ready.may_send_early and self.random.random() < 0.5
        )
        if early:
            self._send_all(ready, len(ready.messages))
        if self._dies("before persist"):
            return
        torn = self.doomed == "torn persist"
        limit = self.random.randrange(len(ready.entries) + 1) if torn else len(ready.entries)
        image = self.images[ready.snapshot.index] if ready.snapshot is not None else ()
        self.disk.persist(ready, image, self.plant, entries_max=limit)
        if self._dies("torn persist") or self._dies("before send"):
            return
        if not early:
            dying = self.doomed == "while sending"
            count = len(ready.messages)
            self._send_all(ready, self.random.randrange(count + 1) if dying else count)
        if self._dies("while sending") or self._dies("before apply"):
            return
        self._apply(ready, image)
        self.outstanding = None
        self.raft.advance(ready)
        self._serve()

    def _dies(self, phase: str) -> bool:
        if self.doomed == phase:
            self.crash()
        return not self.alive

    def _send_all(self, ready: Ready, count: int) -> None:
        for message in ready.messages[:count]:
            self.checks.on_sent(message)
            self._send(message, self.disk.state if message.kind is MessageKind.SNAP else ())

    def _apply(self, ready: Ready, image: State) -> None:
        if ready.snapshot is not None:
            self.state = list(image)
        for entry in ready.committed:
            self.checks.on_applied(self, entry)
            if entry.kind is EntryKind.CONF_CHANGE:
                self.raft.apply_conf_change(decode_conf_change(entry.data))
            elif entry.data:
                self.state.append(entry.data)
                if entry.data in self.waiting:
                    self.waiting.remove(entry.data)
                    self.checks.on_acknowledged(entry.data, entry.index)
        for read in ready.read_states:
            self.checks.on_read_confirmed(read.context, self.reads.pop(read.context), read.index)
            self.confirmed.append(read.index)
        for context in ready.aborted_reads:
            del self.reads[context]

    def _serve(self) -> None:
        applied = self.raft.applied_index
        for index in self.confirmed:
            if index <= applied:
                self.checks.on_read_served(applied)
        self.confirmed = [index for index in self.confirmed if index > applied]


def encode_conf_change(change: ConfChange) -> bytes:
    """As the data of a CONF_CHANGE entry."""
    return bytes((change.kind, change.member))


def decode_conf_change(data: bytes) -> ConfChange:
    """The reverse."""
    return ConfChange(ConfChangeKind(data[0]), MemberId(data[1]))
