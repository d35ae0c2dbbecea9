"""Random runs of a simulated Raft cluster keep every promise. See `raft_cluster.py`."""

import pytest

from tests.support.raft_cluster import Cluster, replay_command

SEEDS_PER_TEST = 20


def run_seed(seed: int) -> None:
    """Run one seed; a failure says how to see it again."""
    try:
        outcome = Cluster(seed).run()
    except Exception as error:
        error.add_note(f"replay: {replay_command(seed)}")
        raise
    assert outcome.acknowledged > 0, f"nothing happened; replay: {replay_command(seed)}"


@pytest.mark.parametrize("first", range(0, 200, SEEDS_PER_TEST))
def test_every_promise_is_kept(first: int) -> None:
    for seed in range(first, first + SEEDS_PER_TEST):
        run_seed(seed)


def test_the_same_seed_gives_the_same_run() -> None:
    first: list[str] = []
    second: list[str] = []
    Cluster(11, log=first.append).run()
    Cluster(11, log=second.append).run()
    assert first == second
    assert len(first) > 100


def test_the_faults_really_happen() -> None:
    lines: list[str] = []
    outcomes = [Cluster(seed, log=lines.append).run() for seed in range(20)]
    assert sum(outcome.crashes for outcome in outcomes) > 20
    assert sum(outcome.leaders for outcome in outcomes) > 40
    assert sum(outcome.reads_served for outcome in outcomes) > 200
    assert sum(outcome.acknowledged for outcome in outcomes) > 400
    seen = "\n".join(lines)
    for word in (" LOST", "MsgSnap", "MsgTimeoutNow", "EntryConfChange", " cut ", "Rejected"):
        assert seen.count(word) >= 5, word
