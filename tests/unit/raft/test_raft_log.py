"""The in-memory log: matching, truncation, back-off, stability, compaction (Raft §5.3, §7)."""

import pytest

from raftstore.raft import Entry, EntryKind, Index, LostLogError, RaftLog, SnapshotMeta, Term
from raftstore.raft.log import ENTRY_OVERHEAD_BYTES
from tests.support.raft_network import entries, entry


def log_of(*terms: int) -> RaftLog:
    return RaftLog(SnapshotMeta(), entries(*terms))


def terms(log: RaftLog) -> list[int]:
    return [e.term for e in log.slice(log.first_index, log.last_index, 1 << 30)]


def append(log: RaftLog, prev: int, prev_term: int, *new: int) -> Index | None:
    return log.maybe_append(Index(prev), Term(prev_term), entries(*new, first=prev + 1))


@pytest.mark.parametrize(
    ("prev", "prev_term", "new", "last", "after"),
    [
        pytest.param(3, 3, (), 3, [1, 2, 3], id="nothing new"),
        pytest.param(3, 3, (4,), 4, [1, 2, 3, 4], id="at the end"),
        pytest.param(1, 1, (2,), 2, [1, 2, 3], id="known, so what follows is kept (S1)"),
        pytest.param(1, 1, (), 1, [1, 2, 3], id="empty and early, so what follows is kept (S1)"),
        pytest.param(1, 1, (4,), 2, [1, 4], id="conflict: it and what follows goes"),
        pytest.param(1, 1, (2, 4, 4), 4, [1, 2, 4, 4], id="conflict behind known ones"),
        pytest.param(0, 0, (1, 2, 3), 3, [1, 2, 3], id="all of it again"),
        pytest.param(3, 2, (4,), None, [1, 2, 3], id="another term at prev"),
        pytest.param(5, 3, (4,), None, [1, 2, 3], id="a gap"),
    ],
)
def test_maybe_append_changes_only_what_conflicts(
    prev: int, prev_term: int, new: tuple[int, ...], last: int | None, after: list[int]
) -> None:
    """§5.3: "If an existing entry conflicts with a new one, delete it and all that follow"."""
    log = log_of(1, 2, 3)
    assert append(log, prev, prev_term, *new) == last
    assert terms(log) == after


def test_nothing_committed_is_ever_overwritten() -> None:
    log = log_of(1, 1, 1)
    log.commit_to(Index(2))
    with pytest.raises(AssertionError, match="entry 2 conflicts, but 2 is committed"):
        append(log, 1, 1, 2)


def test_commit_never_goes_back() -> None:
    log = log_of(1, 1, 1)
    log.commit_to(Index(2))
    log.commit_to(Index(1))
    assert log.committed == 2


def test_a_commit_beyond_the_log_means_that_storage_was_lost() -> None:
    with pytest.raises(LostLogError, match="entry 4 is committed, acknowledged by this member"):
        log_of(1, 1, 1).commit_to(Index(4))


@pytest.mark.parametrize(
    ("index", "term", "expected"),
    [
        (5, 2, (5, 2)),  # beyond any conflict: its own last entry of at most that term
        (9, 9, (5, 2)),  # beyond the end
        (5, 1, (2, 1)),  # skip the whole of term 2
        (2, 1, (2, 1)),
        (5, 0, (0, 0)),
    ],
)
def test_back_off_skips_whole_terms(index: int, term: int, expected: tuple[int, int]) -> None:
    """§5.3, end: one round trip per conflicting term, not per entry."""
    assert log_of(1, 1, 2, 2, 2).find_conflict_by_term(Index(index), Term(term)) == expected


def test_slice_is_cut_by_bytes_but_never_empty() -> None:
    log = RaftLog(SnapshotMeta(), [entry(1, n + 1, b"x" * 76) for n in range(4)])
    each = 76 + ENTRY_OVERHEAD_BYTES
    assert len(log.slice(Index(1), Index(4), each * 2)) == 2
    assert len(log.slice(Index(1), Index(4), each * 2 - 1)) == 1
    assert len(log.slice(Index(1), Index(4), 1)) == 1
    assert len(log.slice(Index(2), Index(4), 1 << 30)) == 3


def test_stability_survives_only_what_was_not_overwritten() -> None:
    """A Ready is persisted while a new leader overwrites its entries: they are not stable."""
    log = log_of(1)
    append(log, 1, 1, 1, 1)
    assert [e.index for e in log.unstable_entries()] == [2, 3]
    append(log, 1, 1, 2, 2)
    log.stable_to(Index(3), Term(1))
    assert log.stable == 1
    log.stable_to(Index(3), Term(2))
    assert log.stable == 3
    append(log, 2, 2, 3)
    assert [(e.term, e.index) for e in log.unstable_entries()] == [(3, 3)]


def test_compaction_keeps_the_tail_and_its_term() -> None:
    log = log_of(1, 1, 2, 2)
    log.commit_to(Index(4))
    log.applied_to(Index(3))
    log.compact(Index(2), SnapshotMeta(Index(3), Term(2)))
    assert (log.first_index, log.last_index, log.snapshot.index) == (3, 4, 3)
    assert (log.term_at(Index(1)), log.term_at(Index(2)), log.term_at(Index(3))) == (None, 1, 2)


def test_what_is_not_applied_cannot_be_compacted() -> None:
    log = log_of(1, 1)
    log.commit_to(Index(1))
    with pytest.raises(AssertionError):
        log.compact(Index(1), SnapshotMeta(Index(1), Term(1)))


def test_restored_entries_that_lost_against_the_snapshot_are_void() -> None:
    """A crash between storing a received snapshot and forgetting the journal behind it."""
    log = RaftLog(SnapshotMeta(Index(2), Term(3)), entries(1, 1, 1, 1))
    assert (log.first_index, log.last_index, log.last_term) == (3, 2, 3)


def test_restored_entries_that_agree_with_the_snapshot_are_kept() -> None:
    log = RaftLog(SnapshotMeta(Index(2), Term(1)), entries(1, 1, 1, 2))
    assert (log.first_index, log.last_index, log.last_term) == (3, 4, 2)


@pytest.mark.parametrize(
    "stored", [[entry(1, 4)], [entry(1, 3), entry(1, 5)], [entry(2, 3), entry(1, 4)]]
)
def test_a_broken_journal_is_refused(stored: list[Entry]) -> None:
    with pytest.raises(LostLogError, match="cannot follow"):
        RaftLog(SnapshotMeta(Index(2), Term(1)), stored)


def test_unapplied_conf_changes_are_seen() -> None:
    log = RaftLog(SnapshotMeta(), [Entry(Term(1), Index(1), EntryKind.CONF_CHANGE, b"")])
    assert not log.has_unapplied_conf_change()
    log.commit_to(Index(1))
    assert log.has_unapplied_conf_change()
    log.applied_to(Index(1))
    assert not log.has_unapplied_conf_change()
