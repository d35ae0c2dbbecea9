"""Agents as processes, a real etcd, real TLS servers: who holds the address, and when."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdclient.client import EtcdClient
from etcdclient.pb import rpc_pb2 as pb
from tests.support.vip_world import VipWorld, can_connect, wait_until
from vip.record import HolderRecord, parse_record, record_key

NODES = ("cp1", "cp2", "cp3")
MOVE_WITHIN_S = 1.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[VipWorld]:
    """etcd, three backends and three agents, one of which holds the address."""
    world = VipWorld(tmp_path)
    try:
        world.start_etcd()
        for name in NODES:
            world.start_backend(name)
        for name in NODES:
            world.start_agent(name)
        wait_until(world.answers, "the address")
        for name in NODES:
            wait_until(lambda name=name: "ready" in world.log_of(f"agent-{name}"), f"agent {name}")  # type: ignore[misc]
        yield world
    finally:
        world.close()


async def read_record(world: VipWorld) -> HolderRecord | None:
    async with EtcdClient([world.etcd_url]) as client:
        found = await client.range(pb.RangeRequest(key=record_key(world.vip)))
        return parse_record(found.kvs[0].value) if found.kvs else None


def current_holder(world: VipWorld) -> str:
    holder = world.holder()
    assert holder is not None
    return holder


async def test_record_names_the_process_that_listens(world: VipWorld) -> None:
    record = await read_record(world)
    assert record is not None
    holder = current_holder(world)
    assert holder == f"agent-{record.node}"
    assert record.pid == world.processes[holder].pid
    assert record.address == world.vip


def test_kill_moves_the_address_within_a_second(world: VipWorld) -> None:
    took_s = []
    for _ in range(2):
        holder = current_holder(world)
        world.kill(holder)
        took_s.append(wait_until(world.answers, "the address elsewhere"))
        assert current_holder(world) != holder
        wait_until(lambda: world.get("/name")[1] in NODES, "an answer")
    assert max(took_s) < MOVE_WITHIN_S, took_s


def test_a_stopping_holder_hands_over(world: VipWorld) -> None:
    holder = current_holder(world)
    process = world.processes.pop(holder)
    process.terminate()
    took_s = wait_until(lambda: process.poll() is not None, "the end of the agent")
    assert process.returncode == 0
    took_s += wait_until(world.answers, "the address elsewhere")
    assert took_s < MOVE_WITHIN_S
    assert current_holder(world) != holder


async def test_a_paused_holder_keeps_others_out_and_lets_go_when_it_wakes(world: VipWorld) -> None:
    paused = current_holder(world)
    world.signal(paused, signal.SIGSTOP)
    paused_node = paused.removeprefix("agent-")
    deadline = time.monotonic() + 15
    while (record := await read_record(world)) is None or record.node == paused_node:
        assert time.monotonic() < deadline, "the lease of a paused holder did not run out"
        assert world.listeners() == [paused]
    successor = f"agent-{record.node}"
    assert world.listeners() == [paused]
    world.signal(paused, signal.SIGCONT)
    took_s = wait_until(lambda: world.listeners() == [successor], "the successor")
    assert took_s < MOVE_WITHIN_S
    wait_until(world.answers, "the address")


def test_a_holder_without_a_store_lets_go_before_its_lease_ends(world: VipWorld) -> None:
    world.signal("etcd", signal.SIGSTOP)
    kept_s = wait_until(lambda: world.holder() is None, "letting go")
    assert 1.0 < kept_s < 3.0, "a lease of 3 s: later is unsafe, earlier wastes a failover's time"
    world.signal("etcd", signal.SIGCONT)
    wait_until(world.answers, "the address again")
    current_holder(world)


def test_a_short_outage_of_the_store_does_not_move_the_address(world: VipWorld) -> None:
    holder = current_holder(world)
    with world.connection() as connection:
        connection.request("GET", "/name")
        served_by = connection.getresponse().read()
        world.signal("etcd", signal.SIGSTOP)
        until = time.monotonic() + 1.2  # the longest failover of a store's leader
        while time.monotonic() < until:
            assert world.holder() == holder
            connection.request("GET", "/name")
            assert connection.getresponse().read() == served_by
        world.signal("etcd", signal.SIGCONT)
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            assert world.holder() == holder
            connection.request("GET", "/name")
            assert connection.getresponse().read() == served_by


def test_a_dead_backend_is_dropped_within_a_second(world: VipWorld) -> None:
    world.kill("backend-cp1")
    began = time.monotonic()
    seen = set()
    while time.monotonic() - began < MOVE_WITHIN_S:
        status, name = world.get("/name")  # not one fails, even before the check
        assert status == 200
        seen.add(name)
    assert seen == {"cp2", "cp3"}
    world.start_backend("cp1")
    wait_until(lambda: world.get("/name")[1] == "cp1", "the backend's return")


def test_a_silent_backend_gets_no_connections_and_loses_those_it_has(world: VipWorld) -> None:
    with world.connection(timeout_s=10) as connection:
        connection.request("GET", "/name")
        stopped = connection.getresponse().read().decode()
        world.signal(f"backend-{stopped}", signal.SIGSTOP)
        began = time.monotonic()
        connection.request("GET", "/name")
        with pytest.raises((OSError, http.client.HTTPException)):
            connection.getresponse()
        assert time.monotonic() - began < 6
    for _ in range(6):
        assert world.get("/name")[1] != stopped


def test_a_draining_backend_keeps_its_connections_and_gets_no_more(world: VipWorld) -> None:
    with world.connection() as connection:
        connection.request("GET", "/name")
        draining = connection.getresponse().read().decode()
        world.set_readiness(draining, 503)
        holder = current_holder(world)
        wait_until(lambda: "is draining" in world.log_of(holder), "draining")
        assert draining not in {world.get("/name")[1] for _ in range(9)}
        connection.request("GET", "/name")
        assert connection.getresponse().read().decode() == draining
    world.set_readiness(draining, 200)
    wait_until(lambda: world.get("/name")[1] == draining, "the backend's return")


def test_connections_are_spread(world: VipWorld) -> None:
    assert {world.get("/name")[1] for _ in range(9)} == set(NODES)


def test_large_bodies_pass_both_ways(world: VipWorld) -> None:
    body = bytes(range(256)) * (8 << 12)  # 8 MiB
    with world.connection(timeout_s=20) as connection:
        connection.request("POST", "/echo", body=body)
        assert connection.getresponse().read() == body


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (["--address", "127.0.0.10"], "is not ADDRESS:PORT"),
        (["--lease-duration", "0"], "lease"),
        (["--etcd-cafile", "ca.crt"], "go together"),
    ],
)
def test_wrong_flags_exit_with_two(tmp_path: Path, change: list[str], cause: str) -> None:
    world = VipWorld(tmp_path)
    ended = run_agent([*world.flags("cp1"), *change])
    assert ended.returncode == 2
    assert cause in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    world = VipWorld(tmp_path)
    ended = run_agent([*world.flags("cp1"), "--address", "192.0.2.1:6443"])
    assert ended.returncode == 1
    assert "192.0.2.1 is not an address of this machine" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def run_agent(flags: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vip", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


async def test_the_record_is_json_that_status_can_read(world: VipWorld) -> None:
    async with EtcdClient([world.etcd_url]) as client:
        found = await client.range(pb.RangeRequest(key=record_key(world.vip)))
    document = json.loads(found.kvs[0].value)
    assert set(document) == {"holder", "node", "pid", "address", "since"}
    assert found.kvs[0].lease != 0


def test_a_killed_agent_leaves_nothing_listening(world: VipWorld) -> None:
    for name in NODES:
        world.kill(f"agent-{name}")
    assert not can_connect(world.vip_host, world.vip_port)
