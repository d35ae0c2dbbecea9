"""The history's format, and the gaps that are measured from it."""

import pytest

from chaos.check.gaps import fired_faults, measure_gaps
from chaos.history import (
    NEMESIS,
    Event,
    EventType,
    HistoryError,
    operations,
    parse_event,
    render_event,
)

S = 1_000_000_000


def test_event_survives_its_line() -> None:
    event = Event(3, 17, "w1", EventType.FAIL, "increment", {"status": 409}, "Konflikt: größer")
    assert parse_event(render_event(event)) == event


@pytest.mark.parametrize("line", ["", "{}", "[]", '{"index": 1}', "nonsense"])
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(HistoryError):
        parse_event(line)


def test_open_and_unknown_operations_never_end() -> None:
    first = Event(0, 1, "w0", EventType.INVOKE, "read", {})
    second = Event(1, 2, "w1", EventType.INVOKE, "read", {})
    third = Event(2, 3, "w1", EventType.INFO, "read", {}, "timed out")
    open_one, unknown = operations([first, second, third])
    assert (open_one.outcome, open_one.ended_ns) == (EventType.INFO, None)
    assert (unknown.outcome, unknown.ended_ns) == (EventType.INFO, None)
    assert "timed out" in str(unknown)


def test_time_that_goes_back_is_refused() -> None:
    first = Event(0, 5, "w0", EventType.INVOKE, "read", {})
    with pytest.raises(HistoryError, match="comes before"):
        operations([first, Event(1, 4, "w0", EventType.OK, "read", {})])


def history_with_a_kill(*, fired: bool) -> list[Event]:
    """Acknowledgements each second from 1 to 5 and from 8 to 20; a kill at 5.5 s."""
    events: list[Event] = []

    def add(at_ns: int, process: str, kind: EventType, name: str, **value: str) -> None:
        events.append(Event(len(events), at_ns, process, kind, name, value))

    for second in (1, 2, 3, 4, 5):
        add(second * S, "w0", EventType.INVOKE, "increment")
        add(second * S, "w0", EventType.OK, "increment")
    add(5 * S + S // 2, NEMESIS, EventType.INVOKE, "kill", target="raftstore-cp1")
    add(6 * S, NEMESIS, EventType.OK if fired else EventType.INFO, "kill")
    for second in range(8, 21):
        add(second * S, "w0", EventType.INVOKE, "increment")
        add(second * S, "w0", EventType.OK, "increment")
    return events


def test_gap_is_the_faults_that_it_overlaps() -> None:
    gaps = measure_gaps(
        history_with_a_kill(fired=True), write="increment", faults=frozenset({"kill"})
    )
    assert gaps.longest_s == 3.0
    assert [(found.fault.target, found.gap_s) for found in gaps.faults] == [("raftstore-cp1", 3.0)]


def test_fault_that_did_not_fire_is_none() -> None:
    assert fired_faults(history_with_a_kill(fired=False)) == []


def test_no_gap_without_two_writes() -> None:
    gaps = measure_gaps([], write="increment", faults=frozenset())
    assert gaps.longest_s is None
