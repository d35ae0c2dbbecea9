"""The process: flags, one-line errors, exit codes, the drain."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.apiservers import ApiClient, ApiServerProcess, config_map
from tests.support.stores import HOST, StoreCluster

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _run(*flags: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *python, "-m", "apiserver", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_wrong_flags_are_told_in_one_line(store: StoreCluster) -> None:
    good = ApiServerProcess(store, "x").flags()
    cases = {
        (*good, "--no-such-flag"): "--no-such-flag",
        (*good, "--secure-port=99999"): "--secure-port 99999 is not a port",
        (*good, "--bind-address=here"): "--bind-address 'here' is not an IP address",
        (*good, "--service-cluster-ip-range=10.0.0.1/99"): "--service-cluster-ip-range",
        (*good, "--etcd-servers=127.0.0.1:1"): "has no scheme",
        (
            *good,
            "--client-ca-file=/nowhere/ca.crt",
        ): "--client-ca-file /nowhere/ca.crt: No such file",
    }
    for flags, text in cases.items():
        run = _run(*flags)
        assert run.returncode == 2, run.stderr
        assert text in run.stderr
        assert run.stderr.count("\n") == 1, run.stderr


async def test_optimised_python_is_refused(store: StoreCluster) -> None:
    run = _run(*ApiServerProcess(store, "x").flags(), python=("-O",))
    assert run.returncode == 2
    assert "-O" in run.stderr


async def test_help_names_the_flags() -> None:
    run = _run("--help")
    assert run.returncode == 0
    for flag in (
        "--etcd-servers",
        "--tls-cert-file",
        "--client-ca-file",
        "--service-cluster-ip-range",
    ):
        assert flag in run.stdout


async def test_a_taken_port_names_cause_and_remedy(store: StoreCluster) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = _run(*ApiServerProcess(store, "x").flags(), f"--secure-port={port}")
    assert run.returncode == 1
    last = run.stderr.splitlines()[-1]
    assert f"cannot listen on {HOST}:{port}: Address already in use" in last
    assert "--secure-port" in last


async def test_a_key_that_does_not_match_is_refused(store: StoreCluster, tmp_path: Path) -> None:
    key = store.root / "pki" / "front-proxy-client.key"
    run = _run(*ApiServerProcess(store, "x").flags(), f"--tls-private-key-file={key}")
    assert run.returncode == 1
    assert "cannot serve TLS with" in run.stderr


async def test_drain_lets_requests_finish_and_ends_watches(
    server: ApiServerProcess, api: ApiClient, ns: str
) -> None:
    created = await api.post(f"{ns}/configmaps", config_map("x"))
    version = created.json["metadata"]["resourceVersion"]
    query = f"resourceVersion={version}&fieldSelector=metadata.name%3Dx"
    statuses: list[int] = []

    async def write() -> None:
        number = 0
        while True:
            try:
                answer = await api.patch(f"{ns}/configmaps/x", {"data": {"n": str(number)}})
            except OSError:
                return
            statuses.append(answer.status)
            number += 1

    async with api.watch(f"{ns}/configmaps?{query}") as events:
        async with asyncio.TaskGroup() as tasks:
            writers = [tasks.create_task(write()) for _ in range(4)]
            assert (await events.next())["type"] == "MODIFIED"
            code = await asyncio.to_thread(server.stop)
            assert code == 0
            for writer in writers:
                await writer
        while (event := await events.next()) is not None:
            assert event["type"] == "MODIFIED"
    assert set(statuses) == {200}
    await server.start()
    assert (await api.get(f"{ns}/configmaps/x")).status == 200
