"""The watchers of the cache: who gets which event, in one order for all. PURE.

An event is offered to each watcher whose prefix its key has. A watcher queues it until its
connection takes it; one that falls too far behind is cut, and resumes by resourceVersion.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from apiserver.store.objects import Event, EventType, StoredObject

QUEUE_MAX: Final = 4096
_SEPARATOR: Final = re.compile("/")

Matches = Callable[[StoredObject], bool]
Delivery = tuple[EventType, Event]


def transition(event: Event, matches: Matches | None) -> EventType | None:
    """What a watcher with selector `matches` sees of `event`; None when nothing.

    An object that stops matching is DELETED for the watcher, one that starts to is ADDED.
    """
    if matches is None:
        return event.type
    before = event.previous is not None and matches(event.previous)
    after = event.current is not None and matches(event.current)
    if after:
        return EventType.MODIFIED if before else EventType.ADDED
    return EventType.DELETED if before else None


class Watcher:
    """One watch: a bounded queue of deliveries and the reason why it ended, if it has."""

    __slots__ = ("_after", "_pending", "_queue_max", "_wake", "closed", "matches", "prefix")

    def __init__(
        self,
        prefix: str,
        matches: Matches | None,
        *,
        after: int,
        wake: Callable[[], None],
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self.prefix = prefix
        self.matches = matches
        # Why no more deliveries will come: "" while they may, else "slow", "gap" or "stop".
        self.closed = ""
        self._after = after
        self._wake = wake
        self._queue_max = queue_max
        self._pending: deque[Delivery] = deque()

    def offer(self, event: Event) -> None:
        """Queue `event` if it concerns this watcher; cut the watcher when its queue is full."""
        if self.closed or event.revision <= self._after:
            return
        type_ = transition(event, self.matches)
        if type_ is None:
            return
        if len(self._pending) >= self._queue_max:
            self.close("slow")
            return
        self._pending.append((type_, event))
        self._wake()

    def replay(self, event: Event) -> None:
        """Queue an event of the past, when the watch starts; not bounded by the queue's limit.

        The history that it comes from has bounds of its own.
        """
        type_ = transition(event, self.matches)
        if type_ is not None:
            self._pending.append((type_, event))

    def take(self) -> list[Delivery]:
        """All that is queued, in order."""
        taken = list(self._pending)
        self._pending.clear()
        return taken

    def close(self, reason: str) -> None:
        """End the watch; what is queued may still be taken unless the watcher was too slow."""
        if not self.closed:
            self.closed = reason
            if reason == "slow":
                self._pending.clear()
            self._wake()


class Watchers:
    """All watchers by prefix."""

    def __init__(self) -> None:
        self._by_prefix: dict[str, dict[Watcher, None]] = {}

    def __len__(self) -> int:
        return sum(len(group) for group in self._by_prefix.values())

    def __iter__(self) -> Iterator[Watcher]:
        for group in list(self._by_prefix.values()):
            yield from list(group)

    def add(self, watcher: Watcher) -> None:
        """Offer the watcher all events dispatched from now on."""
        assert watcher.prefix.endswith("/"), watcher.prefix
        self._by_prefix.setdefault(watcher.prefix, {})[watcher] = None

    def discard(self, watcher: Watcher) -> None:
        """Offer it no more."""
        group = self._by_prefix.get(watcher.prefix)
        if group is not None:
            group.pop(watcher, None)
            if not group:
                del self._by_prefix[watcher.prefix]

    def dispatch(self, event: Event) -> None:
        """Offer `event` to all watchers of the collections it is in.

        The cost is that of the watchers concerned; idle ones elsewhere cost nothing.
        """
        key = event.key
        for separator in _SEPARATOR.finditer(key):
            group = self._by_prefix.get(key[: separator.end()])
            if group:
                for watcher in group:
                    watcher.offer(event)
