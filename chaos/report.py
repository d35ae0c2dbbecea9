"""A verdict as text for people and as JSON for programs. Pure."""

import json
import statistics
from collections.abc import Sequence
from typing import Any

from chaos.check.verdict import Outcome
from chaos.scenarios.verdict import Verdict

SHOWN_MAX = 6
"""Items of a list that the text shows; the JSON has all."""


def conclusion(verdict: Verdict) -> str:
    """The verdict in a few words."""
    if verdict.outcome is Outcome.UNKNOWN:
        return f"unknown: {verdict.reason}"
    if verdict.outcome is Outcome.VIOLATED:
        kinds = dict.fromkeys(violation.kind.value for violation in verdict.violations)
        return f"violated: {', '.join(kinds)}"
    return "no update lost"


def rows(verdict: Verdict) -> list[tuple[str, str]]:
    """What was counted and measured, as name and value."""
    counter, gaps = verdict.counter, verdict.gaps
    longest = "-" if gaps.longest_s is None else f"{gaps.longest_s:.2f} s"
    table = [
        ("acknowledged writes", str(counter.acknowledged)),
        ("conflicts (409)", str(counter.conflicts)),
        ("other refusals", str(counter.failed)),
        ("unknown outcomes", f"{counter.unknown} ({counter.unknown_effective} took effect)"),
        ("final value", "-" if counter.final_value is None else str(counter.final_value)),
        ("longest write gap", longest),
    ]
    if len(gaps.faults) > 4:
        gaps_s = [fault.gap_s for fault in gaps.faults]
        text = f"median {statistics.median(gaps_s):.2f} s, worst {max(gaps_s):.2f} s"
        table.append((f"gap at {len(gaps_s)} faults", text))
    else:
        for found in gaps.faults:
            table.append(
                (f"gap at {found.fault.name} {found.fault.target}", f"{found.gap_s:.2f} s")
            )
    return [
        *table,
        ("leaders seen", _list(verdict.leaders)),
        ("faults that fired", _list(verdict.faults)),
    ]


def as_text(verdict: Verdict) -> str:
    """A few lines; violations in full, with the operations that show them."""
    lines = [f"{verdict.scenario}, seed {verdict.seed}: {conclusion(verdict)}", ""]
    width = max(len(name) for name, _ in rows(verdict))
    lines += [f"  {name:<{width}}  {value}" for name, value in rows(verdict)]
    lines += [f"  {'history':<{width}}  {verdict.history}", ""]
    lines += [f"  {violation}" for violation in verdict.violations]
    return "\n".join(lines).rstrip() + "\n"


def as_json(verdict: Verdict) -> str:
    """One JSON object. Times are in seconds."""
    counter, gaps = verdict.counter, verdict.gaps
    document: dict[str, Any] = {
        "scenario": verdict.scenario,
        "seed": verdict.seed,
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "acknowledged": counter.acknowledged,
        "conflicts": counter.conflicts,
        "failed": counter.failed,
        "unknown": counter.unknown,
        "unknownEffective": counter.unknown_effective,
        "finalValue": counter.final_value,
        "longestGapSeconds": gaps.longest_s,
        "faultGaps": [
            {"fault": f.fault.name, "target": f.fault.target, "gapSeconds": round(f.gap_s, 4)}
            for f in gaps.faults
        ],
        "leaders": list(verdict.leaders),
        "faults": list(verdict.faults),
        "violations": [
            {
                "kind": violation.kind.value,
                "text": violation.text,
                "operations": [str(operation) for operation in violation.operations],
            }
            for violation in verdict.violations
        ],
        "durationSeconds": round(verdict.duration_s, 3),
        "history": str(verdict.history),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _list(items: Sequence[str]) -> str:
    shown = ", ".join(items[:SHOWN_MAX])
    return f"{shown}, … ({len(items)} in all)" if len(items) > SHOWN_MAX else shown or "none"
