"""Real clients, unmodified: the `kubernetes` package and kubectl."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from kubernetes import client, config, watch

from tests.support.apiservers import ApiServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANIFESTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: b}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
data: {p: cQ==}
"""


@pytest.fixture(scope="module")
def kubeconfig(server: ApiServerProcess) -> Path:
    """admin.conf with the address of the server under test."""
    document = yaml.safe_load((server.store.root / "admin.conf").read_text())
    document["clusters"][0]["cluster"]["server"] = server.url
    path = server.store.root / "test.conf"
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    return path


def _core(kubeconfig: Path) -> client.CoreV1Api:
    return client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))  # type: ignore[no-untyped-call]


async def test_python_client(kubeconfig: Path, unique: Callable[[str], str]) -> None:
    await asyncio.to_thread(_python_client, _core(kubeconfig), unique("py"))


def _python_client(core: client.CoreV1Api, name: str) -> None:
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="x"), data={"k": "1"})
    created = core.create_namespaced_config_map(name, body)
    assert created.metadata is not None
    version = created.metadata.resource_version
    created.data = {"k": "2"}
    updated = core.replace_namespaced_config_map("x", name, created)
    assert updated.data == {"k": "2"}
    created.data = {"k": "3"}
    with pytest.raises(client.ApiException) as refused:
        core.replace_namespaced_config_map("x", name, created)
    assert refused.value.status == 409
    selector = "metadata.name=x"
    assert len(core.list_namespaced_config_map(name, field_selector=selector).items) == 1
    events = watch.Watch().stream(  # type: ignore[no-untyped-call]
        core.list_namespaced_config_map,
        name,
        field_selector=selector,
        resource_version=version,
        timeout_seconds=1,
    )
    assert [(e["type"], e["object"].data) for e in events] == [("MODIFIED", {"k": "2"})]
    core.delete_namespaced_config_map("x", name)
    with pytest.raises(client.ApiException) as missing:
        core.read_namespaced_config_map("x", name)
    assert missing.value.status == 404


async def test_kubectl(kubeconfig: Path, tmp_path: Path, unique: Callable[[str], str]) -> None:
    manifests = tmp_path / "all.yaml"
    manifests.write_text(MANIFESTS)
    await asyncio.to_thread(_kubectl_session, kubeconfig, manifests, unique("ctl"))


def _kubectl_session(kubeconfig: Path, manifests: Path, name: str) -> None:
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(manifests.parent)}

    def run(*arguments: str, code: int = 0, editor: str = "") -> str:
        done = subprocess.run(
            ["kubectl", *arguments],
            env={**environment, "EDITOR": editor},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    assert "v1.36.0" in run("version")
    assert "is running at" in run("cluster-info")
    assert "deployments" in run("api-resources")
    assert "apps/v1" in run("api-versions")
    namespace = manifests.with_name("ns.yaml")
    namespace.write_text(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
    run("create", "-f", str(namespace))
    within = ("-n", name)
    first = run("apply", *within, "-f", str(manifests))
    assert first.count("created") == 4, first
    again = run("apply", *within, "-f", str(manifests))
    assert again.count("unchanged") == 4, again
    assert "web" in run("get", "deploy,svc,cm,secret", *within, "-o", "wide")
    run("get", "all", "-A")
    assert "Name:" in run("describe", "cm", "settings", *within)
    assert "nginx" in run("describe", "deploy", "web", *within)
    run("label", "cm", "settings", "x=1", *within)
    run("annotate", "cm", "settings", "y=2", *within)
    run("patch", "cm", "settings", "-p", '{"data":{"c":"d"}}', *within)
    assert run("get", "cm", "settings", *within, "-o", "jsonpath={.data.c}") == "d"
    run("edit", "cm", "settings", *within, editor="sed -i s/c:\\ d/c:\\ edited/")
    assert run("get", "cm", "-l", "x=1", *within, "-o", "jsonpath={..data.c}") == "edited"
    assert "NotFound" in run("get", "cm", "nothing", *within, code=1)
    assert "unknown field" in run(
        "patch", "cm", "settings", "-p", '{"nonsense":1}', "--type=merge", *within
    )
    run("create", "configmap", "made", "--from-literal=k=v", *within)
    assert run("get", "cm", "made", *within, "-o", "jsonpath={.data.k}") == "v"
    run("create", "secret", "generic", "made", "--from-literal=k=v", *within)
    assert run("get", "secret", "made", *within, "-o", "jsonpath={.data.k}") == "dg=="
    run("create", "deployment", "made", "--image=nginx", "--replicas=0", *within)
    assert run("get", "deploy", "made", *within, "-o", "jsonpath={.spec.replicas}") == "0"
    run("create", "namespace", f"{name}-made")
    run("delete", "namespace", f"{name}-made")
    run("replace", *within, "-f", str(manifests))
    run("delete", "cm", "settings", *within)
    run("delete", "ns", name)
    assert "NotFound" in run("get", "ns", name, code=1)
