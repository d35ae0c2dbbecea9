"""A new cluster: several API servers begin at once on an empty store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from etcdclient.client import EtcdClient
from etcdclient.pb.rpc_pb2 import RangeRequest
from tests.support.apiservers import ApiClient, ApiServerProcess, admin_tls
from tests.support.stores import make_store


@pytest.mark.parametrize("kind", ["etcd", "raftstore"])
async def test_three_begin_at_once_on_an_empty_store(kind: str, tmp_path: Path) -> None:
    store = make_store(kind, tmp_path, 1)
    servers = [ApiServerProcess(store, name) for name in "abc"]
    started: list[ApiServerProcess] = []

    async def start(server: ApiServerProcess) -> None:
        await server.start()
        started.append(server)

    store.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            for server in servers:
                tasks.create_task(start(server))
        await _check(servers, store.client())
    finally:
        codes = [server.stop() for server in started]
        store.stop_all()
    assert codes == [0, 0, 0]
    for server in servers:
        assert "Traceback" not in server.log_path.read_text()


async def _check(servers: list[ApiServerProcess], etcd: EtcdClient) -> None:
    clients = [ApiClient(server.url, admin_tls(server.store.root)) for server in servers]
    try:
        lists = [(await client.get("/api/v1/namespaces")).json["items"] for client in clients]
        uids = {tuple(sorted(item["metadata"]["uid"] for item in items)) for items in lists}
        assert len(uids) == 1, "replicas disagree"
        assert len(lists[0]) == 4
        async with asyncio.timeout(20):
            while (
                len(
                    (
                        await clients[0].get("/api/v1/namespaces/default/endpoints/kubernetes")
                    ).json.get("subsets", [])
                )
                < 3
            ):
                await asyncio.sleep(0.05)
        stored = await etcd.range(RangeRequest(key=b"/registry/", range_end=b"/registry0"))
        keys = [kv.key.decode() for kv in stored.kvs]
        assert "/registry/services/specs/default/kubernetes" in keys
        assert "/registry/services/endpoints/default/kubernetes" in keys
        assert sum(key.startswith("/registry/namespaces/") for key in keys) == 4
        assert all(b'"resourceVersion"' not in kv.value for kv in stored.kvs)
    finally:
        for client in clients:
            await client.close()
        await etcd.close()
