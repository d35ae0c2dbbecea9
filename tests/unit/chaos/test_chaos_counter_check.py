"""The counter's checker: good histories pass, each planted fault is found and named."""

from collections.abc import Mapping
from typing import Any

import pytest

from chaos.check.counter import check_counter
from chaos.check.verdict import Kind, Outcome
from chaos.history import Event, EventType

MS = 1_000_000


class Script:
    """Writes a history by hand: each call takes a millisecond, unless left open."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._now_ns = 0

    def event(
        self, process: str, kind: EventType, operation: str, value: Mapping[str, Any] | None = None
    ) -> None:
        self._now_ns += MS
        index = len(self.events)
        self.events.append(Event(index, self._now_ns, process, kind, operation, value or {}))

    def invoke(self, writer: str, attempt: int, count: int, base: int, base_value: int) -> None:
        value = {
            "attempt": attempt,
            "count": count,
            "base_resource_version": str(base),
            "base_value": base_value,
            "value": base_value + 1,
        }
        self.event(writer, EventType.INVOKE, "increment", value)

    def ok(self, writer: str, revision: int, value: int) -> None:
        result = {"resource_version": str(revision), "new_value": value}
        self.event(writer, EventType.OK, "increment", result)

    def conflict(self, writer: str) -> None:
        self.event(writer, EventType.FAIL, "increment", {"status": 409})

    def unknown(self, writer: str) -> None:
        self.event(writer, EventType.INFO, "increment")

    def read(
        self, process: str, revision: int, value: int, name: str = "read", **entries: str
    ) -> None:
        self.event(process, EventType.INVOKE, name)
        data = {"value": str(value), **entries}
        result = {"resource_version": str(revision), "data": data}
        self.event(process, EventType.OK, name, result)

    def final(self, revision: int, value: int, **entries: str) -> None:
        self.read("final", revision, value, "final-read", **entries)

    def kinds(self) -> set[Kind]:
        return {violation.kind for violation in check_counter(self.events).violations}


def two_writers() -> Script:
    """w0 increments at revision 11, w1 at 12, then w0 meets a conflict."""
    script = Script()
    script.read("w0", 10, 0)
    script.invoke("w0", 1, 1, 10, 0)
    script.ok("w0", 11, 1)
    script.read("w1", 11, 1, w0="1:1")
    script.invoke("w1", 1, 1, 11, 1)
    script.ok("w1", 12, 2)
    script.invoke("w0", 2, 2, 11, 1)
    script.conflict("w0")
    return script


def test_every_acknowledged_increment_is_there() -> None:
    script = two_writers()
    script.final(12, 2, w0="1:1", w1="1:1")
    verdict = check_counter(script.events)
    assert verdict.outcome is Outcome.OK
    assert (verdict.acknowledged, verdict.conflicts, verdict.unknown) == (2, 1, 0)
    assert verdict.final_value == 2


def test_unknown_increment_that_took_effect_is_attributed() -> None:
    script = two_writers()
    script.invoke("w1", 2, 2, 12, 2)
    script.unknown("w1")
    script.final(13, 3, w0="1:1", w1="2:2")
    verdict = check_counter(script.events)
    assert verdict.outcome is Outcome.OK
    assert (verdict.unknown, verdict.unknown_effective) == (1, 1)


def test_unknown_increment_that_took_no_effect_is_fine() -> None:
    script = two_writers()
    script.invoke("w1", 2, 2, 12, 2)
    script.unknown("w1")
    script.final(12, 2, w0="1:1", w1="1:1")
    verdict = check_counter(script.events)
    assert verdict.outcome is Outcome.OK
    assert (verdict.unknown, verdict.unknown_effective) == (1, 0)


def test_writer_that_never_heard_back_is_unknown() -> None:
    script = two_writers()
    script.invoke("w1", 2, 2, 12, 2)
    script.final(13, 3, w0="1:1", w1="2:2")
    assert check_counter(script.events).outcome is Outcome.OK


def test_concurrent_read_may_be_of_either_state() -> None:
    script = two_writers()
    script.event("r", EventType.INVOKE, "read")
    script.invoke("w1", 2, 2, 12, 2)
    script.ok("w1", 13, 3)
    data = {"value": "2", "w0": "1:1", "w1": "1:1"}
    script.event("r", EventType.OK, "read", {"resource_version": "12", "data": data})
    script.final(13, 3, w0="1:1", w1="2:2")
    assert check_counter(script.events).outcome is Outcome.OK


def test_overwritten_increment() -> None:
    script = two_writers()
    script.invoke("w0", 3, 2, 11, 1)  # based on 11, though 12 is acknowledged
    script.ok("w0", 13, 2)
    script.final(13, 2, w0="2:3")
    verdict = check_counter(script.events)
    assert verdict.outcome is Outcome.VIOLATED
    overwritten = verdict.lost[0]
    assert "based on 11, overwrote the acknowledged one at 12" in overwritten.text
    assert [operation.process for operation in overwritten.operations] == ["w1", "w0"]


def test_increment_missing_from_the_final_value() -> None:
    script = two_writers()
    script.final(12, 1, w0="1:1")
    verdict = check_counter(script.events)
    assert verdict.outcome is Outcome.VIOLATED
    missing = [found for found in verdict.lost if "of w1 took effect" in found.text]
    assert missing[0].operations[0].process == "w1"


def test_whole_counter_missing() -> None:
    script = two_writers()
    script.event("final", EventType.INVOKE, "final-read")
    script.event("final", EventType.FAIL, "final-read", {"status": 404})
    assert Kind.LOST_UPDATE in script.kinds()


def test_two_increments_acknowledged_with_one_value() -> None:
    script = two_writers()
    script.invoke("w0", 3, 2, 12, 1)
    script.ok("w0", 13, 2)
    script.final(13, 3, w0="2:3", w1="1:1")
    assert Kind.LOST_UPDATE in script.kinds()


def test_two_increments_acknowledged_at_one_revision() -> None:
    script = two_writers()
    script.invoke("w0", 3, 2, 11, 2)
    script.ok("w0", 12, 3)
    script.final(12, 3, w0="2:3", w1="1:1")
    assert Kind.DUPLICATE in script.kinds()


def test_acknowledged_revision_goes_back() -> None:
    script = Script()
    script.invoke("w0", 1, 1, 10, 0)
    script.ok("w0", 20, 1)
    script.invoke("w1", 1, 1, 11, 1)
    script.ok("w1", 15, 2)
    script.final(20, 2, w0="1:1", w1="1:1")
    assert Kind.ORDER in script.kinds()


def test_acknowledged_no_newer_than_its_base() -> None:
    script = Script()
    script.invoke("w0", 1, 1, 10, 0)
    script.ok("w0", 10, 1)
    script.final(10, 1, w0="1:1")
    assert Kind.ORDER in script.kinds()


def test_read_older_than_an_acknowledgement_before_it() -> None:
    script = two_writers()
    script.read("w0", 11, 1, w0="1:1")
    script.final(12, 2, w0="1:1", w1="1:1")
    assert script.kinds() == {Kind.STALE_READ}


def test_read_older_than_a_read_before_it() -> None:
    script = Script()
    script.invoke("w0", 1, 1, 10, 0)
    script.unknown("w0")
    script.read("r", 11, 1, w0="1:1")
    script.read("r", 10, 0)
    script.invoke("w1", 1, 1, 11, 1)
    script.ok("w1", 12, 2)
    script.final(12, 2, w0="1:1", w1="1:1")
    assert script.kinds() == {Kind.STALE_READ}


def test_refused_increment_that_took_effect() -> None:
    script = two_writers()
    script.final(13, 3, w0="2:2", w1="1:1")
    assert Kind.PHANTOM in script.kinds()


def test_increment_applied_twice() -> None:
    script = two_writers()
    script.final(13, 3, w0="2:1", w1="1:1")
    assert Kind.DUPLICATE in script.kinds()


def test_value_that_its_writers_did_not_make() -> None:
    script = two_writers()
    script.final(12, 7, w0="1:1", w1="1:1")
    assert {Kind.INVENTED, Kind.DUPLICATE} <= script.kinds()


def test_entry_of_an_attempt_that_nobody_made() -> None:
    script = two_writers()
    script.final(12, 2, w0="1:9", w1="1:1")
    assert Kind.INVENTED in script.kinds()


def test_acknowledged_with_another_value_than_written() -> None:
    script = Script()
    script.invoke("w0", 1, 1, 10, 0)
    script.ok("w0", 11, 5)
    script.final(11, 1, w0="1:1")
    assert Kind.WRONG_ANSWER in script.kinds()


def test_servers_that_disagree_at_the_end() -> None:
    script = two_writers()
    script.read("final-a", 12, 2, "final-read", w0="1:1", w1="1:1")
    script.read("final-b", 13, 2, "final-read", w0="1:1", w1="1:1")
    assert Kind.DIVERGED in script.kinds()


def test_nothing_acknowledged_proves_nothing() -> None:
    script = Script()
    script.read("w0", 10, 0)
    script.final(10, 0)
    verdict = check_counter(script.events)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "nothing could have been lost" in verdict.reason


def test_without_a_final_read_nobody_knows() -> None:
    verdict = check_counter(two_writers().events)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "could not be read" in verdict.reason


def test_final_read_before_the_last_acknowledgement_proves_nothing() -> None:
    script = two_writers()
    script.final(12, 2, w0="1:1", w1="1:1")
    script.invoke("w1", 2, 2, 12, 2)
    script.ok("w1", 13, 3)
    assert check_counter(script.events).outcome is not Outcome.OK


@pytest.mark.parametrize("damage", ["double invoke", "orphan", "no number"])
def test_unreadable_history_is_unknown(damage: str) -> None:
    script = Script()
    match damage:
        case "double invoke":
            script.invoke("w0", 1, 1, 10, 0)
            script.invoke("w0", 2, 1, 10, 0)
        case "orphan":
            script.ok("w0", 11, 1)
        case _:
            script.event("w0", EventType.INVOKE, "increment", {"attempt": "x"})
    verdict = check_counter(script.events)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "cannot be read" in verdict.reason
