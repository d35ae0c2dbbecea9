"""Whole clusters under simulated faults keep every promise: pinned seeds, and fresh ones."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import pytest

from chaos.sim.__main__ import replay_command
from chaos.sim.cluster import Cluster, Outcome

FRESH_S = 20.0
PINNED = [
    int(line.split()[0])
    for line in Path(__file__).with_name("pinned_seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def run_seed(seed: int) -> Outcome:
    """Run one seed; a failure says how to see it again."""
    try:
        return Cluster(seed).run()
    except Exception as error:
        error.add_note(f"replay: {replay_command(seed)}")
        raise


@pytest.mark.parametrize("seed", PINNED)
def test_pinned_seed_keeps_every_promise(seed: int) -> None:
    assert run_seed(seed).revisions > 1


def test_fresh_seeds_keep_every_promise() -> None:
    first = secrets.randbits(40)
    ends_at = time.monotonic() + FRESH_S
    seed = first
    while time.monotonic() < ends_at or seed == first:
        run_seed(seed)
        seed += 1


def test_the_same_seed_gives_the_same_run() -> None:
    first: list[str] = []
    second: list[str] = []
    Cluster(3, log=first.append).run()
    Cluster(3, log=second.append).run()
    assert first == second
    assert len(first) > 1_000


def test_each_kind_of_fault_fires() -> None:
    counts = sum((run_seed(seed).counts for seed in range(2, 40)), start=run_seed(1).counts)
    wanted = {
        "message dropped",
        "message repeated",
        "message straggled",
        "message cut off",
        "partition",
        "one-way partition",
        "partial partition",
        "killed",
        "power lost",
        "blackout",
        "stopped",
        "stalled",
        "crash at a disk step",
        "disk: lost",
        "disk: names lost",
        "leadership moved",
        "membership changed",
        "compaction",
        "snapshot sent",
    }
    assert {kind for kind in wanted if not counts[kind]} == set()
