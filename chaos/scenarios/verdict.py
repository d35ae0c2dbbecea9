"""What a scenario ends with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.check.counter import CounterVerdict
from chaos.check.gaps import Gaps
from chaos.check.verdict import Outcome, Violation


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that the history showed. `violations` holds the counter's and the scenario's own."""

    scenario: str
    seed: int
    counter: CounterVerdict
    gaps: Gaps
    leaders: Sequence[str]
    faults: Sequence[str]
    missing_faults: Sequence[str]
    violations: Sequence[Violation]
    history: Path
    duration_s: float

    @property
    def outcome(self) -> Outcome:
        """OK only if every planned fault really fired: a quiet run proves nothing."""
        if self.violations:
            return Outcome.VIOLATED
        return Outcome.UNKNOWN if self.missing_faults else self.counter.outcome

    @property
    def reason(self) -> str:
        """Why the outcome is unknown; empty if it is not."""
        if self.outcome is not Outcome.UNKNOWN:
            return ""
        missing = ", ".join(self.missing_faults)
        return self.counter.reason or f"faults that did not fire: {missing}"
