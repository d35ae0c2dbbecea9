"""The recent events of the whole key space, for watches that resume. PURE.

Bounded in events and in bytes; what falls out raises `floor`. A watch may resume from any
revision at or above the floor: all events after it are here.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from apiserver.store.objects import Event

EVENTS_MAX: Final = 50_000
BYTES_MAX: Final = 48 * 1024 * 1024


class History:
    """A ring of events in revision order."""

    def __init__(
        self, floor: int = 0, *, events_max: int = EVENTS_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._events_max = events_max
        self._bytes_max = bytes_max
        # Invariant: every event with a revision above `floor` that was ever appended is held.
        self.floor = floor

    def __len__(self) -> int:
        return len(self._events)

    def append(self, event: Event) -> None:
        """Take the next event; forgets the oldest revisions when a bound is passed."""
        assert event.revision > self.floor, (event.revision, self.floor)
        assert not self._events or event.revision >= self._events[-1].revision
        self._events.append(event)
        self._bytes += _size(event)
        while len(self._events) > self._events_max or self._bytes > self._bytes_max:
            self._forget_oldest_revision()

    def _forget_oldest_revision(self) -> None:
        self.floor = self._events[0].revision
        while self._events and self._events[0].revision <= self.floor:
            self._bytes -= _size(self._events.popleft())

    def reset(self, floor: int) -> None:
        """Forget all: there is a gap below `floor`."""
        self._events.clear()
        self._bytes = 0
        self.floor = floor

    def since(self, revision: int, prefix: str) -> Iterator[Event]:
        """Events under `prefix` with revisions above `revision`, oldest first."""
        assert revision >= self.floor, (revision, self.floor)
        newer: list[Event] = []
        for event in reversed(self._events):
            if event.revision <= revision:
                break
            if event.key.startswith(prefix):
                newer.append(event)
        return reversed(newer)


def _size(event: Event) -> int:
    subject = event.current or event.previous
    assert subject is not None
    return len(subject.encoded)
