"""Create, read, update, patch, delete over HTTPS: what clients see, to the text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.apiservers import ApiClient, config_map, namespace

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORE_KINDS = ("etcd", "raftstore")


async def test_create_get_update_delete(api: ApiClient, ns: str) -> None:
    maps = f"{ns}/configmaps"
    created = await api.post(maps, config_map("a", k="1"))
    assert created.status == 201
    meta = created.json["metadata"]
    assert int(meta["resourceVersion"]) > 0
    assert meta["uid"]
    assert meta["creationTimestamp"].endswith("Z")
    assert meta["namespace"] == ns.rpartition("/")[2]
    read = await api.get(f"{maps}/a")
    assert (read.status, read.json) == (200, created.json)
    changed = {**created.json, "data": {"k": "2"}}
    updated = await api.put(f"{maps}/a", changed)
    assert updated.status == 200
    assert updated.json["data"] == {"k": "2"}
    assert int(updated.json["metadata"]["resourceVersion"]) > int(meta["resourceVersion"])
    deleted = await api.delete(f"{maps}/a")
    assert deleted.status == 200
    assert deleted.json["status"] == "Success"
    assert deleted.json["details"] == {"name": "a", "kind": "configmaps", "uid": meta["uid"]}
    gone = await api.get(f"{maps}/a")
    assert gone.status == 404
    assert gone.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "a" not found',
        "reason": "NotFound",
        "details": {"name": "a", "kind": "configmaps"},
        "code": 404,
    }


async def test_stale_update_conflicts(api: ApiClient, ns: str) -> None:
    maps = f"{ns}/configmaps"
    first = (await api.post(maps, config_map("x", k="1"))).json
    assert (await api.put(f"{maps}/x", {**first, "data": {"k": "2"}})).status == 200
    stale = await api.put(f"{maps}/x", {**first, "data": {"k": "3"}})
    assert stale.status == 409
    assert stale.json["reason"] == "Conflict"
    assert stale.json["message"] == (
        'Operation cannot be fulfilled on configmaps "x": the object has been modified; please '
        "apply your changes to the latest version and try again"
    )
    assert (await api.get(f"{maps}/x")).json["data"] == {"k": "2"}


async def test_unconditional_update_and_no_change_keeps_version(api: ApiClient, ns: str) -> None:
    maps = f"{ns}/configmaps"
    await api.post(maps, config_map("x", k="1"))
    first = await api.put(f"{maps}/x", config_map("x", k="2"))
    again = await api.put(f"{maps}/x", config_map("x", k="2"))
    assert (first.status, again.status) == (200, 200)
    assert again.json["metadata"]["resourceVersion"] == first.json["metadata"]["resourceVersion"]


async def test_already_exists(api: ApiClient, ns: str) -> None:
    await api.post(f"{ns}/configmaps", config_map("x"))
    again = await api.post(f"{ns}/configmaps", config_map("x"))
    assert again.status == 409
    assert again.json["reason"] == "AlreadyExists"
    assert again.json["message"] == 'configmaps "x" already exists'


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (config_map("Not_Valid"), 422, 'ConfigMap "Not_Valid" is invalid: metadata.name: Invalid'),
        ({**config_map("x"), "metadata": {}}, 422, "name or generateName is required"),
        ({**config_map("x"), "kind": "Nonsense"}, 400, 'no kind "Nonsense" is registered'),
        ({**config_map("x"), "data": {"a": 1}}, 400, "cannot unmarshal number"),
        (
            {**config_map("x"), "metadata": {"name": "x", "namespace": "elsewhere"}},
            400,
            "the namespace of the provided object does not match the namespace sent",
        ),
        (
            {**config_map("x"), "metadata": {"name": "x", "resourceVersion": "1"}},
            500,
            "resourceVersion should not be set on objects to be created",
        ),
    ],
)
async def test_refused_bodies(
    api: ApiClient, ns: str, body: Any, status: int, message: str
) -> None:
    answer = await api.post(f"{ns}/configmaps", body)
    assert answer.status == status
    assert message in answer.json["message"]
    assert (await api.get(f"{ns}/configmaps?labelSelector=never")).json["items"] == []


async def test_namespace_must_exist(api: ApiClient) -> None:
    answer = await api.post("/api/v1/namespaces/nowhere/configmaps", config_map("x"))
    assert answer.status == 404
    assert answer.json["message"] == 'namespaces "nowhere" not found'
    assert answer.json["details"] == {"name": "nowhere", "kind": "namespaces"}


async def test_generate_name(api: ApiClient, ns: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "gen-"}}
    answers = await asyncio.gather(*(api.post(f"{ns}/configmaps", body) for _ in range(20)))
    names = {answer.json["metadata"]["name"] for answer in answers}
    assert len(names) == 20
    assert all(len(name) == len("gen-") + 5 and name.startswith("gen-") for name in names)


async def test_dry_run_writes_nothing(api: ApiClient, ns: str) -> None:
    maps = f"{ns}/configmaps"
    assert (await api.post(f"{maps}?dryRun=All", config_map("x", k="1"))).status == 201
    assert (await api.get(f"{maps}/x")).status == 404
    await api.post(maps, config_map("x", k="1"))
    changed = await api.put(f"{maps}/x?dryRun=All", config_map("x", k="2"))
    assert (changed.status, changed.json["data"]) == (200, {"k": "2"})
    assert (await api.delete(f"{maps}/x?dryRun=All")).status == 200
    assert (await api.get(f"{maps}/x")).json["data"] == {"k": "1"}
    wrong = await api.post(f"{maps}?dryRun=some", config_map("y"))
    assert wrong.status == 422
    assert 'dryRun: Unsupported value: ["some"]' in wrong.json["message"]


async def test_patches(api: ApiClient, ns: str) -> None:
    path = f"{ns}/configmaps/x"
    await api.post(f"{ns}/configmaps", config_map("x", a="1", b="2"))
    merged = await api.patch(path, {"data": {"a": None, "c": "3"}})
    assert (merged.status, merged.json["data"]) == (200, {"b": "2", "c": "3"})
    operations = [{"op": "replace", "path": "/data/b", "value": "9"}]
    patched = await api.patch(path, operations, "json-patch")
    assert (patched.status, patched.json["data"]["b"]) == (200, "9")
    strategic = await api.patch(path, {"data": {"d": "4"}}, "strategic-merge-patch")
    assert (strategic.status, strategic.json["data"]["d"]) == (200, "4")
    failing = [{"op": "test", "path": "/data/b", "value": "no"}]
    assert (await api.patch(path, failing, "json-patch")).status == 422
    assert (await api.patch(path, {"metadata": {"resourceVersion": "1"}})).status == 409
    assert (await api.patch(path, {}, "unheard-of")).status == 415
    assert (await api.patch(f"{ns}/configmaps/none", {})).status == 404


async def test_strategic_patch_merges_containers_by_name(api: ApiClient, ns: str) -> None:
    name = ns.rpartition("/")[2]
    path = f"/apis/apps/v1/namespaces/{name}/deployments"
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b"}]
                },
            },
        },
    }
    created = await api.post(path, body)
    assert created.status == 201, created.body
    assert created.json["metadata"]["generation"] == 1
    change = {"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "a:2"}]}}}}
    patched = await api.patch(f"{path}/web", change, "strategic-merge-patch")
    images = [c["image"] for c in patched.json["spec"]["template"]["spec"]["containers"]]
    assert images == ["a:2", "b"]
    assert patched.json["metadata"]["generation"] == 2


async def test_status_subresource_touches_status_only(api: ApiClient, ns: str) -> None:
    path = f"{ns}/pods"
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    created = (await api.post(path, pod)).json
    assert created["status"]["phase"] == "Pending"
    change = {**created, "status": {"phase": "Running"}}
    assert (await api.put(f"{path}/p", change)).json["status"]["phase"] == "Pending"
    change["spec"] = {"containers": [{"name": "c", "image": "other"}]}
    del change["metadata"]["resourceVersion"]
    updated = await api.put(f"{path}/p/status", change)
    assert updated.status == 200, updated.body
    assert updated.json["status"]["phase"] == "Running"
    assert updated.json["spec"]["containers"][0]["image"] == "i"


async def test_finalizers_hold_and_release(api: ApiClient, ns: str) -> None:
    path = f"{ns}/configmaps/held"
    body = config_map("held")
    body["metadata"]["finalizers"] = ["example.com/wait"]
    await api.post(f"{ns}/configmaps", body)
    deleted = await api.delete(path)
    assert deleted.status == 200
    assert deleted.json["metadata"]["deletionTimestamp"]
    assert deleted.json["metadata"]["deletionGracePeriodSeconds"] == 0
    held = (await api.get(path)).json
    added = await api.patch(path, {"metadata": {"finalizers": ["example.com/wait", "a.b/c"]}})
    assert added.status == 422
    again = (await api.delete(path)).json
    assert again["metadata"]["deletionTimestamp"] == held["metadata"]["deletionTimestamp"]
    released = await api.patch(path, {"metadata": {"finalizers": None}})
    assert released.status == 200, released.body
    assert (await api.get(path)).status == 404


async def test_delete_preconditions_and_policies(api: ApiClient, ns: str) -> None:
    path = f"{ns}/configmaps/x"
    created = (await api.post(f"{ns}/configmaps", config_map("x"))).json
    wrong = await api.delete(path, {"preconditions": {"uid": "other"}})
    assert wrong.status == 409
    assert "the UID in the precondition (other) does not match" in wrong.json["message"]
    stale = await api.delete(path, {"preconditions": {"resourceVersion": "1"}})
    assert stale.status == 409
    nonsense = await api.delete(path, {"propagationPolicy": "Sideways"})
    assert nonsense.status == 422
    foreground = await api.delete(f"{path}?propagationPolicy=Foreground")
    assert foreground.json["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert foreground.json["metadata"]["uid"] == created["metadata"]["uid"]


async def test_pods_go_gracefully_only_when_assigned(api: ApiClient, ns: str) -> None:
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "free"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    assert (await api.post(f"{ns}/pods", pod)).status == 201
    assert (await api.delete(f"{ns}/pods/free")).status == 200
    assert (await api.get(f"{ns}/pods/free")).status == 404
    pod["metadata"]["name"] = "bound"
    pod["spec"]["nodeName"] = "n1"
    await api.post(f"{ns}/pods", pod)
    going = await api.delete(f"{ns}/pods/bound")
    assert going.json["metadata"]["deletionGracePeriodSeconds"] == 30
    assert (await api.get(f"{ns}/pods/bound")).status == 200
    assert (await api.delete(f"{ns}/pods/bound?gracePeriodSeconds=0")).status == 200
    assert (await api.get(f"{ns}/pods/bound")).status == 404


async def test_deletecollection_honours_selectors(api: ApiClient, ns: str) -> None:
    maps = f"{ns}/configmaps"
    for number in range(6):
        label = {"parity": "even" if number % 2 == 0 else "odd"}
        await api.post(maps, config_map(f"m{number}", labels=label))
    deleted = await api.delete(f"{maps}?labelSelector=parity%3Deven")
    assert deleted.status == 200
    left = await api.get(f"{maps}?labelSelector=parity")
    assert [item["metadata"]["name"] for item in left.json["items"]] == ["m1", "m3", "m5"]
    await api.delete(f"{maps}?fieldSelector=metadata.name%3Dm3")
    left = await api.get(f"{maps}?labelSelector=parity")
    assert [item["metadata"]["name"] for item in left.json["items"]] == ["m1", "m5"]


async def test_counter_loses_no_increment(api: ApiClient, ns: str) -> None:
    path = f"{ns}/configmaps/counter"
    await api.post(f"{ns}/configmaps", config_map("counter", n="0"))

    async def increment(times: int) -> int:
        conflicts = 0
        for _ in range(times):
            while True:
                seen = (await api.get(path)).json
                seen["data"]["n"] = str(int(seen["data"]["n"]) + 1)
                answer = await api.put(path, seen)
                if answer.status == 200:
                    break
                assert answer.status == 409, answer.body
                conflicts += 1
        return conflicts

    conflicts = sum(await asyncio.gather(*(increment(10) for _ in range(8))))
    assert (await api.get(path)).json["data"]["n"] == "80"
    assert conflicts > 0


async def test_namespace_ends_with_all_in_it(api: ApiClient, unique: Callable[[str], str]) -> None:
    name = unique("doomed")
    path = f"/api/v1/namespaces/{name}"
    await api.post("/api/v1/namespaces", namespace(name))
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/wait"]
    await api.post(f"{path}/configmaps", held)
    await api.post(f"{path}/configmaps", config_map("loose"))
    deleted = await api.delete(path)
    assert deleted.status == 200
    assert deleted.json["status"]["phase"] == "Terminating"
    refused = await api.post(f"{path}/configmaps", config_map("late"))
    assert refused.status == 403
    assert refused.json["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert "because it is being terminated" in refused.json["message"]
    assert (await api.get(path)).status == 200
    await api.patch(f"{path}/configmaps/held", {"metadata": {"finalizers": None}})
    async with asyncio.timeout(20):
        while (await api.get(path)).status != 404:
            await asyncio.sleep(0.05)
    assert (await api.get(f"{path}/configmaps")).json["items"] == []
    await api.post("/api/v1/namespaces", namespace(name))
    assert (await api.get(f"{path}/configmaps/loose")).status == 404


async def test_services_get_an_address_each(api: ApiClient, ns: str) -> None:
    def service(name: str, **spec: Any) -> dict[str, Any]:
        ports = [{"port": 80}]
        metadata = {"name": name}
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"ports": ports, **spec},
        }

    path = f"{ns}/services"
    answers = await asyncio.gather(*(api.post(path, service(f"s{n}")) for n in range(10)))
    assert {answer.status for answer in answers} == {201}
    addresses = {answer.json["spec"]["clusterIP"] for answer in answers}
    assert len(addresses) == 10
    assert all(address.startswith("10.") for address in addresses)
    first = (await api.get(f"{path}/s0")).json
    address = first["spec"]["clusterIP"]
    assert first["spec"]["clusterIPs"] == [address]
    held = await api.get(f"/apis/networking.k8s.io/v1/ipaddresses/{address}")
    assert held.json["spec"]["parentRef"]["name"] == "s0"
    again = await api.post(path, service("other", clusterIP=address))
    assert again.status == 422
    assert "provided IP is already allocated" in again.json["message"]
    assert (await api.post(path, service("s0", clusterIP=address))).status == 409
    assert (await api.get(f"/apis/networking.k8s.io/v1/ipaddresses/{address}")).status == 200
    outside = await api.post(path, service("far", clusterIP="192.0.2.1"))
    assert "is not in the valid range" in outside.json["message"]
    headless = await api.post(path, service("headless", clusterIP="None"))
    assert headless.json["spec"]["clusterIPs"] == ["None"]
    kept = await api.put(f"{path}/s0", service("s0"))
    assert kept.json["spec"]["clusterIP"] == address
    assert (await api.delete(f"{path}/s0")).status == 200
    assert (await api.get(f"/apis/networking.k8s.io/v1/ipaddresses/{address}")).status == 404
    assert (await api.post(path, service("other", clusterIP=address))).status == 201


async def test_every_namespace_gets_account_and_root_ca(api: ApiClient, ns: str) -> None:
    async with asyncio.timeout(10):
        while (await api.get(f"{ns}/serviceaccounts/default")).status != 200:
            await asyncio.sleep(0.02)
        while (await api.get(f"{ns}/configmaps/kube-root-ca.crt")).status != 200:
            await asyncio.sleep(0.02)
    root_ca = (await api.get(f"{ns}/configmaps/kube-root-ca.crt")).json
    assert "BEGIN CERTIFICATE" in root_ca["data"]["ca.crt"]
    assert (await api.delete(f"{ns}/serviceaccounts/default")).status == 200
    async with asyncio.timeout(10):
        while (await api.get(f"{ns}/serviceaccounts/default")).status != 200:
            await asyncio.sleep(0.05)


async def test_default_namespace_is_immortal(api: ApiClient) -> None:
    answer = await api.delete("/api/v1/namespaces/default")
    assert answer.status == 403
    assert answer.json["message"] == (
        'namespaces "default" is forbidden: this namespace may not be deleted'
    )


async def test_what_the_server_itself_puts_there(api: ApiClient) -> None:
    listed = (await api.get("/api/v1/namespaces")).json["items"]
    names = {item["metadata"]["name"] for item in listed}
    assert {"default", "kube-system", "kube-public", "kube-node-lease"} <= names
    service = (await api.get("/api/v1/namespaces/default/services/kubernetes")).json
    assert service["spec"]["clusterIP"] == "10.96.0.1"
    assert service["spec"]["ports"][0]["port"] == 443
    async with asyncio.timeout(10):
        while (await api.get("/api/v1/namespaces/default/endpoints/kubernetes")).status != 200:
            await asyncio.sleep(0.02)
    classes = (await api.get("/apis/scheduling.k8s.io/v1/priorityclasses")).json["items"]
    assert {item["metadata"]["name"]: item["value"] for item in classes} == {
        "system-cluster-critical": 2000000000,
        "system-node-critical": 2000001000,
    }
