"""Who may ask, what is not served, and input that means harm: each gets a clear answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.apiservers import (
    ApiClient,
    ApiServerProcess,
    client_tls,
    config_map,
    issue_client,
    namespace,
)
from tests.support.stores import HOST

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def _client(server: ApiServerProcess, stem: Path | None) -> AsyncIterator[ApiClient]:
    client = ApiClient(server.url, client_tls(server.store.root, stem))
    try:
        yield client
    finally:
        await client.close()


async def test_anonymous_sees_health_and_version_only(server: ApiServerProcess) -> None:
    async with _client(server, None) as nobody:
        for path in ("/healthz", "/livez", "/readyz", "/readyz/ping"):
            answer = await nobody.get(path)
            assert (answer.status, answer.body) == (200, b"ok"), path
        assert (await nobody.get("/version")).json["major"] == "1"
        refused = await nobody.get("/api/v1/namespaces/default/pods")
        assert refused.status == 403
        assert refused.json["message"] == (
            'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group '
            '"" in the namespace "default"'
        )
        assert refused.json["details"] == {"kind": "pods"}
        listed = await nobody.get("/apis")
        assert listed.json["message"] == (
            'forbidden: User "system:anonymous" cannot get path "/apis"'
        )
        token = await nobody.get("/api", headers={"Authorization": "Bearer nobody-knows-it"})
        assert (token.status, token.json["reason"]) == (401, "Unauthorized")


async def test_certificates_say_who_asks(server: ApiServerProcess, api: ApiClient) -> None:
    root = server.store.root
    async with _client(server, issue_client(root, "jane", ("devs",))) as jane:
        refused = await jane.delete("/apis/apps/v1/namespaces/a/deployments/web")
        assert refused.status == 403
        assert refused.json["message"] == (
            'deployments.apps "web" is forbidden: User "jane" cannot delete resource '
            '"deployments" in API group "apps" in the namespace "a"'
        )
        nodes = await jane.get("/api/v1/nodes")
        assert nodes.json["message"] == (
            'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the '
            "cluster scope"
        )
    async with _client(server, issue_client(root, "root", ("a", "system:masters"))) as master:
        assert (await master.get("/api/v1/nodes")).status == 200


async def test_foreign_certificates_fail_in_tls(server: ApiServerProcess) -> None:
    stem = issue_client(server.store.root, "mallory", ("system:masters",), ca="front-proxy-ca")
    async with _client(server, stem) as mallory:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await mallory.get("/api/v1/nodes")


async def test_paths_that_are_not_served(api: ApiClient) -> None:
    for path in ("/nonsense", "/apis/no.such.group/v1/things", "/apis/apps/v9"):
        answer = await api.get(path)
        assert (answer.status, answer.body) == (404, b"404 page not found\n"), path
    unknown = await api.get("/api/v1/namespaces/default/gizmos")
    assert unknown.status == 404
    assert unknown.json["message"] == "the server could not find the requested resource"
    assert (await api.get("/api/v1/namespaces/default/nodes")).status == 404
    wrong_verb = await api.delete("/api/v1/namespaces")
    assert wrong_verb.status in (200, 405)
    posted = await api.post("/api/v1/pods", {})
    assert posted.status == 405
    assert (
        posted.json["message"] == "the server does not allow this method on the requested resource"
    )


async def test_content_negotiation(api: ApiClient, ns: str) -> None:
    path = f"{ns}/configmaps"
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {k: 'yes'}\n"
    created = await api.post(path, body, content_type="application/yaml")
    assert (created.status, created.json["data"]) == (201, {"k": "yes"})
    shown = await api.get(f"{path}/y", headers={"Accept": "application/yaml"})
    assert shown.headers["Content-Type"] == "application/yaml"
    assert b"kind: ConfigMap" in shown.body
    both = "application/vnd.kubernetes.protobuf,application/json"
    fallback = await api.get(f"{path}/y", headers={"Accept": both})
    assert fallback.headers["Content-Type"] == "application/json"
    only = await api.get(f"{path}/y", headers={"Accept": "application/vnd.kubernetes.protobuf"})
    assert (only.status, only.json["reason"]) == (406, "NotAcceptable")
    binary = await api.post(path, b"\xff\x00", content_type="application/x-unheard-of")
    assert (binary.status, binary.json["reason"]) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe{}",
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 100_000,
        b'{"apiVersion":"v1","kind":"ConfigMap","metadata":[]}',
        b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}} trailing',
    ],
    ids=str,
)
async def test_bodies_that_are_no_objects(api: ApiClient, ns: str, body: bytes) -> None:
    answer = await api.post(f"{ns}/configmaps", body)
    assert answer.status == 400, answer.body
    assert answer.json["reason"] == "BadRequest"


async def test_invalid_utf8_in_a_name_is_no_name(api: ApiClient, ns: str) -> None:
    body = b'{"kind": "ConfigMap", "metadata": {"name": "\xc3\x28"}}'
    answer = await api.post(f"{ns}/configmaps", body)
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")


async def test_yaml_that_would_explode(api: ApiClient, ns: str) -> None:
    levels = "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    bomb = f"a0: &a0 [x]\n{levels}kind: ConfigMap\napiVersion: v1\n".encode()
    async with asyncio.timeout(10):
        answer = await api.post(f"{ns}/configmaps", bomb, content_type="application/yaml")
    assert answer.status == 400


async def test_sizes_are_bounded(api: ApiClient, ns: str) -> None:
    path = f"{ns}/configmaps"
    large = await api.post(path, config_map("big", k="x" * (2 * 1024 * 1024)))
    assert large.status in (422, 500)
    assert "larg" in large.json["message"] or "long" in large.json["message"]
    too_large = await api.post(path, b" " * (3 * 1024 * 1024 + 1))
    assert (too_large.status, too_large.json["reason"]) == (413, "RequestEntityTooLarge")
    assert (await api.get(f"{path}/big")).status == 404
    assert (await api.get("/healthz")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/default/configmaps/%2e%2e",
        "/api/v1/namespaces/%2e%2e/configmaps/x",
        "/api/v1/namespaces/default/configmaps/..%2f..%2fkube-system%2fx",
        "/api/v1/namespaces/default/configmaps/a%00b",
        "/api/v1/namespaces/default/configmaps/a%25b",
    ],
)
async def test_names_do_not_leave_their_place(
    server: ApiServerProcess, api: ApiClient, path: str
) -> None:
    answer = await _raw(server, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404")), answer


async def _raw(server: ApiServerProcess, request: str) -> bytes:
    tls = client_tls(server.store.root, server.store.root / "pki" / "apiserver-kubelet-client")
    reader, writer = await asyncio.open_connection(HOST, server.port, ssl=tls)
    try:
        writer.write(request.encode("latin-1"))
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def test_garbage_on_the_wire_harms_nobody(server: ApiServerProcess, api: ApiClient) -> None:
    reader, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00")  # a TLS hello cut short
    await writer.drain()
    writer.close()
    reader, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()
    assert b" 400 " in await _raw(server, "NONSENSE\r\n\r\n")
    assert (await api.get("/healthz")).status == 200


async def test_discovery(api: ApiClient) -> None:
    groups = (await api.get("/apis")).json
    assert "apps" in [group["name"] for group in groups["groups"]]
    assert (await api.get("/apis/apps")).json["preferredVersion"]["version"] == "v1"
    core = (await api.get("/api/v1")).json
    assert "pods/status" in [resource["name"] for resource in core["resources"]]
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    for path in ("/api", "/apis"):
        answer = await api.get(path, headers={"Accept": accept})
        assert answer.json["kind"] == "APIGroupDiscoveryList"
        assert answer.headers["Content-Type"] == (
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        )
        headers = {"Accept": accept, "If-None-Match": answer.headers["ETag"]}
        assert (await api.get(path, headers=headers)).status == 304


async def test_health_in_words(api: ApiClient) -> None:
    verbose = (await api.get("/readyz?verbose")).body.decode()
    assert "[+]etcd ok\n" in verbose
    assert verbose.endswith("readyz check passed\n")
    assert (await api.get("/readyz/nonsense")).status == 404


async def test_headers(api: ApiClient) -> None:
    answer = await api.get("/version")
    assert answer.headers["Cache-Control"] == "no-cache, private"
    assert answer.headers["Content-Type"] == "application/json"
    other = await api.get("/version")
    assert answer.headers["Audit-Id"] != other.headers["Audit-Id"]
    assert answer.json["gitVersion"].startswith("v1.36.")
    assert answer.json["minor"].isdigit()


async def test_strict_field_validation(api: ApiClient, ns: str) -> None:
    body: dict[str, Any] = {**config_map("x"), "nonsense": 1}
    strict = await api.post(f"{ns}/configmaps?fieldValidation=Strict", body)
    assert strict.status == 400
    assert 'strict decoding error: unknown field "nonsense"' in strict.json["message"]
    warned = await api.post(f"{ns}/configmaps?fieldValidation=Warn", body)
    assert warned.status == 201
    assert warned.headers["Warning"] == '299 - "unknown field \\"nonsense\\""'
    assert "nonsense" not in warned.json


async def test_namespaces_cannot_be_named_against_the_rules(
    api: ApiClient, unique: Callable[[str], str]
) -> None:
    answer = await api.post("/api/v1/namespaces", namespace(unique("Under_Score")))
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")
