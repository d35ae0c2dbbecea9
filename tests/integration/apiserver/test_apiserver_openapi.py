"""/openapi/v2 and /openapi/v3 of a running API server: forms, caching, and what they may cost."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import orjson
import pytest
import pytest_asyncio

from tests.support.apiservers import ApiClient, ApiServerProcess, admin_tls

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
PROTOBUF_AS_KUBECTL_ASKS = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
BUILD_MAX_S = 1.0


@pytest_asyncio.fixture(loop_scope="module")
async def raw(server: ApiServerProcess) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that leaves bodies as they come and follows no redirects of its own."""
    connector = aiohttp.TCPConnector(ssl=admin_tls(server.store.root))
    async with aiohttp.ClientSession(
        server.url, connector=connector, auto_decompress=False
    ) as session:
        yield session


async def test_version_2_in_the_form_asked_for(api: ApiClient) -> None:
    for accept in ("", "*/*", "application/json", "text/html, application/json;q=0.5"):
        answer = await api.get("/openapi/v2", headers={"Accept": accept})
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.json["swagger"] == "2.0"
    for accept in (PROTOBUF, PROTOBUF_AS_KUBECTL_ASKS, f"{PROTOBUF}, application/json"):
        answer = await api.get("/openapi/v2", headers={"Accept": accept})
        assert (answer.status, answer.headers["Content-Type"]) == (200, PROTOBUF)
        assert answer.body.startswith(b"\x0a\x032.0")
    refused = await api.get("/openapi/v2", headers={"Accept": "text/html"})
    assert refused.status == 406
    refused = await api.get("/openapi/v3", headers={"Accept": PROTOBUF})
    assert refused.status == 406


async def test_the_index_leads_to_every_document(api: ApiClient) -> None:
    index = (await api.get("/openapi/v3")).json["paths"]
    assert {"api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "version"} <= set(index)
    groups = (await api.get("/apis")).json["groups"]
    served = {f"apis/{group['preferredVersion']['groupVersion']}" for group in groups}
    assert served <= set(index)
    for path, entry in index.items():
        url = entry["serverRelativeURL"]
        assert url.startswith(f"/openapi/v3/{path}?hash=")
        document = await api.get(url)
        assert document.status == 200
        assert document.json["openapi"] == "3.0.0"
        assert document.headers["ETag"].strip('"') == url.partition("=")[2]


async def test_a_document_under_its_hash_may_be_kept_for_a_year(
    raw: aiohttp.ClientSession,
) -> None:
    async with raw.get("/openapi/v3/apis/apps/v1") as plain:
        assert plain.headers["Cache-Control"] == "no-cache, private"
        digest = plain.headers["ETag"].strip('"')
    async with raw.get(f"/openapi/v3/apis/apps/v1?hash={digest}") as hashed:
        assert hashed.status == 200
        assert hashed.headers["Cache-Control"] == "public, immutable"
        expires = parsedate_to_datetime(hashed.headers["Expires"])
        assert expires - datetime.now(UTC) > timedelta(days=364)
    async with raw.get("/openapi/v3/apis/apps/v1?hash=OLD", allow_redirects=False) as stale:
        assert stale.status == 301
        assert stale.headers["Location"] == f"/openapi/v3/apis/apps/v1?hash={digest}"


async def test_who_has_the_document_is_told_so(raw: aiohttp.ClientSession) -> None:
    for path in ("/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1"):
        async with raw.get(path) as first:
            etag = first.headers["ETag"]
        async with raw.get(path, headers={"If-None-Match": etag}) as again:
            assert again.status == 304
            assert again.headers["ETag"] == etag
            assert await again.read() == b""
        async with raw.get(path, headers={"If-None-Match": '"other"'}) as other:
            assert other.status == 200


async def test_bodies_are_gzipped_for_who_can_read_it(raw: aiohttp.ClientSession) -> None:
    async with raw.get("/openapi/v2", headers={"Accept-Encoding": "gzip"}) as zipped:
        assert zipped.headers["Content-Encoding"] == "gzip"
        packed = await zipped.read()
    async with raw.get("/openapi/v2", headers={"Accept-Encoding": "identity"}) as plain:
        assert "Content-Encoding" not in plain.headers
        body = await plain.read()
    assert len(packed) * 5 < len(body)
    assert gzip.decompress(packed) == body
    assert orjson.loads(body)["info"]["title"] == "Kubernetes"


async def test_what_is_not_served_has_no_document(api: ApiClient) -> None:
    for path in ("/openapi", "/openapi/v3/apis/nothing/v1", "/openapi/v3/apis/apps/v9"):
        answer = await api.get(path)
        assert (answer.status, answer.body) == (404, b"404 page not found\n")


async def test_all_documents_cost_less_than_a_second(server: ApiServerProcess) -> None:
    fresh = ApiServerProcess(server.store, "openapi-cost")
    await fresh.start()
    client = ApiClient(fresh.url, admin_tls(server.store.root))
    try:
        await client.get("/version")
        began = time.monotonic()
        accept = {"Accept": PROTOBUF}
        answers = await asyncio.gather(
            *(client.get("/openapi/v2", headers=accept) for _ in range(8)),
            client.get("/openapi/v3"),
        )
        assert time.monotonic() - began < BUILD_MAX_S
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers[:8]}) == 1
    finally:
        await client.close()
        assert fresh.stop() == 0


async def test_custom_resource_definitions_are_seen_to_be_none(api: ApiClient) -> None:
    url = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    listed = (await api.get(url)).json
    assert (listed["kind"], listed["items"]) == ("CustomResourceDefinitionList", [])
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    refused = await api.post(url, body)
    assert (refused.status, refused.json["reason"]) == (405, "MethodNotAllowed")
