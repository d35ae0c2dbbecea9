"""The history's file: only grows, written through, readable after a crash."""

import itertools
from pathlib import Path

import pytest

from chaos.history import (
    Event,
    EventType,
    HistoryError,
    HistoryWriter,
    read_history,
    render_event,
)


def test_writer_numbers_and_times_events(tmp_path: Path) -> None:
    clock = itertools.count(100)
    path = tmp_path / "history.jsonl"
    with HistoryWriter(path, lambda: next(clock)) as history:
        history.append("w0", EventType.INVOKE, "read", {})
        assert len(read_history(path)) == 1, "each event is written through at once"
        history.append("w0", EventType.OK, "read", {"value": 1})
    assert [(event.index, event.time_ns) for event in read_history(path)] == [(0, 100), (1, 101)]
    with pytest.raises(FileExistsError):
        HistoryWriter(path, lambda: 0)


def test_line_that_a_crash_cut_off_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    whole = render_event(Event(0, 1, "w0", EventType.INVOKE, "read", {}))
    path.write_text(whole + "\n" + whole[:20])
    assert len(read_history(path)) == 1
    path.write_text(whole[:20] + "\n" + whole + "\n")
    with pytest.raises(HistoryError):
        read_history(path)
