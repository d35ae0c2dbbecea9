"""What a scenario is told, and what it tells while it runs: plain data both ways."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run. The history becomes `directory/history.jsonl`; `duration_s` is that of the load.

    `namespace` must exist. Chance comes from `seed` alone.
    """

    directory: Path
    seed: int
    duration_s: float
    namespace: str = "default"
    counter: str = "counter"
    writers: int = 8


@dataclass(frozen=True, slots=True)
class PhaseBegan:
    """Something that takes a while has begun: one clause for people."""

    text: str


@dataclass(frozen=True, slots=True)
class PhaseEnded:
    """The phase that began last is over; `text` says what came of it."""

    text: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How the increments ended so far, a few times per second."""

    acknowledged: int
    conflicts: int
    unknown: int
    leader: str


Progress = PhaseBegan | PhaseEnded | Counted
Emit = Callable[[Progress], None]


class ScenarioError(Exception):
    """The scenario could not be carried out; it says nothing about the cluster's correctness."""
