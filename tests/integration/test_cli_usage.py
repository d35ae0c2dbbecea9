"""What the command line refuses, with which exit code: one line that names cause and remedy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from triplane.configfile import save_topology
from triplane.topology import plan_topology

RANGE = "127.0.27.0/24"


def triplane(
    *arguments: str | Path, data_dir: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    environment |= {"TRIPLANE_DATA_DIR": str(data_dir)} if data_dir else {}
    return subprocess.run(
        [sys.executable, "-m", "triplane", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def refusal(done: subprocess.CompletedProcess[str], exit_code: int) -> str:
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_two_members_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    line = refusal(triplane("up", "--replicas", "2", data_dir=tmp_path / "d"), 2)
    assert line == (
        "triplane: --replicas 2 needs 2 members for a quorum and survives the loss of 0, "
        "no more than 1 would; choose an odd number: 1 or 3"
    )
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--replicas", "0"], "--replicas 0 is not between 1 and 7"),
        (["--apiservers", "0"], "--apiservers 0 is not between 1 and 16"),
        (["--address-range", "10.0.0.0/30"], "--address-range 10.0.0.0/30 has no IPv4 address"),
        (["--apiserver-port", "2379"], "port 2379 is given twice on each node"),
        (["--etcd-client-port", "70000"], "port 70000 is not between 1 and 65535"),
        (
            ["--service-cluster-ip-range", "10.0.0.0/8"],
            "--service-cluster-ip-range 10.0.0.0/8 must",
        ),
    ],
)
def test_flags_that_make_no_cluster(tmp_path: Path, arguments: list[str], error: str) -> None:
    assert error in refusal(triplane("up", *arguments, data_dir=tmp_path / "d"), 2)


def test_an_unknown_flag_is_wrong_usage(tmp_path: Path) -> None:
    assert triplane("up", "--no-such-flag", data_dir=tmp_path).returncode == 2


def test_a_data_dir_under_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = triplane("up", "--address-range", RANGE, data_dir=tmp_path / "file" / "d")
    assert f"{tmp_path}/file" in refusal(done, 1)


@pytest.mark.parametrize("command", [["status"], ["down"], ["start", "vip-cp1"], ["kubeconfig"]])
def test_a_data_dir_without_a_cluster_says_how_to_make_one(
    tmp_path: Path, command: list[str]
) -> None:
    line = refusal(triplane(*command, data_dir=tmp_path), 1)
    assert line.endswith("create one with `triplane up`") or "`triplane up`" in line


def test_another_number_of_members_than_the_stored_one_is_refused(tmp_path: Path) -> None:
    save_topology(tmp_path, plan_topology(replicas=3, address_range=RANGE))
    line = refusal(triplane("up", "--replicas", "5", data_dir=tmp_path), 1)
    assert line == (
        f"triplane: {tmp_path} holds a cluster of 3 members, not of 5; "
        "use --replicas 3, or another --data-dir for a new cluster"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--address-range", "127.0.28.0/24"],
        ["--etcd-peer-port", "3380"],
        ["--service-cluster-ip-range", "10.0.0.0/16"],
    ],
)
def test_other_addresses_than_the_stored_ones_are_refused(
    tmp_path: Path, arguments: list[str]
) -> None:
    save_topology(tmp_path, plan_topology(address_range=RANGE))
    line = refusal(triplane("up", *arguments, data_dir=tmp_path), 1)
    assert line.startswith(f"triplane: {tmp_path} holds a cluster ")


def test_a_damaged_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kubeadm-config.yaml").write_text("kind: Nonsense\n")
    assert "does not describe a cluster" in refusal(triplane("up", data_dir=tmp_path), 1)


def test_a_component_that_the_cluster_has_not_is_wrong_usage(tmp_path: Path) -> None:
    save_topology(tmp_path, plan_topology(replicas=1, apiservers=1, address_range=RANGE))
    line = refusal(triplane("start", "apiserver-cp2", data_dir=tmp_path), 2)
    assert line == (
        "triplane: no component is named apiserver-cp2; "
        "choose of raftstore-cp1, apiserver-cp1, vip-cp1"
    )


def test_stopping_what_does_not_run_says_so(tmp_path: Path) -> None:
    save_topology(tmp_path, plan_topology(address_range=RANGE))
    assert "vip-cp1 does not run" in refusal(triplane("stop", "vip-cp1", data_dir=tmp_path), 1)


def test_optimized_python_is_refused(tmp_path: Path) -> None:
    line = refusal(triplane("status", data_dir=tmp_path, PYTHONOPTIMIZE="1"), 2)
    assert "run without python -O" in line


def test_the_default_data_dir_follows_xdg(tmp_path: Path) -> None:
    line = refusal(triplane("status", XDG_STATE_HOME=str(tmp_path)), 1)
    assert f"no cluster lives in {tmp_path}/triplane;" in line


def test_an_unknown_scenario_is_wrong_usage(tmp_path: Path) -> None:
    line = refusal(triplane("chaos", "run", "earthquake", data_dir=tmp_path), 2)
    assert line.startswith("triplane: no scenario is named earthquake; choose of leader-")


def test_a_scenario_needs_a_cluster_that_runs(tmp_path: Path) -> None:
    save_topology(tmp_path, plan_topology(replicas=1, apiservers=1, address_range=RANGE))
    line = refusal(triplane("chaos", "run", "leader-kill", data_dir=tmp_path), 1)
    assert "raftstore-cp1, apiserver-cp1, vip-cp1 of the cluster" in line
    assert line.endswith("with `triplane up`, for cuts of the network with --network proxy")


def test_the_scenarios_are_listed_with_what_they_do() -> None:
    listed = triplane("chaos", "list")
    assert listed.returncode == 0
    assert "leader-partition   cut the Raft leader off from its peers" in listed.stdout


def test_a_demo_refuses_a_directory_that_is_not_a_demos(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    line = refusal(triplane("demo", "--data-dir", tmp_path), 1)
    assert f"{tmp_path} holds something that no demo made" in line
    assert (tmp_path / "precious").read_text() == "data"
