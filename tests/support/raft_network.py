"""Members and a network for tests that play a scene step by step. No chance, no time but ticks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from raftstore.raft import (
    Config,
    ConfState,
    Entry,
    EntryKind,
    HardState,
    Index,
    MemberId,
    Message,
    MessageKind,
    Raft,
    RaftLog,
    ReadState,
    Role,
    SnapshotMeta,
    Term,
)
from tests.support.raft_member import decode_conf_change


def entry(term: int, index: int, data: bytes = b"") -> Entry:
    """A normal entry."""
    return Entry(Term(term), Index(index), EntryKind.NORMAL, data)


def entries(*terms: int, first: int = 1) -> list[Entry]:
    """Entries of these terms, from index `first` on."""
    return [entry(term, first + position) for position, term in enumerate(terms)]


def members(*ids: int) -> tuple[MemberId, ...]:
    """Ids as the core wants them."""
    return tuple(map(MemberId, ids))


@dataclass
class Actor:
    """A member whose Readys are done at once and in full, and remembered."""

    raft: Raft
    committed: list[Entry] = field(default_factory=list)
    reads: list[ReadState] = field(default_factory=list)
    aborted: list[bytes] = field(default_factory=list)

    def drain(self) -> list[Message]:
        """Do everything that is ready. Returns what was sent."""
        sent: list[Message] = []
        while self.raft.has_ready():
            ready = self.raft.ready()
            sent += ready.messages
            self.committed += ready.committed
            self.reads += ready.read_states
            self.aborted += ready.aborted_reads
            for applied in ready.committed:
                if applied.kind is EntryKind.CONF_CHANGE:
                    self.raft.apply_conf_change(decode_conf_change(applied.data))
            self.raft.advance(ready)
        return sent

    def step(self, message: Message) -> list[Message]:
        """Take in a message. Returns what was sent because of it."""
        self.raft.step(message)
        return self.drain()

    def tick(self, count: int = 1) -> list[Message]:
        """Let time pass. Returns what was sent meanwhile."""
        sent: list[Message] = []
        for _ in range(count):
            self.raft.tick()
            sent += self.drain()
        return sent


def actor(
    member: int = 1,
    *,
    voters: Sequence[int] = (1, 2, 3),
    learners: Sequence[int] = (),
    log: Sequence[Entry] = (),
    snapshot: SnapshotMeta | None = None,
    term: int = 0,
    vote: int = 0,
    commit: int = 0,
    raft_type: type[Raft] = Raft,
    **settings: int,
) -> Actor:
    """A follower restored from what is given, with election_ticks 10, heartbeat_ticks 1."""
    conf_state = ConfState(members(*voters), members(*learners))
    term = max(term, log[-1].term if log else 0)
    config = Config(
        id=MemberId(member),
        random=Random(member),
        hard_state=HardState(Term(term), MemberId(vote), Index(commit)),
        **settings,
    )
    return Actor(raft_type(config, RaftLog(snapshot or SnapshotMeta(conf_state=conf_state), log)))


def acknowledge(leader: Actor, follower: int, index: int, *, term: int | None = None) -> None:
    """Let `follower` say that its log matches up to `index`, in the leader's term or another."""
    leader.step(
        Message(
            kind=MessageKind.APP_RESP,
            to=leader.raft.id,
            from_=MemberId(follower),
            term=leader.raft.term if term is None else Term(term),
            index=Index(index),
        )
    )


def lead(one: Actor, *voters: int) -> None:
    """Let `one` win an election with these votes."""
    one.raft.campaign(transfer=True)
    one.drain()
    for voter in voters:
        one.step(
            Message(
                kind=MessageKind.VOTE_RESP,
                to=one.raft.id,
                from_=MemberId(voter),
                term=one.raft.term,
            )
        )
    assert one.raft.role is Role.LEADER


class Network:
    """Actors and the links between them; what is sent on a cut link is lost."""

    def __init__(self, *actors: Actor) -> None:
        self.actors = {one.raft.id: one for one in actors}
        self.cut: set[tuple[int, int]] = set()
        self.lost: Callable[[Message], bool] = lambda message: False
        self.delivered: list[Message] = []

    def __getitem__(self, member: int) -> Actor:
        return self.actors[MemberId(member)]

    def isolate(self, *some: int) -> None:
        """Cut these members off from all others, but not from one another."""
        for one in self.actors:
            for other in self.actors:
                if (one in some) != (other in some):
                    self.cut.add((one, other))

    def heal(self) -> None:
        """Mend all links."""
        self.cut.clear()
        self.lost = lambda message: False

    def settle(self, *, rounds_max: int = 200) -> None:
        """Deliver until nobody has anything to say."""
        for _ in range(rounds_max):
            sent = [message for one in self.actors.values() for message in one.drain()]
            if not sent:
                return
            for message in sent:
                link = (message.from_, message.to)
                if message.to in self.actors and link not in self.cut and not self.lost(message):
                    self.delivered.append(message)
                    self[message.to].raft.step(message)
        raise AssertionError("the members never stop talking")

    def tick(self, count: int = 1) -> None:
        """Let time pass for all, delivering after every tick."""
        for _ in range(count):
            for one in self.actors.values():
                one.raft.tick()
            self.settle()

    def elect(self, member: int) -> Actor:
        """Make this member campaign and win."""
        self[member].raft.campaign(transfer=True)
        self.settle()
        assert self[member].raft.role is Role.LEADER, self[member].raft.role
        return self[member]

    def leaders(self) -> list[MemberId]:
        """Who takes itself for the leader."""
        return [one.raft.id for one in self.actors.values() if one.raft.role is Role.LEADER]


def cluster(count: int = 3) -> Network:
    """So many voters that know nothing yet."""
    ids = range(1, count + 1)
    return Network(*(actor(member, voters=tuple(ids)) for member in ids))
