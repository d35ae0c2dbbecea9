"""Several API servers over one store: no state of their own, reads that are never stale."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.apiservers import (
    ApiClient,
    ApiServerProcess,
    admin_tls,
    config_map,
    namespace,
)
from tests.support.stores import StoreCluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORE_KINDS = ("etcd", "raftstore")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def second(store: StoreCluster) -> AsyncIterator[ApiServerProcess]:
    """Another API server over the same store, started at the same time as the first."""
    process = ApiServerProcess(store, "b")
    await process.start()
    try:
        yield process
    finally:
        if process.process is not None:
            process.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(second: ApiServerProcess) -> AsyncIterator[ApiClient]:
    """A client of the second server."""
    client = ApiClient(second.url, admin_tls(second.store.root))
    try:
        yield client
    finally:
        await client.close()


async def test_a_write_through_one_is_read_through_the_other(
    api: ApiClient, other: ApiClient, ns: str
) -> None:
    path = f"{ns}/configmaps/x"
    await api.post(f"{ns}/configmaps", config_map("x", n="0"))
    for number in range(50):
        writer, reader = (api, other) if number % 2 == 0 else (other, api)
        written = await writer.patch(path, {"data": {"n": str(number)}})
        assert written.status == 200
        assert (await reader.get(path)).json["data"]["n"] == str(number)
        listed = await reader.get(f"{ns}/configmaps?fieldSelector=metadata.name%3Dx")
        assert listed.json["items"][0]["data"]["n"] == str(number)


async def test_a_namespace_made_through_one_is_usable_through_the_other_at_once(
    api: ApiClient, other: ApiClient
) -> None:
    for number in range(10):
        name = f"quick-{number}"
        await api.post("/api/v1/namespaces", namespace(name))
        created = await other.post(f"/api/v1/namespaces/{name}/configmaps", config_map("x"))
        assert created.status == 201, created.body
        assert (await api.delete(f"/api/v1/namespaces/{name}")).status == 200
        late = await other.post(f"/api/v1/namespaces/{name}/configmaps", config_map("y"))
        assert late.status in (403, 404), late.body


async def test_increments_through_both_are_all_counted(
    api: ApiClient, other: ApiClient, ns: str
) -> None:
    path = f"{ns}/configmaps/counter"
    await api.post(f"{ns}/configmaps", config_map("counter", n="0"))

    async def increment(client: ApiClient, times: int) -> None:
        for _ in range(times):
            while True:
                seen = (await client.get(path)).json
                seen["data"]["n"] = str(int(seen["data"]["n"]) + 1)
                answer = await client.put(path, seen)
                if answer.status == 200:
                    break
                assert answer.status == 409, answer.body

    async with asyncio.TaskGroup() as tasks:
        for client in (api, other) * 4:
            tasks.create_task(increment(client, 10))
    assert (await other.get(path)).json["data"]["n"] == "80"


async def test_both_are_listed_and_the_dead_one_is_taken_out(
    api: ApiClient, second: ApiServerProcess, server: ApiServerProcess, store: StoreCluster
) -> None:
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"

    async def holders() -> int:
        items = (await api.get(leases)).json["items"]
        return sum(item["metadata"]["name"].startswith("apiserver-") for item in items)

    third = ApiServerProcess(store, "c")
    await third.start()
    async with asyncio.timeout(20):
        while await holders() < 3:
            await asyncio.sleep(0.05)
    slices = (await api.get(path)).json
    assert slices["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}
    before = await holders()
    assert third.stop(signal.SIGTERM) == 0
    async with asyncio.timeout(10):
        while await holders() >= before:
            await asyncio.sleep(0.05)


async def test_a_watch_resumes_on_another_replica_and_after_a_restart(
    api: ApiClient, other: ApiClient, second: ApiServerProcess, ns: str
) -> None:
    created = await api.post(f"{ns}/secrets", _secret("a"))
    version = created.json["metadata"]["resourceVersion"]
    query = f"{ns}/secrets?resourceVersion={version}"
    async with other.watch(query) as events:
        await api.post(f"{ns}/secrets", _secret("b"))
        assert await events.take(1) == [("ADDED", "b")]
        assert second.stop(signal.SIGTERM) == 0
        assert await events.next() is None
    await api.post(f"{ns}/secrets", _secret("c"))
    await api.delete(f"{ns}/secrets/a")
    async with api.watch(query) as events:
        assert await events.take(3) == [("ADDED", "b"), ("ADDED", "c"), ("DELETED", "a")]
    await second.start()
    async with other.watch(query) as events:
        assert await events.take(3) == [("ADDED", "b"), ("ADDED", "c"), ("DELETED", "a")]


async def test_killed_and_started_again_nothing_is_missing(
    api: ApiClient, other: ApiClient, second: ApiServerProcess, ns: str
) -> None:
    for number in range(20):
        assert (await other.post(f"{ns}/configmaps", config_map(f"k{number}"))).status == 201
    second.stop(signal.SIGKILL)
    await second.start()
    listed = await other.get(f"{ns}/configmaps?labelSelector=!x")
    names = [item["metadata"]["name"] for item in listed.json["items"]]
    assert {f"k{number}" for number in range(20)} <= set(names)


async def test_the_cache_heals_after_the_store_was_away(
    api: ApiClient, store: StoreCluster, ns: str
) -> None:
    created = await api.post(f"{ns}/secrets", _secret("before"))
    version = created.json["metadata"]["resourceVersion"]
    async with api.watch(f"{ns}/secrets?resourceVersion={version}") as events:
        store.stop(0)
        down = await api.post(f"{ns}/secrets", _secret("lost"))
        assert down.status in (500, 504), down.body
        assert (await api.get(f"{ns}/secrets/before?resourceVersion=0")).status == 200
        store.start(0)
        await store.wait_until_serving()
        async with asyncio.timeout(20):
            while (await api.post(f"{ns}/secrets", _secret("after"))).status not in (201, 409):
                await asyncio.sleep(0.05)
        names: list[str] = []
        while not names or names[-1] != "after":
            names.append((await events.next())["object"]["metadata"]["name"])
        assert names in (["after"], ["lost", "after"])
        assert (await api.get(f"{ns}/secrets/after")).status == 200


async def test_replicas_compact_the_store_in_turn(
    api: ApiClient, store: StoreCluster, ns: str
) -> None:
    flags = ("--etcd-compaction-interval=200ms",)
    pair = [ApiServerProcess(store, f"compacting-{name}", flags) for name in "xy"]
    created = await api.post(f"{ns}/secrets", _secret("old"))
    version = created.json["metadata"]["resourceVersion"]
    path = f"{ns}/secrets?resourceVersion={version}&resourceVersionMatch=Exact"
    assert (await api.get(path)).status == 200
    for process in pair:
        await process.start()
    try:
        async with asyncio.timeout(20):
            while (answer := await api.get(path)).status == 200:
                await api.patch(f"{ns}/secrets/old", {"metadata": {"labels": {"n": version}}})
                await asyncio.sleep(0.05)
        assert (answer.status, answer.json["reason"]) == (410, "Expired")
        assert (await api.get(f"{ns}/secrets/old")).status == 200
    finally:
        codes = [process.stop() for process in pair]
    assert codes == [0, 0]
    assert any("compacted the store" in process.log_path.read_text() for process in pair)


def _secret(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
