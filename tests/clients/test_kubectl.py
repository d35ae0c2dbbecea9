"""kubectl, unmodified, through the virtual IP of a three-node cluster."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.cluster import RunningCluster

pytestmark = pytest.mark.serial

MANIFEST = dedent("""\
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
      labels: {app: web}
    spec:
      replicas: 2
      selector:
        matchLabels: {app: web}
      template:
        metadata:
          labels: {app: web}
        spec:
          containers:
          - name: web
            image: nginx:1.27
            ports:
            - containerPort: 80
    ---
    apiVersion: v1
    kind: Service
    metadata:
      name: web
    spec:
      selector: {app: web}
      ports:
      - port: 80
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: web
    data:
      key: value
    ---
    apiVersion: v1
    kind: Secret
    metadata:
      name: web
    stringData:
      password: s3cret
    """)


class Kubectl:
    """Runs kubectl in one namespace of one cluster."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.base = ["kubectl", "--kubeconfig", str(kubeconfig), "--namespace", namespace]
        self.namespace = namespace

    def run(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.base, *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def __call__(self, *args: str, stdin: str | None = None) -> str:
        done = self.run(*args, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
        return done.stdout

    def json(self, *args: str) -> dict[str, object]:
        parsed = json.loads(self(*args, "-o", "json"))
        assert isinstance(parsed, dict)
        return parsed


@pytest.fixture
def kubectl(cluster: RunningCluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    name = request.node.name.replace("_", "-").removeprefix("test-").lower()
    tool = Kubectl(cluster.kubeconfig, name)
    tool("create", "namespace", name)
    yield tool
    tool("delete", "namespace", name, "--wait=true")


def test_version_and_cluster_info(kubectl: Kubectl, cluster: RunningCluster) -> None:
    assert kubectl.json("version")["serverVersion"]["major"] == "1"  # type: ignore[index]
    info = kubectl("cluster-info")
    assert "Kubernetes control plane" in info
    assert cluster.vip in info


def test_api_resources(kubectl: Kubectl) -> None:
    rows = {line.split()[0]: line.split() for line in kubectl("api-resources").splitlines()}
    assert rows["configmaps"] == ["configmaps", "cm", "v1", "true", "ConfigMap"]
    assert rows["deployments"] == ["deployments", "deploy", "apps/v1", "true", "Deployment"]
    assert rows["namespaces"] == ["namespaces", "ns", "v1", "false", "Namespace"]
    assert "pods" in kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name")


def test_default_namespaces_and_service(kubectl: Kubectl) -> None:
    names = kubectl("get", "namespaces", "-o", "name").split()
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        assert f"namespace/{name}" in names
    row = kubectl("get", "service", "kubernetes", "-n", "default", "--no-headers").split()
    assert row[:5] == ["kubernetes", "ClusterIP", "10.96.0.1", "<none>", "443/TCP"]


def test_create_get_describe_delete(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "note", "--from-literal=a=1", "--from-literal=b=2")
    header, row = kubectl("get", "configmap", "note").splitlines()
    assert header.split() == ["NAME", "DATA", "AGE"]
    assert row.split()[:2] == ["note", "2"]
    assert "a:\n----\n1" in kubectl("describe", "configmap", "note")
    assert kubectl("delete", "configmap", "note") == (
        f'configmap "note" deleted from {kubectl.namespace} namespace\n'
        if "from" in kubectl.run("delete", "configmap", "absent", "--ignore-not-found").stdout
        else 'configmap "note" deleted\n'
    )
    gone = kubectl.run("get", "configmap", "note")
    assert gone.returncode == 1
    assert gone.stderr == 'Error from server (NotFound): configmaps "note" not found\n'


def test_create_twice_is_refused(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "twice")
    again = kubectl.run("create", "configmap", "twice")
    assert again.returncode == 1
    assert 'configmaps "twice" already exists' in again.stderr


def test_label_annotate_patch(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "thing", "--from-literal=a=1")
    kubectl("label", "configmap", "thing", "tier=gold")
    kubectl("annotate", "configmap", "thing", "note=kept")
    kubectl("patch", "configmap", "thing", "-p", '{"data":{"b":"2"}}')
    kubectl("patch", "configmap", "thing", "--type=merge", "-p", '{"data":{"c":"3"}}')
    patch = '[{"op":"replace","path":"/data/a","value":"9"}]'
    kubectl("patch", "configmap", "thing", "--type=json", "-p", patch)
    found = kubectl.json("get", "configmap", "thing")
    assert found["data"] == {"a": "9", "b": "2", "c": "3"}
    assert found["metadata"]["labels"] == {"tier": "gold"}  # type: ignore[index]
    assert kubectl("get", "configmap", "-l", "tier=gold", "-o", "name") == "configmap/thing\n"
    assert kubectl("get", "configmap", "-l", "tier!=gold,tier", "-o", "name") == ""


def test_edit(kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/colour: red/colour: blue/' \"$1\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("KUBE_EDITOR", str(editor))
    kubectl("create", "configmap", "paint", "--from-literal=colour=red")
    kubectl("edit", "configmap", "paint")
    assert kubectl.json("get", "configmap", "paint")["data"] == {"colour": "blue"}


def test_apply_of_a_deployment_service_configmap_and_secret(kubectl: Kubectl) -> None:
    first = kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert first.splitlines() == [
        "deployment.apps/web created",
        "service/web created",
        "configmap/web created",
        "secret/web created",
    ]
    second = kubectl("apply", "-f", "-", stdin=MANIFEST)
    # As with the original: stringData, which the server turns into data, always looks new.
    outcomes = ["unchanged", "unchanged", "unchanged", "configured"]
    assert [line.split()[-1] for line in second.splitlines()] == outcomes, second
    third = kubectl("apply", "-f", "-", stdin=MANIFEST.replace("replicas: 2", "replicas: 5"))
    assert third.splitlines()[0] == "deployment.apps/web configured"
    deployment = kubectl.json("get", "deployment", "web")
    assert deployment["spec"]["replicas"] == 5  # type: ignore[index]
    assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"  # type: ignore[index]
    assert deployment["metadata"]["generation"] == 2  # type: ignore[index]
    secret = kubectl.json("get", "secret", "web")
    assert secret["data"] == {"password": "czNjcmV0"}
    assert "stringData" not in secret
    wide = kubectl("get", "deployment", "web", "-o", "wide").splitlines()
    assert wide[0].split() == [
        *("NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR")
    ]
    assert wide[1].split()[-3:] == ["web", "nginx:1.27", "app=web"]
    assert "web" in kubectl("get", "all", "-A", "-o", "wide")
    assert "RollingUpdateStrategy" in kubectl("describe", "deployment", "web")
    assert "<none>" in kubectl("describe", "service", "web")


def test_watch_shows_what_happens(kubectl: Kubectl) -> None:
    command = [*kubectl.base, "get", "configmaps", "-w", "--no-headers", "-o", "name"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        lines: list[str] = []
        enough = threading.Event()

        def read(stream: Iterator[str]) -> None:
            for line in stream:
                lines.append(line.strip())
                if lines.count("configmap/seen") == 2:
                    enough.set()

        reader = threading.Thread(target=read, args=(watching.stdout,), name="watch reader")
        reader.start()
        try:
            kubectl("create", "configmap", "seen")
            kubectl("label", "configmap", "seen", "step=two")
            assert enough.wait(20), lines
        finally:
            watching.terminate()
            reader.join()


def test_delete_with_finalizer_waits_for_it(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "held")
    finalizers = '{"metadata":{"finalizers":["example.com/hold"]}}'
    kubectl("patch", "configmap", "held", "--type=merge", "-p", finalizers)
    kubectl("delete", "configmap", "held", "--wait=false")
    assert "deletionTimestamp" in kubectl.json("get", "configmap", "held")["metadata"]  # type: ignore[operator]
    kubectl("patch", "configmap", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    assert kubectl.run("get", "configmap", "held").returncode == 1


def test_bad_input_is_named(kubectl: Kubectl) -> None:
    bad_name = kubectl.run("create", "configmap", "Bad_Name")
    assert bad_name.returncode == 1
    assert (
        'metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain'
        in bad_name.stderr
    )
    unknown = kubectl.run(
        "apply", "-f", "-", stdin="apiVersion: v1\nkind: Gizmo\nmetadata: {name: x}\n"
    )
    assert unknown.returncode == 1
    assert 'no matches for kind "Gizmo" in version "v1"' in unknown.stderr
    selector = MANIFEST.split("---")[0].replace(
        "labels: {app: web}\n    spec", "labels: {app: other}\n    spec"
    )
    mismatch = kubectl.run("apply", "-f", "-", stdin=selector)
    assert mismatch.returncode == 1
    assert "`selector` does not match template `labels`" in mismatch.stderr


def test_impersonated_user_may_do_nothing_yet(kubectl: Kubectl) -> None:
    refused = kubectl.run("get", "pods", "--as", "bob", "--as-group", "dev")
    assert refused.returncode == 1
    assert refused.stderr == (
        'Error from server (Forbidden): pods is forbidden: User "bob" cannot list resource "pods" '
        f'in API group "" in the namespace "{kubectl.namespace}"\n'
    )
    assert (
        kubectl.run("get", "pods", "--as", "root", "--as-group", "system:masters").returncode == 0
    )


def test_scale(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST.split("---")[0])
    assert kubectl("scale", "deployment", "web", "--replicas=7") == "deployment.apps/web scaled\n"
    assert kubectl.json("get", "deployment", "web")["spec"]["replicas"] == 7  # type: ignore[index]
    scale = kubectl.json("get", "deployment", "web", "--subresource=scale")
    assert scale["kind"] == "Scale"
    assert scale["spec"] == {"replicas": 7}
    assert scale["status"]["selector"] == "app=web"  # type: ignore[index]
    stale = kubectl.run("scale", "deployment", "web", "--replicas=9", "--current-replicas=2")
    assert stale.returncode == 1
    assert "Expected replicas to be 2, was 7" in stale.stderr
