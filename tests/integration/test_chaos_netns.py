"""The netns network, with real packets; and the virtual IP on an interface, between namespaces."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chaos.live.netns import NetnsNetwork, netns_network
from chaos.live.network import NetworkError

HOST = "10.77.28.1"
NODES = {"a": "10.77.28.11", "b": "10.77.28.12", "c": "10.77.28.13"}
VIP, VIP_PORT = "10.77.28.100", 16443
LEASE_S = 3


pytestmark = pytest.mark.serial


def tag() -> str:
    return f"t{os.getpid() % 100_000}"


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 15.0) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        assert loop.time() - began < timeout_s, f"{what} did not come to be in {timeout_s} s"
        await asyncio.sleep(0.02)
    return loop.time() - began


def run_on(network: NetnsNetwork, node: str, *command: str) -> subprocess.CompletedProcess[str]:
    whole = [*network.command_prefix(node), *command]
    return subprocess.run(whole, capture_output=True, text=True, timeout=20, check=False)


def reaches(network: NetnsNetwork, source: str, target: str) -> bool:
    dial = f"import socket; socket.create_connection(('{NODES[target]}', 9), 0.4)"
    said = run_on(network, source, sys.executable, "-c", dial).stderr
    assert "refused" in said or "timed out" in said, said
    return "refused" in said  # nobody listens: an answer all the same


def test_wrong_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="is not in"):
        NetnsNetwork("t", "10.77.28.1/24", {"a": "10.77.29.1"})
    with pytest.raises(ValueError, match="letters and digits"):
        NetnsNetwork("much-too-long", "10.77.28.1/24", NODES)


async def test_partition_cuts_packets_and_heal_lets_them_through() -> None:
    async with netns_network(tag(), f"{HOST}/24", NODES) as network:
        assert reaches(network, "a", "b")
        await network.partition([["a"], ["b", "c"]])
        assert not reaches(network, "a", "b")
        assert not reaches(network, "c", "a")
        assert reaches(network, "b", "c")
        await network.heal()
        assert reaches(network, "a", "b")
        with pytest.raises(NetworkError, match="no node is named"):
            await network.cut("a", "z")
        with pytest.raises(NetworkError, match="proxy network"):
            await network.delay("a", "b", delay_ms=10)
        namespace = network.namespace("a")
    assert (
        namespace
        not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    )


@asynccontextmanager
async def agents_on_interfaces(directory: Path) -> AsyncIterator["World"]:
    async with netns_network(tag(), f"{HOST}/24", NODES) as network:
        world = World(network, directory)
        try:
            await world.start()
            yield world
        finally:
            world.close()


class World:
    """etcd on the host's side of the bridge, an agent in each of two namespaces."""

    def __init__(self, network: NetnsNetwork, directory: Path) -> None:
        self.network = network
        self.directory = directory
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self) -> None:
        etcd = shutil.which("etcd")
        assert etcd is not None, "this test needs Debian's etcd-server: run `make apt`"
        url, peer = f"http://{HOST}:12379", f"http://{HOST}:12380"
        flags = {
            "data-dir": str(self.directory / "etcd"),
            "listen-client-urls": url,
            "advertise-client-urls": url,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
        }
        self._start("etcd", [etcd, *(f"--{flag}={value}" for flag, value in flags.items())])
        await until(lambda: connects(HOST, 12379), "etcd")
        certificate = self.directory / "ca.crt"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca"),
                *("-keyout", str(self.directory / "ca.key"), "-out", str(certificate)),
            ],
            capture_output=True,
            check=True,
        )
        for node in ("a", "b"):
            flags = {
                "address": f"{VIP}:{VIP_PORT}",
                "node-name": node,
                "backends": f"{HOST}:1",
                "backend-cafile": str(certificate),
                "etcd-servers": url,
                "interface": "eth0",
                "lease-duration": str(LEASE_S),
            }
            arguments = [f"--{flag}={value}" for flag, value in flags.items()]
            prefix = self.network.command_prefix(node)
            self._start(node, [*prefix, sys.executable, "-m", "vip", *arguments])

    def _start(self, name: str, command: list[str]) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def owners(self) -> list[str]:
        """The nodes whose interface carries the address, by asking both kernels."""
        return [
            node
            for node in ("a", "b")
            if VIP in run_on(self.network, node, "ip", "-4", "addr", "show", "eth0").stdout
        ]

    def owner(self) -> str | None:
        owners = self.owners()
        assert len(owners) <= 1, f"two nodes have the address: {owners}"
        return owners[0] if owners else None

    def close(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def connects(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
async def test_kernel_takes_the_address_from_a_dead_or_paused_holder(
    tmp_path: Path, fault: signal.Signals
) -> None:
    async with agents_on_interfaces(tmp_path) as world:
        await until(lambda: world.owner() is not None, "a holder")
        await until(lambda: connects(VIP, VIP_PORT), "the address on the network")
        first = world.owner()
        assert first is not None
        second = {"a": "b", "b": "a"}[first]
        world.processes[first].send_signal(fault)
        gone_s = await until(lambda: world.owner() != first, "the kernel's removal")
        assert gone_s < LEASE_S
        moved_s = gone_s + await until(lambda: world.owner() == second, "the move")
        assert moved_s < LEASE_S + 2
        await until(lambda: connects(VIP, VIP_PORT), "the address elsewhere, by its announcement")
        world.processes[first].send_signal(signal.SIGCONT)
        for _ in range(10):
            assert world.owner() == second
