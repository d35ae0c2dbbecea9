"""The power fails at any step: whatever was acknowledged is there after the restart."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

from raftstore.apply import Applier
from raftstore.config import Limits, NodeConfig
from raftstore.engine.host import SystemHost
from raftstore.engine.recovery import recover
from raftstore.lease import Lessor
from raftstore.membership import Membership
from raftstore.mvcc import Store
from raftstore.node import Node
from raftstore.wal.repair import JournalCorruptError
from tests.support.golden import state_of
from tests.support.nodes import put
from tests.support.peer_pki import PeerPki
from tests.support.power import (
    Disk,
    ForgetfulFiles,
    Recorder,
    RecordingFiles,
    write_out,
)

ROUNDS = 60
WRITERS = 6
CRASHES = 250
SMALL = Limits(
    segment_bytes=8 * 1024, snapshot_journal_bytes=12 * 1024, snapshot_catch_up_entries=5
)


class RecordedHost(SystemHost):
    """The machine this runs on, with the given files."""

    def __init__(self, files: RecordingFiles) -> None:
        self.files = files


def config_in(data_dir: Path, pki: Path) -> NodeConfig:
    url = "https://127.0.30.2:23802"
    return NodeConfig(
        name="only",
        data_dir=data_dir,
        initial_cluster={"only": (url,)},
        listen_peer_urls=(url,),
        advertise_client_urls=("https://127.0.30.2:23792",),
        peer_tls=PeerPki(pki).issue("peer", ["127.0.30.2"]),
        limits=SMALL,
    )


async def record(config: NodeConfig, files: RecordingFiles) -> None:
    """Writers at work, with segments and snapshots that come and go."""
    members = Membership.initial(config.initial_cluster, config.initial_cluster_token)
    applier = Applier(Store(), Lessor(1), members)
    async with Node(config, applier, members, host=RecordedHost(files)) as node:

        async def write(writer: int) -> None:
            for round_ in range(ROUNDS):
                key = b"%d-%d" % (writer, round_)
                await node.propose(put(key, bytes(random.Random(key).randrange(900))))
                files.recorder.acknowledge(key)

        async with asyncio.TaskGroup() as tasks:
            for writer in range(WRITERS):
                tasks.create_task(write(writer))


def lost_after(recorder: Recorder, config: NodeConfig, tmp_path: Path) -> set[bytes]:
    """Crash at sampled steps; the acknowledged keys that some recovery did not find."""
    chance = random.Random(7)
    lost: set[bytes] = set()
    stops = sorted(chance.sample(range(len(recorder.steps)), min(CRASHES, len(recorder.steps))))
    disk, done = Disk(), 0
    for stop in stops:
        for step in recorder.steps[done:stop]:
            step(disk)
        done = stop
        crashed = tmp_path / f"crash-{stop}"
        write_out(disk.after_crash(chance), config.data_dir, crashed)
        crashed.mkdir(exist_ok=True)
        lost |= set(disk.acknowledged) - found_in(crashed, config)
    return lost


def found_in(data_dir: Path, config: NodeConfig) -> set[bytes]:
    """The keys that a member recovers from these files; it must recover."""
    recovered = recover(
        NodeConfig(
            name=config.name,
            data_dir=data_dir,
            initial_cluster=config.initial_cluster,
            listen_peer_urls=config.listen_peer_urls,
            advertise_client_urls=config.advertise_client_urls,
            peer_tls=config.peer_tls,
            limits=config.limits,
        )
    )
    try:
        return set(state_of(recovered).store.index.live)
    finally:
        recovered.lock.close()


async def test_no_acknowledged_write_is_lost_wherever_the_power_fails(tmp_path: Path) -> None:
    recorder = Recorder()
    config = config_in(tmp_path / "run", tmp_path / "pki")
    await record(config, RecordingFiles(recorder))
    assert len(list((config.data_dir / "member" / "snap").glob("*.snap"))) >= 2
    assert lost_after(recorder, config, tmp_path) == set()


async def test_a_journal_that_is_not_synced_would_be_found_out(tmp_path: Path) -> None:
    recorder = Recorder()
    config = config_in(tmp_path / "run", tmp_path / "pki")
    await record(config, ForgetfulFiles(recorder))
    lost: set[bytes] = set()
    with contextlib.suppress(JournalCorruptError):  # a hole in the middle is noticed, too
        lost = lost_after(recorder, config, tmp_path)
        assert lost, "nothing was lost although nothing was synced"
