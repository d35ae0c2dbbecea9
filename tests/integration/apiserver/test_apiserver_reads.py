"""LIST and WATCH over HTTPS: versions, pages, selectors, bookmarks, ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from etcdclient.pb.rpc_pb2 import CompactionRequest
from tests.support.apiservers import ApiClient, ApiServerProcess, config_map

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


async def _fill(api: ApiClient, ns: str, names: list[str]) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for name in names:
        answer = await api.post(f"{ns}/secrets", _secret(name))
        assert answer.status == 201, answer.body
        last = answer.json
    return last


def _secret(name: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}


def _names(answer: Any) -> list[str]:
    return [item["metadata"]["name"] for item in answer.json["items"]]


async def test_list_is_in_key_order_and_complete(api: ApiClient, ns: str) -> None:
    await _fill(api, ns, ["b", "a", "c-1", "c"])
    answer = await api.get(f"{ns}/secrets")
    assert _names(answer) == ["a", "b", "c", "c-1"]
    assert answer.json["kind"] == "SecretList"
    assert answer.json["apiVersion"] == "v1"
    everywhere = await api.get("/api/v1/secrets")
    assert {item["metadata"]["namespace"] for item in everywhere.json["items"]} >= {
        ns.rpartition("/")[2]
    }


async def test_pages_are_of_one_revision(api: ApiClient, ns: str) -> None:
    await _fill(api, ns, [f"s{number}" for number in range(7)])
    first = await api.get(f"{ns}/secrets?limit=3")
    meta = first.json["metadata"]
    assert (_names(first), meta["remainingItemCount"]) == (["s0", "s1", "s2"], 4)
    await api.post(f"{ns}/secrets", _secret("s3-late"))
    await api.delete(f"{ns}/secrets/s5")
    second = await api.get(f"{ns}/secrets?limit=3&continue={meta['continue']}")
    assert _names(second) == ["s3", "s4", "s5"]
    assert second.json["metadata"]["remainingItemCount"] == 1
    assert second.json["metadata"]["resourceVersion"] == meta["resourceVersion"]
    token = second.json["metadata"]["continue"]
    third = await api.get(f"{ns}/secrets?limit=3&continue={token}")
    assert _names(third) == ["s6"]
    assert "continue" not in third.json["metadata"]
    exact = f"resourceVersion={meta['resourceVersion']}&resourceVersionMatch=Exact"
    assert _names(await api.get(f"{ns}/secrets?{exact}")) == [f"s{n}" for n in range(7)]
    assert (await api.get(f"{ns}/secrets?continue=!!")).status == 400


async def test_selectors(api: ApiClient, ns: str) -> None:
    await api.post(f"{ns}/secrets", _secret("a", tier="web", env="prod"))
    await api.post(f"{ns}/secrets", _secret("b", tier="web"))
    await api.post(f"{ns}/secrets", _secret("c", tier="db"))

    async def select(query: str) -> list[str]:
        answer = await api.get(f"{ns}/secrets?{query}")
        assert answer.status == 200, answer.body
        return _names(answer)

    assert await select("labelSelector=tier%3Dweb") == ["a", "b"]
    assert await select("labelSelector=tier+in+(web,db),!env") == ["b", "c"]
    assert await select("fieldSelector=metadata.name%3Db") == ["b"]
    assert await select("fieldSelector=metadata.name!%3Db") == ["a", "c"]
    assert (await api.get(f"{ns}/secrets?labelSelector=a%3D%3D%3Db")).status == 400
    assert (await api.get(f"{ns}/secrets?fieldSelector=spec.nothing%3Db")).status == 400


async def test_options_are_checked(api: ApiClient, ns: str) -> None:
    forbidden = await api.get(f"{ns}/secrets?resourceVersionMatch=Exact")
    assert forbidden.status == 422
    assert (
        "resourceVersionMatch is forbidden unless resourceVersion is provided"
        in forbidden.json["message"]
    )
    assert (await api.get(f"{ns}/secrets?sendInitialEvents=true")).status == 422
    assert (await api.get(f"{ns}/secrets?resourceVersion=abc")).status == 400
    future = await api.get(f"{ns}/secrets?resourceVersion=999999999")
    assert future.status == 504
    assert "Too large resource version: 999999999" in future.json["message"]
    assert future.headers["Retry-After"] == "1"


async def test_table_and_partial_metadata(api: ApiClient, ns: str) -> None:
    await _fill(api, ns, ["a"])
    table = (await api.get(f"{ns}/secrets", headers={"Accept": TABLE})).json
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert table["columnDefinitions"][0]["name"] == "Name"
    assert table["rows"][0]["cells"][0] == "a"
    partial = (await api.get(f"{ns}/secrets/a", headers={"Accept": PARTIAL})).json
    assert set(partial) == {"kind", "apiVersion", "metadata"}
    listed = (await api.get(f"{ns}/secrets", headers={"Accept": PARTIAL_LIST})).json
    assert listed["kind"] == "PartialObjectMetadataList"
    assert listed["items"][0]["kind"] == "PartialObjectMetadata"


async def test_watch_from_a_version_gets_exactly_what_follows(api: ApiClient, ns: str) -> None:
    created = await _fill(api, ns, ["a", "b"])
    version = created["metadata"]["resourceVersion"]
    await api.post(f"{ns}/secrets", _secret("c"))
    await api.patch(f"{ns}/secrets/a", {"metadata": {"labels": {"x": "1"}}})
    async with api.watch(f"{ns}/secrets?resourceVersion={version}") as events:
        assert await events.take(2) == [("ADDED", "c"), ("MODIFIED", "a")]
        await api.delete(f"{ns}/secrets/b")
        event = await events.next()
        assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", "b")
        assert int(event["object"]["metadata"]["resourceVersion"]) > int(version) + 2


async def test_watch_without_version_begins_with_what_is_there(api: ApiClient, ns: str) -> None:
    await _fill(api, ns, ["a", "b"])
    for query in ("", "?resourceVersion=0"):
        async with api.watch(f"{ns}/secrets{query}") as events:
            assert await events.take(2) == [("ADDED", "a"), ("ADDED", "b")]
            await api.patch(f"{ns}/secrets/a", {"metadata": {"labels": {"q": query[-1:]}}})
            assert await events.take(1) == [("MODIFIED", "a")]


async def test_streaming_list_ends_with_its_bookmark(api: ApiClient, ns: str) -> None:
    last = await _fill(api, ns, ["a", "b"])
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with api.watch(f"{ns}/secrets?{query}") as events:
        assert await events.take(2) == [("ADDED", "a"), ("ADDED", "b")]
        bookmark = await events.next()
        assert bookmark["type"] == "BOOKMARK"
        metadata = bookmark["object"]["metadata"]
        assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(metadata["resourceVersion"]) >= int(last["metadata"]["resourceVersion"])
        await api.post(f"{ns}/secrets", _secret("c"))
        assert await events.take(1) == [("ADDED", "c")]
    async with api.watch(f"{ns}/secrets?sendInitialEvents=true") as events:
        assert events.status == 422


async def test_objects_enter_and_leave_a_selector(api: ApiClient, ns: str) -> None:
    version = (await _fill(api, ns, ["a"]))["metadata"]["resourceVersion"]
    path = f"{ns}/secrets/a"
    selected = f"{ns}/secrets?resourceVersion={version}&labelSelector=in%3Dyes"
    async with api.watch(selected) as events:
        for labels in ({"in": "yes"}, {"in": "yes", "n": "2"}, {"in": "no", "n": None}):
            assert (await api.patch(path, {"metadata": {"labels": labels}})).status == 200
        last = await api.patch(path, {"metadata": {"labels": {"in": "yes"}}})
        kinds = [await events.next() for _ in range(4)]
        assert [event["type"] for event in kinds] == ["ADDED", "MODIFIED", "DELETED", "ADDED"]
        left = kinds[2]["object"]["metadata"]
        assert left["labels"] == {"in": "yes", "n": "2"}
        assert int(left["resourceVersion"]) < int(last.json["metadata"]["resourceVersion"])
        assert int(left["resourceVersion"]) > int(kinds[1]["object"]["metadata"]["resourceVersion"])


async def test_watch_of_one_name(api: ApiClient, ns: str) -> None:
    await _fill(api, ns, ["a", "b"])
    query = "fieldSelector=metadata.name%3Da"
    async with api.watch(f"{ns}/secrets?{query}") as events:
        assert await events.take(1) == [("ADDED", "a")]
        await api.delete(f"{ns}/secrets/b")
        await api.delete(f"{ns}/secrets/a")
        assert await events.take(1) == [("DELETED", "a")]


async def test_watch_ends_cleanly_at_its_timeout_after_a_bookmark(api: ApiClient, ns: str) -> None:
    version = (await _fill(api, ns, ["a"]))["metadata"]["resourceVersion"]
    query = f"resourceVersion={version}&timeoutSeconds=2&allowWatchBookmarks=true"
    async with api.watch(f"{ns}/secrets?{query}") as events:
        bookmark = await events.next()
        assert bookmark["type"] == "BOOKMARK"
        assert int(bookmark["object"]["metadata"]["resourceVersion"]) >= int(version)
        assert await events.next() is None


async def test_table_watch_names_columns_once(api: ApiClient, ns: str) -> None:
    await _fill(api, ns, ["a", "b"])
    async with api.watch(f"{ns}/secrets", headers={"Accept": TABLE}) as events:
        first, second = await events.next(), await events.next()
        assert first["object"]["columnDefinitions"][0]["name"] == "Name"
        assert second["object"]["columnDefinitions"] is None
        assert second["object"]["rows"][0]["cells"][0] == "b"


async def test_many_watchers_see_one_order(api: ApiClient, ns: str) -> None:
    version = (await _fill(api, ns, ["seed"]))["metadata"]["resourceVersion"]
    writes = 40

    async def follow() -> list[tuple[str, str]]:
        async with api.watch(f"{ns}/secrets?resourceVersion={version}") as events:
            seen = [await events.next() for _ in range(writes)]
        metadata = [event["object"]["metadata"] for event in seen]
        return [(meta["name"], meta["resourceVersion"]) for meta in metadata]

    async def write(number: int) -> None:
        answer = await api.post(f"{ns}/secrets", _secret(f"w{number}"))
        assert answer.status == 201

    async with asyncio.TaskGroup() as tasks:
        followers = [tasks.create_task(follow()) for _ in range(30)]
        for number in range(writes):
            tasks.create_task(write(number))
    orders = {tuple(follower.result()) for follower in followers}
    assert len(orders) == 1
    versions = [int(version) for _, version in orders.pop()]
    assert versions == sorted(versions)


async def test_gzip_for_large_answers(api: ApiClient, ns: str) -> None:
    for number in range(4):
        await api.post(f"{ns}/configmaps", config_map(f"big{number}", k="x" * 50_000))
    answer = await api.get(f"{ns}/configmaps", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) < 10_000
    assert len(_names(answer)) >= 4
    plain = await api.get(f"{ns}/configmaps/big0", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers


async def test_compaction_expires_tokens_and_old_watches(
    api: ApiClient, ns: str, server: ApiServerProcess
) -> None:
    await _fill(api, ns, [f"s{number}" for number in range(5)])
    first = await api.get(f"{ns}/secrets?limit=2")
    token = first.json["metadata"]["continue"]
    newest = await api.post(f"{ns}/secrets", _secret("s9"))
    revision = int(newest.json["metadata"]["resourceVersion"])
    async with server.store.client() as client:
        await client.compact(CompactionRequest(revision=revision))
    expired = await api.get(f"{ns}/secrets?limit=2&continue={token}")
    assert (expired.status, expired.json["reason"]) == (410, "Expired")
    fresh = expired.json["metadata"]["continue"]
    rest = await api.get(f"{ns}/secrets?continue={fresh}")
    assert _names(rest) == ["s2", "s3", "s4", "s9"]
    old = "resourceVersion=1&resourceVersionMatch=Exact"
    assert (await api.get(f"{ns}/secrets?{old}")).status == 410
    # What the cache still remembers is served, though the store has forgotten it.
    seen = first.json["metadata"]["resourceVersion"]
    async with api.watch(f"{ns}/secrets?resourceVersion={seen}") as events:
        assert await events.take(1) == [("ADDED", "s9")]
