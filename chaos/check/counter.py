"""Judges the history of a counter: is every acknowledged increment in it, exactly once, in order?

Every write names the state it was based on, and the object names each writer's last increment, so
that the verdict needs no search: an acknowledged write whose base is older than another
acknowledged write before it has overwritten that one. Reads and acknowledgements are checked in
real time: nothing may be older than what anybody had seen before it was asked for.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from chaos.check.verdict import Kind, Outcome, Violation
from chaos.history import Event, EventType, HistoryError, Operation, operations

READ, INCREMENT, FINAL_READ = "read", "increment", "final-read"
CONFLICT_STATUS = 409
GONE_STATUS = 404
VIOLATIONS_MAX = 20
"""Shown of each kind; one lost update drags many stale reads behind it."""


@dataclass(frozen=True, slots=True)
class CounterVerdict:
    """The outcome and what it rests on. Counts are of increments.

    `unknown_effective` of the `unknown` ones are in the final value; `reason` says why an outcome
    is unknown.
    """

    outcome: Outcome
    reason: str = ""
    violations: Sequence[Violation] = ()
    acknowledged: int = 0
    conflicts: int = 0
    failed: int = 0
    unknown: int = 0
    unknown_effective: int = 0
    final_value: int | None = None

    @property
    def lost(self) -> Sequence[Violation]:
        return [found for found in self.violations if found.kind is Kind.LOST_UPDATE]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one completed operation showed of the object. `data` is None for a write's answer."""

    operation: Operation
    revision: int
    value: int
    data: Mapping[str, str] | None

    @property
    def ended_ns(self) -> int:
        assert self.operation.ended_ns is not None
        return self.operation.ended_ns


@dataclass(slots=True)
class _Facts:
    """The history, sorted by what it says."""

    acked: list[_Seen] = field(default_factory=list)
    reads: list[_Seen] = field(default_factory=list)
    finals: list[_Seen] = field(default_factory=list)
    failed: list[Operation] = field(default_factory=list)
    unknown: list[Operation] = field(default_factory=list)
    gone: list[Operation] = field(default_factory=list)  # reads that were told there is no counter
    by_attempt: dict[tuple[str, int], Operation] = field(default_factory=dict)


def check_counter(events: Iterable[Event]) -> CounterVerdict:
    """The verdict on a history; events of other processes and operations are not looked at."""
    try:
        wanted = [event for event in events if event.operation in (READ, INCREMENT, FINAL_READ)]
        facts = _sort(operations(wanted))
    except (HistoryError, KeyError, TypeError, ValueError) as error:
        return CounterVerdict(Outcome.UNKNOWN, reason=f"the history cannot be read: {error!r}")
    violations = [*_check_writes(facts), *_check_real_time(facts), *_check_contents(facts)]
    effective = _effective_unknowns(facts)
    reason = _why_unknown(facts)
    if facts.finals:
        violations += _check_final(facts, effective)
    outcome = Outcome.UNKNOWN if reason else Outcome.OK
    return CounterVerdict(
        outcome=Outcome.VIOLATED if violations else outcome,
        reason=reason,
        violations=_at_most(violations),
        acknowledged=len(facts.acked),
        conflicts=sum(op.result.get("status") == CONFLICT_STATUS for op in facts.failed),
        failed=sum(op.result.get("status") != CONFLICT_STATUS for op in facts.failed),
        unknown=len(facts.unknown),
        unknown_effective=len(effective),
        final_value=facts.finals[-1].value if facts.finals else None,
    )


def _sort(history: Sequence[Operation]) -> _Facts:
    facts = _Facts()
    for operation in history:
        if operation.name != INCREMENT:
            if operation.outcome is EventType.OK:
                seen = _seen(operation, operation.result["data"])
                facts.reads.append(seen)
                if operation.name == FINAL_READ:
                    facts.finals.append(seen)
            elif operation.result.get("status") == GONE_STATUS:
                facts.gone.append(operation)
            continue
        facts.by_attempt[operation.process, int(operation.arguments["attempt"])] = operation
        match operation.outcome:
            case EventType.OK:
                facts.acked.append(_seen(operation, None))
            case EventType.FAIL:
                facts.failed.append(operation)
            case _:
                facts.unknown.append(operation)
    return facts


