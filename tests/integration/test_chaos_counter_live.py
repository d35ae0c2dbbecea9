"""The workload and its checker against a real API server: honest writers lose nothing, through a
kill -9 too; writers that leave out the resourceVersion do, and the checker says so.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chaos.check.counter import CounterVerdict, check_counter
from chaos.check.verdict import Kind, Outcome
from chaos.history import HistoryWriter, read_history
from chaos.kubeconfig import Access, KubeconfigError, load_access
from chaos.workload.client import ApiClient
from chaos.workload.client import Outcome as Done
from chaos.workload.counter import CounterOptions, CounterWorkload
from pki.issue import ensure_pki
from pki.layout import ClusterNames, Node
from tests.support.vip_world import VipWorld, free_port, wait_until

HOST = "127.0.28.31"
INCREMENTS = 60


class OneServer(VipWorld):
    """An etcd and one API server on it, to be killed and started again."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.data = directory / "data"
        self.port = free_port(HOST)
        names = ClusterNames((Node("cp1", HOST),), endpoint_host=HOST, endpoint_port=self.port)
        ensure_pki(self.data, names, now=datetime.now(UTC))

    def start_server(self) -> None:
        pki = self.data / "pki"
        flags = {
            "bind-address": HOST,
            "advertise-address": HOST,
            "secure-port": str(self.port),
            "tls-cert-file": str(pki / "apiserver.crt"),
            "tls-private-key-file": str(pki / "apiserver.key"),
            "client-ca-file": str(pki / "ca.crt"),
            "etcd-servers": self.etcd_url,
            "service-cluster-ip-range": "10.96.0.0/12",
            "service-account-key-file": str(pki / "sa.pub"),
            "service-account-signing-key-file": str(pki / "sa.key"),
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        }
        arguments = [f"--{flag}={value}" for flag, value in flags.items()]
        self.start("apiserver", [sys.executable, "-m", "apiserver", *arguments])

    def access(self) -> Access:
        return load_access(self.data / "admin.conf")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OneServer]:
    world = OneServer(tmp_path)
    try:
        world.start_etcd()
        world.start_server()
        access = world.access()

        async def is_ready() -> bool:
            async with ApiClient(access.server, access.context) as client:
                answer = await client.get("/api/v1/namespaces/default")
                return answer.outcome is Done.DONE

        wait_until(lambda: asyncio.run(is_ready()), "the API server", timeout_s=30)
        yield world
    finally:
        world.close()


async def until_acknowledged(workload: CounterWorkload, count: int) -> None:
    async with asyncio.timeout(60):
        while workload.tally.acknowledged < count:
            await asyncio.sleep(0.01)


async def judge(server: OneServer, *, blind: bool, kill: bool = False) -> CounterVerdict:
    access = server.access()
    path = server.directory / "history.jsonl"

    def connect() -> ApiClient:
        return ApiClient(access.server, access.context)

    with HistoryWriter(path, time.monotonic_ns) as history:
        options = CounterOptions("default", writers=4, blind=blind)
        workload = CounterWorkload(options, connect, history, seed=1)
        await workload.set_up()
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(workload.run(stop))
            await until_acknowledged(workload, INCREMENTS)
            if kill:
                server.kill("apiserver")
                server.start_server()
                await until_acknowledged(workload, workload.tally.acknowledged + INCREMENTS)
            stop.set()
        async with connect() as client:
            assert await workload.final_read(client, access.server) is not None
    return check_counter(read_history(path))


async def test_honest_writers_lose_nothing(server: OneServer) -> None:
    verdict = await judge(server, blind=False)
    assert verdict.outcome is Outcome.OK, verdict.violations
    assert verdict.acknowledged >= INCREMENTS
    assert verdict.conflicts > 0, "four writers of one counter get in each other's way"
    assert verdict.final_value == verdict.acknowledged + verdict.unknown_effective


async def test_kill_9_of_the_server_loses_nothing(server: OneServer) -> None:
    verdict = await judge(server, blind=False, kill=True)
    assert verdict.outcome is Outcome.OK, verdict.violations
    assert verdict.acknowledged >= 2 * INCREMENTS


async def test_writers_without_resource_version_are_caught(server: OneServer) -> None:
    verdict = await judge(server, blind=True)
    assert verdict.outcome is Outcome.VIOLATED
    assert any("overwrote the acknowledged one" in found.text for found in verdict.lost)
    assert {found.kind for found in verdict.violations} >= {Kind.LOST_UPDATE}


def test_other_files_are_no_kubeconfig(tmp_path: Path) -> None:
    path = tmp_path / "admin.conf"
    for content in ("", "a: [", "kind: Config\n", "current-context: x\ncontexts: []\n"):
        path.write_text(content)
        with pytest.raises(KubeconfigError, match=r"admin\.conf holds no usable"):
            load_access(path)
