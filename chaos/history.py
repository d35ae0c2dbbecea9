"""What happened, as JSON lines: one event for each invocation and each completion.

After Jepsen: `invoke`, then `ok` (done), `fail` (surely not done) or `info` (unknown). A process
is sequential: it has at most one operation open, and one that ends in `info` stays unknown for
ever. Faults are operations of the process `nemesis`. Times are nanoseconds of one machine's
monotonic clock. The file only grows, and every event is written through to the kernel at once.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NEMESIS = "nemesis"


class EventType(StrEnum):
    """What an event says of its operation."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


class HistoryError(ValueError):
    """This is no history: a line that cannot be read, a completion without an invocation."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line. `value` is the operation's arguments (invoke) or its result."""

    index: int
    time_ns: int
    process: str
    type: EventType
    operation: str
    value: Mapping[str, Any]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """An invocation with its completion; still open ones are `info` and end never."""

    index: int
    process: str
    name: str
    arguments: Mapping[str, Any]
    invoked_ns: int
    outcome: EventType
    ended_ns: int | None
    result: Mapping[str, Any]
    error: str | None

    def __str__(self) -> str:
        ended = "never" if self.ended_ns is None else f"{self.ended_ns / 1e9:.3f}s"
        said = " ".join(
            f"{key}={value}" for key, value in {**self.arguments, **self.result}.items()
        )
        error = f" ({self.error})" if self.error else ""
        when = f"{self.invoked_ns / 1e9:.3f}s..{ended}"
        return f"{self.index}:{self.process} {self.name} {said} {self.outcome}{error} [{when}]"


class HistoryWriter:
    """Appends events to a new file. Belongs to one loop; raises FileExistsError for an old file."""

    def __init__(self, path: Path, clock_ns: Callable[[], int]) -> None:
        self.path = path
        self._clock_ns = clock_ns
        self._file = path.open("x", buffering=1, encoding="utf-8")
        self._index = 0

    def append(
        self,
        process: str,
        kind: EventType,
        operation: str,
        value: Mapping[str, Any],
        *,
        error: str | None = None,
    ) -> Event:
        """Write one event, now; it is with the kernel when this returns."""
        event = Event(self._index, self._clock_ns(), process, kind, operation, value, error)
        self._index += 1
        self._file.write(render_event(event) + "\n")
        return event

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def render_event(event: Event) -> str:
    """One line of JSON, without its end."""
    document: dict[str, Any] = {
        "index": event.index,
        "time_ns": event.time_ns,
        "process": event.process,
        "type": event.type.value,
        "op": event.operation,
        "value": event.value,
    }
    if event.error is not None:
        document["error"] = event.error
    return json.dumps(document, ensure_ascii=False)


def parse_event(line: str) -> Event:
    """What `render_event` wrote. Raises HistoryError."""
    try:
        document = json.loads(line)
        value = document["value"]
        if not isinstance(value, dict):
            raise TypeError("value is no object")
        return Event(
            index=int(document["index"]),
            time_ns=int(document["time_ns"]),
            process=str(document["process"]),
            type=EventType(document["type"]),
            operation=str(document["op"]),
            value=value,
            error=document.get("error"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise HistoryError(f"no event: {line[:200]!r}: {error}") from error


def read_history(path: Path) -> list[Event]:
    """All events of a file. A last line that a crash cut off is no event; others must be whole."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
    return [parse_event(line) for line in lines]


def operations(events: Iterable[Event]) -> list[Operation]:
    """Invocations with their completions, in order of invocation. Raises HistoryError."""
    opened: dict[str, Event] = {}
    ended: dict[int, Event] = {}
    invoked: list[Event] = []
    for event in _in_order(events):
        if event.type is EventType.INVOKE:
            if event.process in opened:
                raise HistoryError(f"{event.process} invoked {event.index} with one still open")
            opened[event.process] = event
            invoked.append(event)
        else:
            begun = opened.pop(event.process, None)
            if begun is None or begun.operation != event.operation:
                raise HistoryError(f"{event.process} completed {event.index}, which nobody invoked")
            ended[begun.index] = event
    return [_operation(event, ended.get(event.index)) for event in invoked]


def _operation(invoked: Event, ended: Event | None) -> Operation:
    return Operation(
        index=invoked.index,
        process=invoked.process,
        name=invoked.operation,
        arguments=invoked.value,
        invoked_ns=invoked.time_ns,
        outcome=EventType.INFO if ended is None else ended.type,
        # An unknown operation may take effect at any later time.
        ended_ns=None if ended is None or ended.type is EventType.INFO else ended.time_ns,
        result={} if ended is None else ended.value,
        error=None if ended is None else ended.error,
    )


def _in_order(events: Iterable[Event]) -> Iterator[Event]:
    last: Event | None = None
    for event in events:
        if last is not None and (event.index <= last.index or event.time_ns < last.time_ns):
            raise HistoryError(f"event {event.index} comes before event {last.index}, or earlier")
        last = event
        yield event
