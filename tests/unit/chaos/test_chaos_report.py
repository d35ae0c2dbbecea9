"""What a verdict says, in words and as JSON."""

import json
from pathlib import Path

from chaos.check.counter import CounterVerdict
from chaos.check.gaps import Fault, FaultGap, Gaps
from chaos.check.verdict import Kind, Outcome, Violation
from chaos.history import EventType, Operation
from chaos.report import as_json, as_text, conclusion, rows
from chaos.scenarios.verdict import Verdict

OPERATION = Operation(7, "w3", "increment", {"value": 12}, 10**9, EventType.OK, 2 * 10**9, {}, None)
LOST = Violation(Kind.LOST_UPDATE, "the write at 42 overwrote the one at 41", [OPERATION])


def verdict_of(
    outcome: Outcome = Outcome.OK,
    *,
    violations: tuple[Violation, ...] = (),
    missing: tuple[str, ...] = (),
    faults: int = 1,
) -> Verdict:
    gaps = [FaultGap(Fault("kill", f"raftstore-cp{n}", n), 0.1 * n) for n in range(1, faults + 1)]
    return Verdict(
        scenario="leader_kill",
        seed=4,
        counter=CounterVerdict(
            outcome, acknowledged=12, unknown=2, unknown_effective=1, final_value=13
        ),
        gaps=Gaps(0.5, gaps),
        leaders=["cp1 (term 2)"],
        faults=[f"kill raftstore-cp{n}" for n in range(1, faults + 1)],
        missing_faults=missing,
        violations=violations,
        history=Path("history.jsonl"),
        duration_s=3.2,
    )


def test_ok() -> None:
    verdict = verdict_of()
    assert conclusion(verdict) == "no update lost"
    assert ("unknown outcomes", "2 (1 took effect)") in rows(verdict)
    assert ("gap at kill raftstore-cp1", "0.10 s") in rows(verdict)
    assert "history.jsonl" in as_text(verdict)


def test_a_scenarios_own_violation_counts_though_the_counter_is_whole() -> None:
    verdict = verdict_of(violations=(LOST,))
    assert verdict.outcome is Outcome.VIOLATED
    assert conclusion(verdict) == "violated: lost update"
    text = as_text(verdict)
    assert "the write at 42 overwrote the one at 41" in text
    assert "7:w3 increment value=12 ok [1.000s..2.000s]" in text


def test_a_fault_that_did_not_fire_leaves_it_unknown() -> None:
    verdict = verdict_of(missing=("partition",))
    assert verdict.outcome is Outcome.UNKNOWN
    assert conclusion(verdict) == "unknown: faults that did not fire: partition"


def test_many_faults_are_summed_up() -> None:
    names = dict(rows(verdict_of(faults=20)))
    assert names["gap at 20 faults"] == "median 1.05 s, worst 2.00 s"
    assert names["faults that fired"].endswith("… (20 in all)")


def test_json_has_all_of_it() -> None:
    document = json.loads(as_json(verdict_of(violations=(LOST,), faults=9)))
    assert document["outcome"] == "violated"
    assert len(document["faults"]) == 9
    assert document["violations"][0]["operations"] == [str(OPERATION)]
    assert (document["acknowledged"], document["unknownEffective"]) == (12, 1)
