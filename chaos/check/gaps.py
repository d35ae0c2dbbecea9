"""The longest time between acknowledged writes, over all and around each fault. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chaos.history import NEMESIS, Event, EventType, operations

FAULT_EFFECT_NS = 5_000_000_000
"""Gaps that begin within this time after a fault are its doing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An injected fault: what, where, when its injection began."""

    name: str
    target: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class FaultGap:
    """The longest gap between acknowledgements that overlaps a fault's first seconds."""

    fault: Fault
    gap_s: float


@dataclass(frozen=True, slots=True)
class Gaps:
    """`longest_s` None if fewer than two writes were acknowledged."""

    longest_s: float | None
    faults: Sequence[FaultGap]


def measure_gaps(
    events: Sequence[Event], *, write: str, faults: frozenset[str], from_ns: int = 0
) -> Gaps:
    """Gaps between `ok`s of the operation `write`; `faults` names the nemesis operations to judge.

    Acknowledgements before `from_ns` do not count. A fault that was not carried out has no gap.
    """
    acked_ns = [
        event.time_ns
        for event in events
        if event.operation == write and event.type is EventType.OK and event.time_ns >= from_ns
    ]
    pairs = list(pairwise(acked_ns))
    longest_ns = max((end - begin for begin, end in pairs), default=None)
    return Gaps(
        longest_s=None if longest_ns is None else longest_ns / 1e9,
        faults=[
            FaultGap(fault, _longest_around(fault, pairs) / 1e9)
            for fault in fired_faults(events)
            if fault.name in faults
        ],
    )


def fired_faults(events: Iterable[Event]) -> list[Fault]:
    """What the nemesis did and saw done, in order."""
    done = operations(event for event in events if event.process == NEMESIS)
    return [
        Fault(operation.name, str(operation.arguments.get("target", "")), operation.invoked_ns)
        for operation in done
        if operation.outcome is EventType.OK
    ]


def _longest_around(fault: Fault, pairs: Sequence[tuple[int, int]]) -> int:
    until_ns = fault.at_ns + FAULT_EFFECT_NS
    return max(
        (end - begin for begin, end in pairs if end > fault.at_ns and begin < until_ns), default=0
    )
