"""Snapshot files: published whole or not at all, whoever writes them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from raftstore.membership import Membership
from raftstore.raft.types import Index, SnapshotMeta, Term
from raftstore.snap.codec import SnapshotDamagedError, SnapshotHead
from raftstore.snap.store import SnapshotGoneError, SnapshotStore
from raftstore.wal.worker import DiskWorker

MEMBERSHIP = Membership.initial({"a": ("https://a:1",)}, "token")
HEAD = SnapshotHead(Index(7), Term(2), MEMBERSHIP)
CHUNKS = [b"x" * 5_000, b"y" * 3, b"z" * 1_000]


@pytest_asyncio.fixture
async def worker() -> AsyncIterator[DiskWorker]:
    failures: list[BaseException] = []
    made = DiskWorker("snapshots", on_fatal=failures.append)
    yield made
    await asyncio.to_thread(made.close)
    assert not failures


def store_in(directory: Path) -> SnapshotStore:
    return SnapshotStore(directory, chunk_bytes_max=2_000)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_what_is_saved_is_read_back_in_the_same_chunks_however_large(
    tmp_path: Path, worker: DiskWorker
) -> None:
    store = store_in(tmp_path)
    size = await store.save(HEAD, iter(CHUNKS), worker)
    head, chunks = store.read(7, 2)
    assert head.meta == HEAD.meta
    assert chunks == CHUNKS  # on disk the first is in three pieces; the simulation found it so
    assert store.path(7, 2).stat().st_size == size
    assert len(names(tmp_path)) == 1


async def test_a_snapshot_given_up_leaves_nothing(tmp_path: Path, worker: DiskWorker) -> None:
    store = store_in(tmp_path)

    def chunks() -> Iterator[bytes]:
        yield b"first"
        raise RuntimeError("the state machine failed")

    with pytest.raises(RuntimeError):
        await store.save(HEAD, chunks(), worker)
    assert names(tmp_path) == []


async def test_the_loop_runs_between_the_chunks(tmp_path: Path, worker: DiskWorker) -> None:
    turns: list[str] = []

    def chunks() -> Iterator[bytes]:
        for number in range(5):
            turns.append("chunk")
            yield b"%d" % number

    async def beat() -> None:
        while True:
            turns.append("beat")
            await asyncio.sleep(0)

    beating = asyncio.ensure_future(beat())
    await store_in(tmp_path).save(HEAD, chunks(), worker)
    beating.cancel()
    pairs = list(itertools.pairwise(turns))
    assert ("chunk", "chunk") not in pairs


async def test_a_received_snapshot_is_checked_before_it_has_a_name(
    tmp_path: Path, worker: DiskWorker
) -> None:
    await store_in(tmp_path / "sender").save(HEAD, iter(CHUNKS), worker)
    reader = store_in(tmp_path / "sender").begin_send(HEAD.meta)
    data = reader.read()
    assert reader.read() == b""
    reader.close()
    target = tmp_path / "receiver"
    store = store_in(target)
    for position in (10, 40, len(data) // 2, len(data) - 1):
        altered = bytearray(data)
        altered[position] ^= 0x04
        receiver = store.begin_receive()
        with pytest.raises(SnapshotDamagedError):  # noqa: PT012 - either step may notice
            receiver.feed(bytes(altered))
            receiver.finish(HEAD.meta)
        receiver.abandon()
        assert names(target) == []
    receiver = store.begin_receive()
    receiver.feed(data[:-1])
    with pytest.raises(SnapshotDamagedError, match="before its tail"):
        receiver.finish(HEAD.meta)
    receiver.abandon()
    receiver = store.begin_receive()
    receiver.feed(data)
    with pytest.raises(SnapshotDamagedError, match="expected index 8"):
        receiver.finish(SnapshotMeta(Index(8), Term(2)))
    assert receiver.finish(HEAD.meta).meta == HEAD.meta
    receiver.abandon()
    assert store.read(7, 2)[0].meta == HEAD.meta


async def test_old_files_go_and_readers_are_told(tmp_path: Path, worker: DiskWorker) -> None:
    store = store_in(tmp_path)
    await store.save(HEAD, iter(CHUNKS), worker)
    newer = SnapshotHead(Index(9), Term(2), MEMBERSHIP)
    await store.save(newer, iter(CHUNKS), worker)
    store.remove_except({(Index(9), Term(2))})
    assert names(tmp_path) == [store.path(9, 2).name]
    with pytest.raises(SnapshotGoneError, match="gave way"):
        store.begin_send(HEAD.meta).read()
    with pytest.raises(SnapshotGoneError):
        store.read(7, 2)


def test_half_made_files_of_an_earlier_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / "own-01.tmp").write_bytes(b"half")
    store_in(tmp_path)
    assert names(tmp_path) == []
