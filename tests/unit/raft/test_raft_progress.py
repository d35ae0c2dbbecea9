"""What a leader knows of a follower: the three states and the window (Raft paper §5.3)."""

from raftstore.raft.progress import Progress, ProgressState
from raftstore.raft.types import Index


def progress(next_index: int = 10) -> Progress:
    return Progress(Index(next_index), inflight_messages_max=2, inflight_bytes_max=100)


def test_match_stays_below_next() -> None:
    one = progress(3)
    assert one.maybe_update(Index(7))
    assert (one.match, one.next) == (7, 8)
    assert not one.maybe_update(Index(6))
    assert (one.match, one.next) == (7, 8)


def test_a_refusal_of_another_probe_is_ignored() -> None:
    one = progress(10)
    assert not one.maybe_decrease(Index(5), Index(1))
    assert one.next == 10
    assert one.maybe_decrease(Index(9), Index(4))
    assert one.next == 5
    assert one.maybe_decrease(Index(4), Index(9))
    assert one.next == 4


def test_a_refusal_never_moves_next_to_what_matches() -> None:
    one = progress(10)
    one.maybe_update(Index(5))
    assert not one.maybe_decrease(Index(5), Index(0))
    assert one.maybe_decrease(Index(9), Index(0))
    assert one.next == 6


def test_a_refusal_while_replicating_goes_back_to_what_matches() -> None:
    one = progress(10)
    one.maybe_update(Index(5))
    one.become_replicate()
    one.on_sent(Index(8), 10)
    assert one.maybe_decrease(Index(7), Index(6))
    assert (one.state, one.next, one.window_full) == (ProgressState.PROBE, 6, False)


def test_the_window_empties_as_answers_come() -> None:
    one = progress(1)
    one.become_replicate()
    one.on_sent(Index(3), 10)
    one.on_sent(Index(4), 10)
    paused = [one.paused]
    one.maybe_update(Index(3))
    paused.append(one.paused)
    one.on_sent(Index(5), 100)
    paused.append(one.paused)
    one.maybe_update(Index(5))
    paused.append(one.paused)
    assert paused == [True, False, True, False]


def test_after_a_snapshot_what_follows_it_is_probed_and_after_a_failure_what_matches() -> None:
    for failed, next_index in ((False, 21), (True, 6)):
        one = progress(10)
        one.maybe_update(Index(5))
        one.become_snapshot(Index(20))
        assert one.paused
        assert not one.maybe_decrease(Index(9), Index(0))
        if failed:
            one.snapshot_failed()
        else:
            one.become_probe()
        assert (one.state, one.next) == (ProgressState.PROBE, next_index)
