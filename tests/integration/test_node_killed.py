"""Members killed with SIGKILL while they write: what was acknowledged is there afterwards."""

from __future__ import annotations

import asyncio
import pickle
import sys
from pathlib import Path

import pytest

from raftstore.wal.lock import DataDirLockedError
from tests.support.nodes import Cluster, Member, value_of

ACKNOWLEDGED_MIN = 300


async def spawn(member: Member, tmp_path: Path) -> asyncio.subprocess.Process:
    config = tmp_path / f"{member.config.name}.pickle"
    config.write_bytes(pickle.dumps(member.config))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.node_process", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def collect(process: asyncio.subprocess.Process, keys: list[str]) -> None:
    """Every acknowledged key, to the last line that the process managed to write."""
    assert process.stdout is not None
    async for line in process.stdout:
        if line.endswith(b"\n"):
            keys.append(line.decode().strip())


async def test_all_members_killed_at_once_lose_nothing_acknowledged(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    members = list(cluster.members.values())
    processes = [await spawn(member, tmp_path) for member in members]
    keys: list[str] = []
    async with asyncio.timeout(60), asyncio.TaskGroup() as readers:
        for process in processes:
            readers.create_task(collect(process, keys))
        try:
            while len(keys) < ACKNOWLEDGED_MIN:
                await asyncio.sleep(0.01)
            with pytest.raises(DataDirLockedError, match=f"pid {processes[0].pid}"):
                await members[0].start()
        finally:
            for process in processes:
                process.kill()
    for process in processes:
        await process.wait()
    assert len(keys) == len(set(keys)) >= ACKNOWLEDGED_MIN
    async with cluster:
        await cluster.leader()
        for member in members:
            await member.up.read_index()
            missing = [key for key in keys if value_of(member.up, key.encode()) != key.encode()]
            assert not missing
        await cluster.converged()
