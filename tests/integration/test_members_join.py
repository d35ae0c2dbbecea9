"""Members come and go at run time: real processes, driven by etcdctl."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdclient.pb.rpc_pb2 import PutRequest
from tests.support.etcdctl import add, etcdctl, members, until_said
from tests.support.stores import StoreCluster, StoreMember, leader_of, make_store

EXISTING = "--initial-cluster-state=existing"
NOT_IN_SYNC = "can only promote a learner member which is in sync with leader"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreCluster]:
    """Three members that serve."""
    cluster = make_store("raftstore", tmp_path, 3)
    cluster.start()
    try:
        asyncio.run(cluster.wait_until_serving())
        yield cluster
    finally:
        cluster.stop_all()


def newcomer(store: StoreCluster, name: str) -> StoreMember:
    """A member on free ports that is in nobody's list yet."""
    (fresh,) = make_store("raftstore", store.root / name, 1).members
    fresh.name, fresh.data_dir = name, store.root / name / "data"
    fresh.log_path = store.root / f"{name}.log"
    return fresh


def start_joiner(store: StoreCluster, fresh: StoreMember) -> int:
    """Start a member that was added, with the flags that `member add` prints."""
    store.members.append(fresh)
    store.extra_flags = (EXISTING,)
    store.start(len(store.members) - 1)
    return len(store.members) - 1


def ended(store: StoreCluster, place: int) -> str:
    """Wait for a member to end by itself; what it said."""
    process = store.members[place].process
    assert process is not None
    assert process.wait(20) == 1
    store.members[place].process = None
    return store.members[place].log_path.read_text()


def refused(store: StoreCluster, place: int) -> str:
    """Start a member that must not start; the one line it says."""
    done = subprocess.run(
        [sys.executable, "-m", "raftstore", *store.flags(store.members[place])],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("raftstore: ")]
    return line


async def fill(store: StoreCluster, count: int = 50) -> None:
    async with store.client() as client:
        await asyncio.gather(
            *(client.put(PutRequest(key=b"k%d" % n, value=b"v" * 100)) for n in range(count))
        )


async def test_a_learner_joins_catches_up_and_is_promoted(store: StoreCluster) -> None:
    await fill(store)
    fresh = newcomer(store, "cp4")
    said = await add(store, "cp4", fresh.peer_url, "--learner")
    assert said.code == 0, said.err
    learner = (await members(store))[fresh.peer_url]
    said = await etcdctl(store, "member", "promote", f"{learner:x}")
    assert NOT_IN_SYNC in said.err
    another = newcomer(store, "cp5")
    said = await etcdctl(
        store, "member", "add", "cp5", f"--peer-urls={another.peer_url}", "--learner"
    )
    assert "etcdserver: too many learner members in cluster" in said.err
    place = start_joiner(store, fresh)
    await until_said(store, "promoted in cluster", "member", "promote", f"{learner:x}")
    for at in range(4):
        listed = await members(store, at)
        assert sorted(listed) == ["cp1", "cp2", "cp3", "cp4"]
        assert listed["cp4"] == learner
    async with store.client() as client:
        revision = (await client.put(PutRequest(key=b"after", value=b"4"))).header.revision
        hashes = {(await client.hash_kv(e, revision)).hash for e in store.endpoints}
        assert len(hashes) == 1
    store.stop(place)
    store.start(place)
    await until_said(store, "is healthy", "endpoint", "health")


async def test_a_voter_joins_and_refusals_have_etcds_texts(store: StoreCluster) -> None:
    fresh = newcomer(store, "cp4")
    said = await add(store, "cp4", store.members[0].peer_url)
    assert "etcdserver: Peer URLs already exists" in said.err
    said = await etcdctl(store, "member", "remove", "12345")
    assert "etcdserver: member not found" in said.err
    said = await etcdctl(store, "member", "promote", f"{(await members(store))['cp1']:x}")
    assert "etcdserver: can only promote a learner member" in said.err
    assert (await add(store, "cp4", fresh.peer_url)).code == 0
    start_joiner(store, fresh)
    await until_said(store, "cp4", "member", "list")
    await fill(store)
    moved = newcomer(store, "cp9").peer_url
    await until_said(
        store,
        "updated",
        "member",
        "update",
        f"{(await members(store))['cp4']:x}",
        f"--peer-urls={moved}",
    )
    assert moved in (await etcdctl(store, "member", "list", place=2)).out


