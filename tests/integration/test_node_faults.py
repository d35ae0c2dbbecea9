"""Writers on all members while links are cut, members restart and leadership moves.

The promise in one test: what was acknowledged is on every member afterwards, what was refused
definitely is on none, and all members agree.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

import pytest

from raftstore.config import Limits
from raftstore.errors import StoreError
from tests.support.nodes import Cluster, put, value_of

WRITERS = 12
FAULTS = 10
VALUE_BYTES_MAX = 2_000
SMALL = Limits(
    segment_bytes=64 * 1024, snapshot_journal_bytes=96 * 1024, snapshot_catch_up_entries=5
)


class Run:
    """One cluster under faults; everything it does follows from `seed`, save for timing."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)
        self.acknowledged: set[bytes] = set()
        self.refused: set[bytes] = set()
        self.stopping = asyncio.Event()

    async def write(self, writer: int) -> None:
        """Write keys nobody else writes, to any member, until told to stop."""
        members = list(self.cluster.members.values())
        number = 0
        while not self.stopping.is_set():
            member = self.random.choice(members)
            if member.node is None:
                await asyncio.sleep(0.01)
                continue
            key = f"{writer}-{number}".encode()
            number += 1
            try:
                await member.up.propose(put(key, bytes(self.random.randrange(VALUE_BYTES_MAX))))
            except StoreError as error:
                if error.definite:
                    self.refused.add(key)
            else:
                self.acknowledged.add(key)

    async def break_things(self) -> None:
        """Faults one after the other; healed at the end."""
        links = self.cluster.links
        assert links is not None
        for _ in range(FAULTS):
            await asyncio.sleep(self.random.uniform(0.1, 0.8))
            member = self.random.choice(list(self.cluster.members.values()))
            match self.random.choice(("cut", "heal", "restart", "hand over")):
                case "cut":
                    await links.cut_off(self.cluster.hosts[member.config.name])
                case "heal":
                    await links.heal()
                case "restart":
                    await member.stop()
                    await asyncio.sleep(self.random.uniform(0.0, 0.8))
                    await member.start()
                case _:
                    with contextlib.suppress(StoreError):  # there may be no leader to ask
                        await member.up.transfer_leadership(member.up.member_id)
        await links.heal()


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_acknowledged_write_is_lost_and_no_refused_one_appears(
    tmp_path: Path, seed: int
) -> None:
    async with Cluster(tmp_path, limits=SMALL, linked=True) as cluster:
        await cluster.leader()
        run = Run(cluster, seed)
        async with asyncio.TaskGroup() as tasks:
            for writer in range(WRITERS):
                tasks.create_task(run.write(writer))
            await run.break_things()
            run.stopping.set()
        await cluster.leader()
        for member in cluster.members.values():
            await member.up.read_index()
            missing = {key for key in run.acknowledged if value_of(member.up, key) is None}
            assert not missing
            assert not {key for key in run.refused if value_of(member.up, key) is not None}
            assert list((member.config.data_dir / "member" / "snap").glob("*.snap"))
        await cluster.converged()
        assert len(run.acknowledged) > 100