def _seen(operation: Operation, data: Mapping[str, str] | None) -> _Seen:
    value = operation.result["new_value"] if data is None else data["value"]
    return _Seen(operation, int(operation.result["resource_version"]), int(value), data)


def _why_unknown(facts: _Facts) -> str:
    if not facts.acked:
        return "no increment was acknowledged: nothing could have been lost"
    if not facts.finals:
        return "the counter could not be read at the end"
    last_ack_ns = max(seen.ended_ns for seen in facts.acked)
    if all(seen.operation.invoked_ns < last_ack_ns for seen in facts.finals):
        return "the counter was not read after the last acknowledgement"
    return ""


def _check_writes(facts: _Facts) -> Iterator[Violation]:
    """Each acknowledged write by itself and beside its neighbours in resourceVersion order."""
    for seen in facts.acked:
        asked = int(seen.operation.arguments["value"])
        if seen.value != asked:
            yield Violation(
                Kind.WRONG_ANSWER, f"{asked} written, {seen.value} acknowledged", [seen.operation]
            )
        if seen.revision <= _base(seen.operation):
            yield Violation(
                Kind.ORDER, "a write was acknowledged no newer than its base", [seen.operation]
            )
    ordered = sorted(facts.acked, key=lambda seen: seen.revision)
    for earlier, later in pairwise(ordered):
        both = [earlier.operation, later.operation]
        if earlier.revision == later.revision:
            yield Violation(Kind.DUPLICATE, f"two writes acknowledged at {later.revision}", both)
        elif _base(later.operation) < earlier.revision:
            yield Violation(
                Kind.LOST_UPDATE,
                f"the write at {later.revision}, based on {_base(later.operation)}, overwrote the "
                f"acknowledged one at {earlier.revision}",
                both,
            )
    yield from _check_values(facts.acked)
    for read in facts.gone:
        before = [seen.operation for seen in facts.acked if seen.ended_ns < read.invoked_ns]
        if before:
            yield Violation(Kind.LOST_UPDATE, "the counter is gone", [before[-1], read])


def _check_values(acked: Sequence[_Seen]) -> Iterator[Violation]:
    by_value: dict[int, _Seen] = {}
    for seen in acked:
        other = by_value.setdefault(seen.value, seen)
        if other is not seen:
            both = [other.operation, seen.operation]
            yield Violation(
                Kind.LOST_UPDATE, f"two increments acknowledged as {seen.value}: one is gone", both
            )


def _check_real_time(facts: _Facts) -> Iterator[Violation]:
    """Nothing is older than what had been seen before it was asked for."""
    everything = [*facts.acked, *facts.reads]
    ended = sorted(everything, key=lambda seen: seen.ended_ns)
    newest: _Seen | None = None
    highest: _Seen | None = None
    position = 0
    for seen in sorted(everything, key=lambda seen: seen.operation.invoked_ns):
        while ended[position].ended_ns < seen.operation.invoked_ns:
            past = ended[position]
            newest = past if newest is None or past.revision > newest.revision else newest
            highest = past if highest is None or past.value > highest.value else highest
            position += 1
        if newest is not None and highest is not None:
            yield from _compare(seen, newest, highest)


def _compare(seen: _Seen, newest: _Seen, highest: _Seen) -> Iterator[Violation]:
    is_write = seen.data is None
    if seen.revision < newest.revision or (is_write and seen.revision == newest.revision):
        kind = Kind.ORDER if is_write else Kind.STALE_READ
        text = f"resourceVersion {seen.revision} after {newest.revision} had been seen"
        yield Violation(kind, text, [newest.operation, seen.operation])
    elif seen.value < highest.value:
        kind = Kind.LOST_UPDATE if seen.revision > highest.revision else Kind.STALE_READ
        text = f"the counter went back from {highest.value} to {seen.value}"
        yield Violation(kind, text, [highest.operation, seen.operation])


