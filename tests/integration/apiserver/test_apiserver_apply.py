"""Field ownership and server-side apply, asked by real clients of a real server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from kubernetes import client, config, dynamic

from tests.support.apiservers import Answer, ApiClient, ApiServerProcess, config_map

pytestmark = pytest.mark.asyncio(loop_scope="module")

APPLY = "application/apply-patch+yaml"


@pytest.fixture(scope="module")
def kubeconfig(server: ApiServerProcess) -> Path:
    """admin.conf with the address of the server under test."""
    document = yaml.safe_load((server.store.root / "admin.conf").read_text())
    document["clusters"][0]["cluster"]["server"] = server.url
    path = server.store.root / "apply-test.conf"
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    return path


async def apply(api: ApiClient, path: str, config: Any, options: str) -> Answer:
    body = config if isinstance(config, bytes) else json.dumps(config).encode()
    return await api.call("PATCH", f"{path}?{options}", body, content_type=APPLY)


def wanted(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def owners(obj: Any) -> dict[tuple[str, str, str], Any]:
    return {
        (e["manager"], e["operation"], e.get("subresource", "")): e["fieldsV1"]
        for e in obj["metadata"].get("managedFields", [])
    }


async def test_create_update_and_patch_are_owned(api: ApiClient, ns: str) -> None:
    path = f"{ns}/configmaps"
    agent = {"User-Agent": "tool/v1 (linux)"}
    created = (await api.post(path, config_map("m", a="1"), headers=agent)).json
    (entry,) = created["metadata"]["managedFields"]
    assert entry == {
        "manager": "tool",
        "operation": "Update",
        "apiVersion": "v1",
        "time": created["metadata"]["creationTimestamp"],
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {".": {}, "f:a": {}}},
    }
    created["data"] = {"a": "2", "b": "3"}
    changed = (await api.put(f"{path}/m?fieldManager=other", created, headers=agent)).json
    assert owners(changed) == {
        ("tool", "Update", ""): {"f:data": {}},
        ("other", "Update", ""): {"f:data": {"f:a": {}, "f:b": {}}},
    }
    patched = (await api.patch(f"{path}/m", {"data": {"b": None}})).json
    assert ("other", "Update", "") in owners(patched)
    assert owners(patched)["other", "Update", ""] == {"f:data": {"f:a": {}}}
    reset = await api.patch(f"{path}/m", {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in reset.json["metadata"]


async def test_a_status_has_its_own_entry(api: ApiClient, ns: str) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    await api.post(f"{ns}/pods?fieldManager=creator", pod)
    status = {"status": {"phase": "Running"}, "spec": {"nodeName": "ignored"}}
    path = f"{ns}/pods/p/status?fieldManager=kubelet"
    body = json.dumps(status).encode()
    kind = "application/merge-patch+json"
    changed = (await api.call("PATCH", path, body, content_type=kind)).json
    assert owners(changed)["kubelet", "Update", "status"] == {"f:status": {"f:phase": {}}}
    applied = {"apiVersion": "v1", "kind": "Pod", "status": {"message": "hello"}}
    applied["metadata"] = {"name": "p"}
    answer = await apply(api, f"{ns}/pods/p/status", applied, "fieldManager=me")
    assert answer.status == 200, answer.body
    assert answer.json["status"]["message"] == "hello"
    assert owners(answer.json)["me", "Apply", "status"] == {"f:status": {"f:message": {}}}


async def test_apply_creates_conflicts_and_lets_go(api: ApiClient, ns: str) -> None:
    path = f"{ns}/configmaps/m"
    created = await apply(api, path, wanted("m", a="1", b="1"), "fieldManager=one")
    assert created.status == 201, created.body
    assert owners(created.json) == {("one", "Apply", ""): {"f:data": {"f:a": {}, "f:b": {}}}}
    again = await apply(api, path, wanted("m", a="1", b="1"), "fieldManager=one")
    assert again.status == 200
    assert again.json == created.json

    refused = await apply(api, path, wanted("m", a="2"), "fieldManager=two")
    assert refused.status == 409
    assert refused.json["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert refused.json["reason"] == "Conflict"
    assert refused.json["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
    ]
    forced = await apply(api, path, wanted("m", a="2"), "fieldManager=two&force=true")
    assert forced.json["data"] == {"a": "2", "b": "1"}
    less = await apply(api, path, wanted("m"), "fieldManager=one")
    assert less.json["data"] == {"a": "2"}
    assert owners(less.json) == {
        ("one", "Apply", ""): {"f:data": {}},
        ("two", "Apply", ""): {"f:data": {"f:a": {}}},
    }


async def test_refusals(api: ApiClient, ns: str) -> None:
    path = f"{ns}/configmaps/m"
    nobody = await apply(api, path, wanted("m"), "")
    assert nobody.status == 422
    assert nobody.json["message"] == (
        'PatchOptions.meta.k8s.io "" is invalid: '
        "fieldManager: Required value: is required for apply patch"
    )
    owned = wanted("m")
    owned["metadata"]["managedFields"] = []
    answer = await apply(api, path, owned, "fieldManager=x")
    assert (answer.status, answer.json["message"]) == (400, "metadata.managedFields must be nil")
    forced = await api.patch(f"{path}?force=true", {})
    assert forced.status == 422
    assert "force: Forbidden: may not be specified for non-apply patch" in forced.json["message"]
    for kind in ("application/apply-patch+json", "application/apply-patch+cbor"):
        other = await api.call("PATCH", f"{path}?fieldManager=x", b"{}", content_type=kind)
        assert other.status == 415, other.body
    twice = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata:\n  a: x\n  a: y\n"
    answer = await apply(api, path, twice, "fieldManager=x&fieldValidation=Strict")
    assert answer.status == 400
    assert 'line 7: key "a" already set in map' in answer.json["message"]
    unknown = {**wanted("m"), "spec": {}}
    answer = await apply(api, path, unknown, "fieldManager=x")
    assert answer.status == 500
    assert answer.json["message"].endswith(".spec: field not declared in schema")
    with_uid = wanted("m")
    with_uid["metadata"]["uid"] = "1"
    answer = await apply(api, path, with_uid, "fieldManager=x")
    assert answer.status == 409
    assert "uid mismatch" in answer.json["message"]
    dry = await apply(api, path, wanted("m"), "fieldManager=x&dryRun=All")
    assert dry.status == 201
    assert (await api.get(path)).status == 404


MANIFEST = dedent("""\
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
      labels: {app: web}
    spec:
      replicas: 2
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          containers:
          - name: c
            image: nginx
            ports: [{containerPort: 80}]
            env: [{name: A, value: "1"}, {name: B, value: "2"}]
    """)


class Kubectl:
    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._arguments = ("kubectl", f"--kubeconfig={kubeconfig}", "-n", namespace)
        self._home = str(kubeconfig.parent)

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._arguments, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": self._home},
        )

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout


async def test_kubectl_server_side(kubeconfig: Path, ns: str) -> None:
    await asyncio.to_thread(_kubectl_server_side, Kubectl(kubeconfig, ns.rpartition("/")[2]))


def _kubectl_server_side(kubectl: Kubectl) -> None:
    served = ("apply", "--server-side", "-f", "-")
    assert kubectl(*served, stdin=MANIFEST) == "deployment.apps/web serverside-applied\n"
    kubectl("patch", "deployment/web", "-p", '{"spec": {"replicas": 5}}')
    more = MANIFEST.replace("replicas: 2", "replicas: 3")
    refused = kubectl.run(*served, stdin=more)
    assert refused.returncode == 1
    assert (
        'Apply failed with 1 conflict: conflict with "kubectl-patch" using apps/v1: .spec.replicas'
    ) in refused.stderr
    kubectl(*served, "--force-conflicts", stdin=more.replace(', {name: B, value: "2"}', ""))
    found = json.loads(kubectl("get", "deployment/web", "-o", "json", "--show-managed-fields"))
    assert found["spec"]["replicas"] == 3
    assert found["spec"]["template"]["spec"]["containers"][0]["env"] == [
        {"name": "A", "value": "1"}
    ]
    assert list(owners(found)) == [("kubectl", "Apply", "")]
    assert "managedFields" not in kubectl("get", "deployment/web", "-o", "yaml")


async def test_kubectl_upgrade(kubeconfig: Path, ns: str) -> None:
    await asyncio.to_thread(_kubectl_upgrade, Kubectl(kubeconfig, ns.rpartition("/")[2]))


def _kubectl_upgrade(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    shown = json.loads(kubectl("get", "deployment/web", "-o", "json", "--show-managed-fields"))
    assert list(owners(shown)) == [("kubectl-client-side-apply", "Update", "")]
    changed = MANIFEST.replace("replicas: 2", "replicas: 4")
    kubectl("apply", "--server-side", "-f", "-", stdin=changed)
    shown = json.loads(kubectl("get", "deployment/web", "-o", "json", "--show-managed-fields"))
    assert shown["spec"]["replicas"] == 4
    assert ("kubectl", "Apply", "") in owners(shown)
    assert ("kubectl-client-side-apply", "Update", "") not in owners(shown)


async def test_kubectl_diff_and_dry_run(kubeconfig: Path, ns: str) -> None:
    await asyncio.to_thread(_kubectl_diff, Kubectl(kubeconfig, ns.rpartition("/")[2]))


def _kubectl_diff(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST)
    assert kubectl("diff", "--server-side", "-f", "-", stdin=MANIFEST) == ""
    changed = MANIFEST.replace("image: nginx", "image: httpd")
    differs = kubectl.run("diff", "--server-side", "-f", "-", stdin=changed)
    assert differs.returncode == 1, differs.stderr
    assert "+        image: httpd" in differs.stdout
    dry = ("apply", "--server-side", "--dry-run=server", "-f", "-")
    said = kubectl(*dry, stdin=changed)
    assert said == "deployment.apps/web serverside-applied (server dry run)\n"
    shown = json.loads(kubectl("get", "deployment/web", "-o", "json"))
    assert shown["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx"
    assert shown["metadata"]["generation"] == 1


async def test_other_kinds_are_applied_again_in_peace(api: ApiClient, ns: str) -> None:
    meta = {"metadata": {"name": "x", "labels": {"a": "b"}}}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    target = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}}
    namespace = ns.rpartition("/")[2]
    for group, plural, document in (
        ("batch/v1", "jobs", {"kind": "Job", "spec": {"template": template}}),
        ("v1", "services", {"kind": "Service", "spec": {"ports": [{"port": 80}]}}),
        (
            "autoscaling/v1",
            "horizontalpodautoscalers",
            {"kind": "HorizontalPodAutoscaler", "spec": {**target, "maxReplicas": 3}},
        ),
        ("v1", "pods", {"kind": "Pod", **template}),
    ):
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        path = f"{root}/namespaces/{namespace}/{plural}/x"
        wanted = {"apiVersion": group, **document, **meta}
        created = await apply(api, path, wanted, "fieldManager=m")
        assert created.status == 201, created.body
        again = await apply(api, path, wanted, "fieldManager=m")
        assert again.status == 200, again.body
        assert again.json == created.json


async def test_dynamic_client(kubeconfig: Path, ns: str, unique: Callable[[str], str]) -> None:
    await asyncio.to_thread(_dynamic_client, kubeconfig, ns.rpartition("/")[2], unique("dyn"))


def _dynamic_client(kubeconfig: Path, namespace: str, name: str) -> None:
    connection = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
    dynamic_client: Any = dynamic.DynamicClient(connection)  # type: ignore[no-untyped-call]
    maps = dynamic_client.resources.get(api_version="v1", kind="ConfigMap")
    for value in ("1", "2"):
        maps.server_side_apply(
            namespace=namespace, name=name, body=wanted(name, a=value), field_manager="py"
        )
    found = client.CoreV1Api(connection).read_namespaced_config_map(name, namespace)
    assert found.data == {"a": "2"}
    assert found.metadata is not None
    entries = found.metadata.managed_fields or []
    assert [(e.manager, e.operation) for e in entries] == [("py", "Apply")]
    with pytest.raises(dynamic.exceptions.ConflictError):
        maps.server_side_apply(
            namespace=namespace, name=name, body=wanted(name, a="3"), field_manager="else"
        )
