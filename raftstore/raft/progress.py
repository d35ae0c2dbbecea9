"""What a leader knows of one follower's log, and how much it may send it.

Source: Raft paper §5.3 (nextIndex, matchIndex); the three states are etcd/raft's tracker.
"""

import enum
from collections import deque

from raftstore.raft.types import NO_INDEX, Index


class ProgressState(enum.Enum):
    """How a follower is fed."""

    PROBE = "probe"
    """Where the logs agree is not known: one message at a time."""
    REPLICATE = "replicate"
    """The logs agree up to `match`: messages are sent ahead, within the window."""
    SNAPSHOT = "snapshot"
    """A snapshot is on its way: nothing else is sent."""


class Progress:
    """Progress of one follower. Invariant: `match < next`."""

    __slots__ = (
        "_inflight",
        "_inflight_bytes",
        "_inflight_bytes_max",
        "_inflight_messages_max",
        "match",
        "needs_snapshot",
        "next",
        "pending_snapshot",
        "probe_sent",
        "recent_active",
        "sent_commit",
        "state",
    )

    def __init__(
        self, next_index: Index, *, inflight_messages_max: int, inflight_bytes_max: int
    ) -> None:
        self.state = ProgressState.PROBE
        self.match: Index = NO_INDEX
        self.next = next_index
        self.probe_sent = False
        """In PROBE: the one message is on its way."""
        self.pending_snapshot: Index = NO_INDEX
        self.needs_snapshot = False
        """It knows no membership, so it cannot begin with our first entry."""
        self.recent_active = False
        """Heard from since the last CheckQuorum."""
        self.sent_commit: Index = NO_INDEX
        """The highest commit index that an APP has told it."""
        self._inflight: deque[tuple[Index, int]] = deque()
        self._inflight_bytes = 0
        self._inflight_messages_max = inflight_messages_max
        self._inflight_bytes_max = inflight_bytes_max

    @property
    def window_full(self) -> bool:
        """Whether as many messages or bytes are in flight as may be."""
        return (
            len(self._inflight) >= self._inflight_messages_max
            or self._inflight_bytes >= self._inflight_bytes_max
        )

    @property
    def paused(self) -> bool:
        """Whether no APP may be sent now."""
        match self.state:
            case ProgressState.PROBE:
                return self.probe_sent
            case ProgressState.REPLICATE:
                return self.window_full
            case ProgressState.SNAPSHOT:
                return True

    def become_probe(self) -> None:
        """Start from what is known to match, or from the snapshot that is thought to be there."""
        base = max(self.match, self.pending_snapshot)
        self._reset(ProgressState.PROBE)
        self.next = Index(base + 1)

    def become_replicate(self) -> None:
        """The follower's log matches up to `match`."""
        self._reset(ProgressState.REPLICATE)
        self.next = Index(self.match + 1)

    def become_snapshot(self, index: Index) -> None:
        """A snapshot at `index` is being sent."""
        self._reset(ProgressState.SNAPSHOT)
        self.pending_snapshot = index

    def snapshot_failed(self) -> None:
        """The snapshot did not arrive: probe from what is known to match."""
        self.pending_snapshot = NO_INDEX
        self.become_probe()

    def _reset(self, state: ProgressState) -> None:
        self.state = state
        self.probe_sent = False
        self.pending_snapshot = NO_INDEX
        self.needs_snapshot = False
        self.sent_commit = NO_INDEX
        self._inflight.clear()
        self._inflight_bytes = 0

    def on_sent(self, last: Index, size: int) -> None:
        """An APP that ends at `last` with `size` bytes of entries was sent."""
        if self.state is ProgressState.PROBE:
            self.probe_sent = True
        elif last >= self.next:
            self.next = Index(last + 1)
            self._inflight.append((last, size))
            self._inflight_bytes += size

    def maybe_update(self, index: Index) -> bool:
        """The follower's log matches up to `index`. False if that is no news."""
        while self._inflight and self._inflight[0][0] <= index:
            self._inflight_bytes -= self._inflight.popleft()[1]
        if index <= self.match:
            return False
        self.match = index
        self.next = max(self.next, Index(index + 1))
        return True

    def maybe_decrease(self, rejected: Index, hint: Index) -> bool:
        """The follower refused entries after `rejected`; its log may agree up to `hint`.

        False if that is an old answer, overtaken by a later one.
        """
        if self.state is ProgressState.SNAPSHOT or rejected <= self.match:
            return False
        if self.state is ProgressState.REPLICATE:
            self.become_probe()
            return True
        if self.next - 1 != rejected:
            return False
        self.next = max(min(rejected, Index(hint + 1)), Index(self.match + 1))
        self.probe_sent = False
        return True
