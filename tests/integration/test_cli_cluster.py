"""Whole clusters of real processes by the command line: up, used, harmed a little, down, again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from triplane import processes
from triplane.components import DataDir
from triplane.configfile import load_topology
from triplane.launcher import Launcher
from triplane.topology import on_one_address, plan_topology

pytestmark = pytest.mark.serial

RANGE = "127.0.27.0/24"
CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: kept}
data: {answer: "42"}
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if load_topology(tmp_path) is not None:
        Launcher.of_data_dir(tmp_path).down()


def triplane(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "triplane", *arguments, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def up(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = triplane(data_dir, "up", "--detach", "--address-range", RANGE, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def status(data_dir: Path) -> dict[str, Any]:
    done = triplane(data_dir, "status", "-o", "json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["ready"] else 1)
    return found


def kubectl(data_dir: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["kubectl", "--kubeconfig", str(data_dir / "admin.conf"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def await_condition(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


def test_a_cluster_comes_up_serves_and_finds_its_data_again(data_dir: Path) -> None:
    assert "Ready at https://127.0.27.10:6443: 3 store members, 3 API" in up(data_dir).stdout
    found = status(data_dir)
    assert found["ready"]
    assert sorted(member["role"] for member in found["members"]) == [
        *("follower", "follower", "leader"),
    ]
    assert len({member["term"] for member in found["members"]}) == 1
    assert all(server["ready"] for server in found["apiServers"])
    assert found["vip"]["holder"] in {"cp1", "cp2", "cp3"}
    assert "kube-system" in kubectl(data_dir, "get", "namespaces")
    (data_dir / "kept.yaml").write_text(CONFIG_MAP)
    kubectl(data_dir, "create", "-f", str(data_dir / "kept.yaml"))

    again = triplane(data_dir, "up", "--detach")
    assert again.returncode == 1
    assert "already runs (9 of 9 components)" in again.stderr
    assert "Stopped 9 components" in triplane(data_dir, "down").stdout
    assert Launcher.of_data_dir(data_dir).running() == {}
    assert not status(data_dir)["ready"]

    assert triplane(data_dir, "up", "--detach").returncode == 0
    answer = kubectl(data_dir, "get", "configmap", "kept", "-o", "jsonpath={.data.answer}")
    assert answer == "42"
    assert (data_dir / "manifests" / "raftstore-cp1.yaml").is_file()


def test_components_can_be_stopped_and_brought_back(data_dir: Path) -> None:
    up(data_dir)
    for name in ("apiserver-cp1", "raftstore-cp2", f"vip-{status(data_dir)['vip']['holder']}"):
        stopped = triplane(data_dir, "stop", name)
        assert stopped.returncode == 0, stopped.stderr
        await_condition(lambda: status(data_dir)["ready"])
        assert "default" in kubectl(data_dir, "get", "namespaces")
        started = triplane(data_dir, "start", name)
        assert (started.returncode, started.stdout) == (0, f"{name} serves.\n"), started.stderr
        twice = triplane(data_dir, "start", name)
        assert (twice.returncode, "already runs" in twice.stderr) == (1, True)
    await_condition(lambda: all(member["role"] for member in status(data_dir)["members"]))
    assert len(Launcher.of_data_dir(data_dir).running()) == 9


def test_five_members(data_dir: Path) -> None:
    up(data_dir, "--replicas", "5", "--apiservers", "1")
    found = status(data_dir)
    assert sorted(member["role"] for member in found["members"]) == [*("follower",) * 4, "leader"]
    assert len(found["apiServers"]) == 1
    assert [agent["name"] for agent in found["vip"]["agents"]] == [
        *("cp1", "cp2", "cp3", "cp4", "cp5"),
    ]


def test_one_of_each_in_the_foreground_until_it_is_told_to_end(data_dir: Path) -> None:
    command = [
        *(sys.executable, "-m", "triplane", "up", "--replicas", "1", "--apiservers", "1"),
        *("--address-range", RANGE, "--data-dir", str(data_dir)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as foreground:
        assert foreground.stdout is not None
        assert foreground.stderr is not None
        assert foreground.stdout.readline().startswith(b"Ready at https://127.0.27.10:6443: 1")
        launcher = Launcher.of_data_dir(data_dir)
        assert set(launcher.running()) == {"raftstore-cp1", "apiserver-cp1", "vip-cp1"}
        os.kill(launcher.running()["apiserver-cp1"].pid, signal.SIGKILL)
        assert foreground.stderr.readline().startswith(b"apiserver-cp1 ended with exit code -9")
        launcher.start("apiserver-cp1")
        foreground.send_signal(signal.SIGTERM)
        assert foreground.wait(30) == 0
    assert launcher.running() == {}


def test_an_interrupted_start_leaves_nothing_running(data_dir: Path) -> None:
    command = [
        *(sys.executable, "-m", "triplane", "up"),
        *("--address-range", RANGE, "--data-dir", str(data_dir)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as starting:
        await_condition(lambda: len(list(DataDir(data_dir).run.glob("*.pid"))) >= 2)
        starting.send_signal(signal.SIGINT)
        assert starting.wait(60) == 1
        assert starting.stdout is not None
        assert starting.stdout.read() == b"Interrupted; nothing runs.\n"
    assert Launcher.of_data_dir(data_dir).running() == {}


def test_behind_the_peer_proxy_the_network_is_a_component_too(data_dir: Path) -> None:
    up(data_dir, "--network", "proxy")
    launcher = Launcher.of_data_dir(data_dir)
    assert next(iter(launcher.running())) == "peerproxy-net"
    assert launcher.data.proxy_control.is_socket()
    assert status(data_dir)["ready"]


def test_all_nodes_on_one_address_where_a_machine_has_no_more(data_dir: Path) -> None:
    launcher = Launcher(data_dir, on_one_address(plan_topology(), "127.0.27.50"))
    launcher.up()
    assert status(data_dir)["ready"]
    assert kubectl(data_dir, "config", "view", "-o", "jsonpath={.clusters[0].cluster.server}") == (
        "https://127.0.27.50:6443"
    )
    assert "kube-system" in kubectl(data_dir, "get", "namespaces")
    assert len(launcher.down()) == 9


def test_a_taken_port_names_who_needs_it_and_starts_nothing(data_dir: Path) -> None:
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.27.12", 2379))
        squatter.listen()
        done = triplane(data_dir, "up", "--detach", "--address-range", RANGE)
    assert done.returncode == 1
    assert "127.0.27.12:2379 is taken, and raftstore-cp2 needs it for its clients" in done.stderr
    assert not list(DataDir(data_dir).run.glob("*.pid"))


def test_a_component_that_cannot_start_is_named_and_takes_the_rest_down(data_dir: Path) -> None:
    up(data_dir, "--replicas", "1", "--apiservers", "1")
    triplane(data_dir, "down")
    store = DataDir(data_dir).store_of("cp1")
    journal = next(path for path in sorted(store.rglob("*")) if path.is_file())
    for path in store.rglob("*"):
        if path.is_file():
            path.chmod(0)
    store.rename(store.with_name("elsewhere"))
    store.write_text(f"a file where {journal.name} was")
    done = triplane(data_dir, "up", "--detach")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert str(store) in line
    assert Launcher.of_data_dir(data_dir).running() == {}


def test_pid_files_of_another_boot_do_not_stop_a_cluster_from_starting(data_dir: Path) -> None:
    up(data_dir, "--replicas", "1", "--apiservers", "1")
    launcher = Launcher.of_data_dir(data_dir)
    left_behind = launcher.running()
    triplane(data_dir, "down")
    for name, running in left_behind.items():
        launcher.data.pid_file_of(name).write_text(f"{running.pid} {running.started}\n")
    launcher.data.pid_file_of("vip-cp1").write_text(f"{os.getpid()} 1\n")
    assert processes.find("vip-cp1", launcher.data) is None
    assert triplane(data_dir, "up", "--detach").returncode == 0
