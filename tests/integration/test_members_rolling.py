"""Planned work on a cluster that serves: zero failed reads, no lost write, the gap reported.

32 clients write and read all the while, through a client that tries again; real processes.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from etcdclient.client import EtcdClient
from etcdclient.errors import EtcdError
from etcdclient.pb.rpc_pb2 import PutRequest, RangeRequest
from tests.support.etcdctl import add, etcdctl, members
from tests.support.stores import StoreCluster, leader_of, make_store

log = logging.getLogger(__name__)

WRITERS = 32
GAP_MAX_S = 3.0
"""Far above what is reported: a slow machine must not fail the test, an outage must."""


class Traffic:
    """Writers that each own a key, write a growing number to it, and read it back."""

    def __init__(self, client: EtcdClient) -> None:
        self._client = client
        self.acknowledged: dict[bytes, int] = {}
        self.attempted: dict[bytes, int] = {}
        self.failed_reads: list[EtcdError] = []
        self.writes = 0
        self.longest_gap_s = 0.0
        self._last_at = 0.0
        self.stopping = asyncio.Event()

    async def run(self, writer: int) -> None:
        key, number = b"writer-%02d" % writer, 0
        loop = asyncio.get_running_loop()
        self._last_at = loop.time()
        while not self.stopping.is_set():
            number += 1
            self.attempted[key] = number
            try:
                await self._client.put(PutRequest(key=key, value=b"%d" % number))
            except EtcdError:
                continue  # unknown, or refused: the next number will tell
            self.acknowledged[key] = number
            self.writes += 1
            now = loop.time()
            self.longest_gap_s = max(self.longest_gap_s, now - self._last_at)
            self._last_at = now
            await self._read(key)

    async def _read(self, key: bytes) -> None:
        try:
            found = (await self._client.range(RangeRequest(key=key))).kvs
        except EtcdError as error:
            self.failed_reads.append(error)
            return
        assert int(found[0].value) >= self.acknowledged[key], "a read missed a write"

    async def check(self, store: StoreCluster) -> None:
        """What was acknowledged is on every member, and nothing that nobody wrote."""
        for member in store.members:
            async with EtcdClient([member.endpoint], tls=store.tls) as client:
                for key, number in self.acknowledged.items():
                    found = (await client.range(RangeRequest(key=key))).kvs
                    assert number <= int(found[0].value) <= self.attempted[key]
        assert self.failed_reads == []
        assert self.writes > WRITERS
        assert self.longest_gap_s < GAP_MAX_S


@asynccontextmanager
async def traffic(store: StoreCluster) -> AsyncIterator[Traffic]:
    """Traffic for as long as the block lasts, then the check."""
    async with store.client(timeout_s=10.0) as client:
        flow = Traffic(client)
        async with asyncio.TaskGroup() as tasks:
            for writer in range(WRITERS):
                tasks.create_task(flow.run(writer))
            try:
                await asyncio.sleep(0.3)
                yield flow
                await asyncio.sleep(0.3)
            finally:
                flow.stopping.set()
    await flow.check(store)


async def until_caught_up(store: StoreCluster, place: int) -> None:
    """Until a member answers a linearizable read by itself, and the leader is connected to it."""
    async with EtcdClient([store.members[place].endpoint], tls=store.tls, timeout_s=20.0) as client:
        await client.range(RangeRequest(key=b"any"), timeout_s=20.0)


async def replace(store: StoreCluster, place: int) -> None:
    """Take a member away for good, and put another in its place."""
    name = store.members[place].name
    ids = await members(store, (place + 1) % 3)
    old = store.members[place]
    said = await etcdctl(store, "member", "remove", f"{ids[name]:x}", place=(place + 1) % 3)
    assert said.code == 0, said.err
    assert old.process is not None
    await asyncio.to_thread(old.process.wait, 20)
    old.process = None
    (fresh,) = make_store("raftstore", store.root / "fresh", 1).members
    fresh.name, fresh.data_dir = "cp9", store.root / "fresh" / "data"
    fresh.log_path = store.root / "cp9.log"
    store.members.pop(place)
    said = await add(store, "cp9", fresh.peer_url)
    assert said.code == 0, said.err
    store.members.append(fresh)
    store.extra_flags = ("--initial-cluster-state=existing",)
    store.start(2)
    await until_caught_up(store, 2)


@pytest.mark.parametrize("work", ["rolling restart", "move leader", "replace"])
async def test_planned_work_costs_no_read_and_no_write(tmp_path: Path, work: str) -> None:
    store = make_store("raftstore", tmp_path, 3)
    store.start()
    try:
        await store.wait_until_serving()
        async with traffic(store) as flow, store.client() as client:
            leader = store.place_of(await leader_of(client, store.endpoints))
            match work:
                case "rolling restart":
                    for place in range(3):
                        assert await asyncio.to_thread(store.stop, place, signal.SIGTERM) == 0
                        store.start(place)
                        await until_caught_up(store, place)
                case "move leader":
                    ids = await members(store)
                    for _ in range(3):
                        to = (leader + 1) % 3
                        await client.move_leader(
                            store.members[leader].endpoint, ids[store.members[to].name]
                        )
                        leader = to
                case _:
                    await replace(store, leader)
        gap_ms = round(flow.longest_gap_s * 1_000)
        log.info("%s: %d writes, longest gap %d ms", work, flow.writes, gap_ms)
    finally:
        store.stop_all()
