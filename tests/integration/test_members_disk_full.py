"""A full disk: an alarm, reads that go on, no corrupt file, and a way back. Needs a small tmpfs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdclient.client import EtcdClient
from etcdclient.errors import EtcdError
from etcdclient.pb.rpc_pb2 import PutRequest, RangeRequest
from tests.support.etcdctl import etcdctl, until_said
from tests.support.stores import StoreCluster, make_store

DISK_MIB = 96
NO_SPACE = "mvcc: database space exceeded"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreCluster]:
    """One member, whose data directory is a small file system of its own."""
    assert os.geteuid() == 0, "a small file system needs root (CI runs as root)"
    cluster = make_store("raftstore", tmp_path, 1)
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", disk], check=True)
    cluster.members[0].data_dir = disk / "data"
    try:
        yield cluster
    finally:
        cluster.stop_all()
        subprocess.run(["umount", disk], check=True)


async def fill_up(client: EtcdClient) -> int:
    """Write until it is refused for lack of space; how many were acknowledged."""
    number = 0
    async with asyncio.timeout(60):
        while True:
            try:
                await client.put(PutRequest(key=b"%06d" % number, value=bytes(200_000)))
            except EtcdError as error:
                if error.text != f"etcdserver: {NO_SPACE}":
                    raise
                return number
            number += 1


async def count(client: EtcdClient) -> int:
    request = RangeRequest(key=b"0", range_end=b"9", count_only=True)
    return (await client.range(request)).count


async def test_a_full_disk_is_an_alarm_and_reads_go_on(store: StoreCluster) -> None:
    store.start()
    await store.wait_until_serving()
    ballast = store.root / "disk" / "ballast"
    ballast.write_bytes(bytes(30 << 20))
    async with store.client() as client:
        written = await fill_up(client)
        assert written > 10
        assert await count(client) == written
        said = await etcdctl(store, "alarm", "list")
        assert "alarm:NOSPACE" in said.out
        store.stop(0, signal.SIGKILL)
        store.start()
        await until_said(store, "alarm:NOSPACE", "alarm", "list")
        assert await count(client) == written
        assert await fill_up(client) == 0
        ballast.unlink()
        log = store.members[0].log_path
        async with asyncio.timeout(20):
            while not log.read_text().rstrip().endswith("has room"):
                await asyncio.sleep(0.05)
        assert (await etcdctl(store, "alarm", "disarm")).code == 0
        await client.put(PutRequest(key=b"room", value=bytes(200_000)))
        assert await count(client) == written
    store.stop(0, signal.SIGTERM)
    store.start()
    async with store.client() as client:
        assert await count(client) == written
