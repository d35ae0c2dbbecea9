"""What the demo shows where there is no terminal: whole lines, the verdict, what to do next."""

import io
from pathlib import Path

from rich.console import Console

from chaos.check.counter import CounterVerdict
from chaos.check.gaps import Gaps
from chaos.check.verdict import Kind, Outcome, Violation
from chaos.scenarios.plan import Counted, PhaseBegan, PhaseEnded
from chaos.scenarios.verdict import Verdict
from triplane.demo import Screen

HISTORY = Path("/a/long/way/to/the/history/that/must/not/be/broken/into/lines/history.jsonl")


def screen() -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    return Screen(Console(file=out, highlight=False, width=40)), out


def verdict_of(*violations: Violation) -> Verdict:
    return Verdict(
        scenario="leader_partition",
        seed=1,
        counter=CounterVerdict(Outcome.OK, acknowledged=12, final_value=12),
        gaps=Gaps(0.4, []),
        leaders=["cp1 (term 1)"],
        faults=["partition cp1"],
        missing_faults=[],
        violations=violations,
        history=HISTORY,
        duration_s=1.0,
    )


def test_each_phase_is_one_line() -> None:
    shown, out = screen()
    shown.show(PhaseBegan("8 writers [increment] one counter"))
    shown.show(Counted(5, 1, 0, "cp1"))
    shown.show(PhaseEnded("7 acknowledged"))
    shown.close()
    (line,) = out.getvalue().splitlines()
    assert line.startswith("✓ 8 writers [increment] one counter: 7 acknowledged (")


def test_phase_that_did_not_end_is_marked() -> None:
    shown, out = screen()
    shown.show(PhaseBegan("healing"))
    shown.close()
    shown.close()
    assert out.getvalue() == "✗ healing\n"


def test_no_update_lost() -> None:
    shown, out = screen()
    shown.conclude(verdict_of())
    text = out.getvalue()
    assert "✓ no update lost: all 12 acknowledged writes are there" in text
    assert str(HISTORY) in text


def test_lost_update_is_told_with_the_history() -> None:
    shown, out = screen()
    shown.conclude(verdict_of(Violation(Kind.LOST_UPDATE, "the write at [41] is gone", [])))
    text = out.getvalue()
    assert "✗ violated: lost update" in text
    assert "lost update: the write at [41] is gone" in text
    assert str(HISTORY) in text
    assert "no update lost" not in text