async def test_strict_reconfiguration_protects_the_quorum(store: StoreCluster) -> None:
    ids = await members(store)
    store.stop(2)
    fresh = newcomer(store, "cp4")
    await until_said(
        store,
        "etcdserver: unhealthy cluster",
        "member",
        "add",
        "cp4",
        f"--peer-urls={fresh.peer_url}",
    )
    said = await etcdctl(store, "member", "remove", f"{ids['cp1']:x}", place=1)
    assert "etcdserver: unhealthy cluster" in said.err
    said = await etcdctl(store, "member", "remove", f"{ids['cp3']:x}", place=1)
    assert said.code == 0, said.err
    assert sorted(await members(store, 1)) == ["cp1", "cp2"]
    store.start(2)
    log = await asyncio.to_thread(ended, store, 2)
    assert f"member {ids['cp3']:016x} was removed from this cluster: add it under a new id" in log
    assert "Traceback" not in log


async def test_a_removed_leader_hands_over_ends_and_stays_away(store: StoreCluster) -> None:
    async with store.client() as client:
        leader = store.place_of(await leader_of(client, store.endpoints))
    name = store.members[leader].name
    other = (leader + 1) % 3
    ids = await members(store)
    said = await etcdctl(store, "member", "remove", f"{ids[name]:x}", place=other)
    assert said.code == 0, said.err
    assert name not in await members(store, other)
    log = ended(store, leader)
    assert "has been permanently removed from the cluster" in log
    assert "Traceback" not in log
    assert "has been permanently removed from the cluster" in refused(store, leader)
    shutil.rmtree(store.members[leader].data_dir)
    assert "has been permanently removed from the cluster" in refused(store, leader)


async def test_a_member_that_lost_its_disk_is_refused_until_it_is_added_anew(
    store: StoreCluster,
) -> None:
    await fill(store)
    ids = await members(store)
    store.stop(2)
    shutil.rmtree(store.members[2].data_dir)
    line = refused(store, 2)
    assert "has already been bootstrapped" in line
    assert f"etcdctl member remove {ids['cp3']:x}" in line
    store.extra_flags = (EXISTING,)
    assert "has already been bootstrapped" in refused(store, 2)
    assert (await etcdctl(store, "member", "remove", f"{ids['cp3']:x}", place=0)).code == 0
    assert "etcdctl member add cp3 --peer-urls=" in refused(store, 2)
    lost = store.members.pop()
    said = await add(store, "cp3", lost.peer_url)
    assert said.code == 0, said.err
    place = start_joiner(store, lost)
    async with asyncio.timeout(20):
        while "cp3" not in await members(store, place):
            await asyncio.sleep(0.05)
    assert (await members(store, place))["cp3"] != ids["cp3"]


async def test_a_member_that_lost_its_disk_while_alone_is_found_out(store: StoreCluster) -> None:
    """Nobody could be asked when it started: its incarnation gives it away later."""
    await fill(store)
    for place in range(3):
        store.stop(place)
    shutil.rmtree(store.members[2].data_dir)
    store.start(2)
    log = store.members[2].log_path
    async with asyncio.timeout(20):
        while log.read_text().count("ready: clients") < 2:
            await asyncio.sleep(0.05)
    store.start(0, 1)
    text = await asyncio.to_thread(ended, store, 2)
    assert "has already been bootstrapped from another data directory" in text
    assert text.count("Traceback") == 0
    await store.wait_until_serving()


async def test_a_member_with_an_older_disk_ends_with_the_cause(store: StoreCluster) -> None:
    async with store.client() as client:
        leader = store.place_of(await leader_of(client, store.endpoints))
    place = (leader + 1) % 3
    await fill(store)
    store.stop(place)
    backup = store.root / "backup"
    shutil.copytree(store.members[place].data_dir, backup)
    store.start(place)
    await until_said(store, "is healthy", "endpoint", "health")
    await fill(store, 100)
    async with store.client() as client:
        hashes: set[int] = set()
        while len(hashes) != 1:
            revision = (await client.put(PutRequest(key=b"all"))).header.revision
            status = [await client.status(endpoint) for endpoint in store.endpoints]
            hashes = {one.header.revision for one in status if one.header.revision >= revision}
            await asyncio.sleep(0.01)
    store.stop(place)
    shutil.rmtree(store.members[place].data_dir)
    shutil.move(backup, store.members[place].data_dir)
    store.start(place)
    text = await asyncio.to_thread(ended, store, place)
    assert "no longer in its log" in text
    assert "Remove the member from the cluster and add it anew" in text