def _check_contents(facts: _Facts) -> Iterator[Violation]:
    """What reads show was written, by whom it says, and adds up."""
    reported: set[tuple[str, int]] = set()
    for seen in facts.reads:
        entries = list(_entries(seen.data))
        total = sum(count for _, count, _ in entries)
        if total != seen.value:
            yield Violation(
                Kind.INVENTED,
                f"the counter is {seen.value}, its writers' increments are {total}",
                [seen.operation],
            )
        for writer, count, attempt in entries:
            if (writer, attempt) in reported:
                continue
            violation = _judge_entry(facts, seen, writer, count, attempt)
            if violation is not None:
                reported.add((writer, attempt))
                yield violation


def _judge_entry(
    facts: _Facts, seen: _Seen, writer: str, count: int, attempt: int
) -> Violation | None:
    written = facts.by_attempt.get((writer, attempt))
    if written is None or written.invoked_ns > seen.ended_ns:
        text = f"{writer} had made no attempt {attempt}"
        return Violation(Kind.INVENTED, text, [seen.operation])
    if int(written.arguments["count"]) != count:
        text = f"{writer}'s attempt {attempt} wrote another count than {count}"
        return Violation(Kind.INVENTED, text, [written, seen.operation])
    if written.outcome is EventType.FAIL:
        text = f"{writer}'s attempt {attempt} was refused, and is there"
        return Violation(Kind.PHANTOM, text, [written, seen.operation])
    return None


def _effective_unknowns(facts: _Facts) -> list[Operation]:
    """The unknown increments that took effect.

    A writer's entry stays until its next write, which it bases on a read of its own: every one that
    took effect was seen by some read.
    """
    seen = {(writer, attempt) for read in facts.reads for writer, _, attempt in _entries(read.data)}
    return [
        operation
        for operation in facts.unknown
        if (operation.process, int(operation.arguments["attempt"])) in seen
    ]


def _check_final(facts: _Facts, effective: Sequence[Operation]) -> Iterator[Violation]:
    last = facts.finals[-1]
    for other in facts.finals[:-1]:
        if (other.revision, other.data) != (last.revision, last.data):
            yield Violation(
                Kind.DIVERGED, "the final reads differ", [other.operation, last.operation]
            )
    increments: dict[str, list[Operation]] = defaultdict(list)
    for operation in (*(seen.operation for seen in facts.acked), *effective):
        increments[operation.process].append(operation)
    final = {writer: count for writer, count, _ in _entries(last.data)}
    for writer in sorted(increments.keys() | final.keys()):
        yield from _check_writer(writer, increments[writer], final.get(writer, 0), last.operation)
    expected = len(facts.acked) + len(effective)
    if last.value != expected:
        kind = Kind.LOST_UPDATE if last.value < expected else Kind.DUPLICATE
        text = f"{expected} increments took effect, the final value is {last.value}"
        yield Violation(kind, text, [last.operation])


def _check_writer(
    writer: str, took_effect: Sequence[Operation], final: int, read: Operation
) -> Iterator[Violation]:
    text = f"{len(took_effect)} increments of {writer} took effect, {final} are in the final value"
    if final < len(took_effect):
        missing = [op for op in took_effect if int(op.arguments["count"]) > final]
        yield Violation(Kind.LOST_UPDATE, text, [*missing[:VIOLATIONS_MAX], read])
    elif final > len(took_effect):
        yield Violation(Kind.DUPLICATE, text, [read])


def _entries(data: Mapping[str, str] | None) -> Iterator[tuple[str, int, int]]:
    """Writer, its increments, its last attempt."""
    for key, text in (data or {}).items():
        if key != "value":
            count, _, attempt = text.partition(":")
            yield key, int(count), int(attempt)


def _base(operation: Operation) -> int:
    base: Any = operation.arguments["base_resource_version"]
    return int(base)


def _at_most(violations: Sequence[Violation]) -> list[Violation]:
    shown: dict[Kind, list[Violation]] = defaultdict(list)
    for violation in violations:
        if len(shown[violation.kind]) < VIOLATIONS_MAX:
            shown[violation.kind].append(violation)
    return [violation for kind in Kind for violation in shown[kind]]
