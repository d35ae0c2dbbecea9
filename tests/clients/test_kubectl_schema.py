"""What clients make of our schemas: kubectl's explain, validation and diff; the dynamic client."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from kubernetes import client, config, dynamic

from tests.support.cluster import RunningCluster

pytestmark = pytest.mark.serial

DEPLOYMENT = dedent("""\
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      replicas: 1
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: web, image: "nginx:1.27"}]}
    """)
MISSPELT = DEPLOYMENT.replace("  replicas: 1", "  foo: 1")


class Kubectl:
    """Runs kubectl in one namespace, with a cache of its own."""

    def __init__(self, kubeconfig: Path, namespace: str, cache: Path) -> None:
        self.base = ["kubectl", "--kubeconfig", str(kubeconfig), "--namespace", namespace]
        self.base += ["--cache-dir", str(cache)]

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


@pytest.fixture
def kubectl(
    cluster: RunningCluster, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Kubectl]:
    name = request.node.name.replace("_", "-").removeprefix("test-").lower()
    tool = Kubectl(cluster.kubeconfig, name, tmp_path / "cache")
    tool("create", "namespace", name)
    yield tool
    tool("delete", "namespace", name, "--wait=true")


def test_explain_shows_fields_and_types(kubectl: Kubectl) -> None:
    text = kubectl("explain", "pod")
    assert "KIND:       Pod\nVERSION:    v1\n" in text
    assert "  spec\t<PodSpec>\n" in text
    assert "FIELD: ports <[]ServicePort>" in kubectl("explain", "service.spec.ports")
    assert "  port\t<integer> -required-\n" in kubectl("explain", "service.spec.ports")
    limits = kubectl("explain", "pvc.spec.resources.limits")
    assert "FIELD: limits <map[string]Quantity>" in limits
    absent = kubectl.run("explain", "pod.spec.foo")
    assert absent.returncode == 1
    assert 'field "foo" does not exist' in absent.stderr


def test_explain_goes_down_to_the_leaves(kubectl: Kubectl) -> None:
    text = kubectl("explain", "deployment.spec.template.spec.containers", "--recursive")
    assert "FIELD: containers <[]Container>" in text
    assert (
        "      configMapKeyRef\t<ConfigMapKeySelector>\n        key\t<string> -required-\n" in text
    )
    assert "    containerPort\t<integer> -required-\n" in text


def test_explain_from_version_2(kubectl: Kubectl) -> None:
    text = kubectl("explain", "deployment.spec", "--output=plaintext-openapiv2")
    assert "KIND:     Deployment\nVERSION:  apps/v1\n" in text
    assert "   selector\t<Object> -required-\n" in text
    assert "   replicas\t<integer>\n" in text


def test_every_served_resource_can_be_explained(kubectl: Kubectl) -> None:
    for row in kubectl("api-resources", "--no-headers").splitlines():
        *_, group_version, _namespaced, kind = row.split()
        resource = row.split()[0]
        text = kubectl("explain", resource, "--api-version", group_version, "--recursive")
        assert f"KIND:       {kind}\n" in text, row
        assert "FIELDS:" in text, row


def test_unknown_kinds_are_named(kubectl: Kubectl) -> None:
    for api_version in ("v1", "example.com/v1"):
        manifest = f"apiVersion: {api_version}\nkind: Gizmo\nmetadata: {{name: x}}\n"
        done = kubectl.run("apply", "-f", "-", stdin=manifest)
        assert done.returncode == 1
        assert f'no matches for kind "Gizmo" in version "{api_version}"' in done.stderr
        assert "ensure CRDs are installed first" in done.stderr


def test_unknown_fields_are_refused_or_warned_of(kubectl: Kubectl) -> None:
    strict = kubectl.run("apply", "--validate=strict", "-f", "-", stdin=MISSPELT)
    assert strict.returncode == 1
    assert 'strict decoding error: unknown field "spec.foo"' in strict.stderr
    warned = kubectl.run("apply", "--validate=warn", "-f", "-", stdin=MISSPELT)
    assert warned.returncode == 0
    assert 'Warning: unknown field "spec.foo"' in warned.stderr
    ignored = kubectl.run("apply", "--validate=ignore", "-f", "-", stdin=MISSPELT)
    assert (ignored.returncode, ignored.stderr) == (0, "")


def test_server_dry_run_and_diff_change_nothing(kubectl: Kubectl) -> None:
    dry = kubectl("create", "--dry-run=server", "-f", "-", stdin=DEPLOYMENT)
    assert dry == "deployment.apps/web created (server dry run)\n"
    assert kubectl.run("get", "deployment", "web").returncode == 1
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    same = kubectl.run("diff", "-f", "-", stdin=DEPLOYMENT)
    assert (same.returncode, same.stdout) == (0, "")
    changed = DEPLOYMENT.replace("nginx:1.27", "nginx:1.28")
    other = kubectl.run("diff", "-f", "-", stdin=changed)
    assert other.returncode == 1, other.stderr
    assert "-      - image: nginx:1.27\n+      - image: nginx:1.28\n" in other.stdout
    image = kubectl("get", "deployment", "web", "-o", "jsonpath={..image}")
    assert image == "nginx:1.27"


def test_the_dynamic_client_of_python(kubectl: Kubectl, cluster: RunningCluster) -> None:
    settings = client.Configuration()
    config.load_kube_config(str(cluster.kubeconfig), client_configuration=settings)
    with client.ApiClient(settings) as connection:
        maps = dynamic.DynamicClient(connection).resources.get(api_version="v1", kind="ConfigMap")
        namespace = kubectl.base[kubectl.base.index("--namespace") + 1]
        body = {"metadata": {"name": "note"}, "data": {"a": "1"}}
        maps.create(body=body, namespace=namespace)
        maps.patch(
            name="note",
            namespace=namespace,
            body={"data": {"b": "2"}},
            content_type="application/merge-patch+json",
        )
        assert maps.get(name="note", namespace=namespace).data.to_dict() == {"a": "1", "b": "2"}
        maps.delete(name="note", namespace=namespace)
