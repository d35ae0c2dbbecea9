"""Defaults: what clients see of manifests as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.api.decode import Target, decode_body
from apiserver.api.defaults import DEFAULTS, apply_defaults
from apiserver.api.defaults.pods import pull_policy
from apiserver.api.json_values import clone
from apiserver.api.scheme import SCHEME
from apiserver.registry import strategy_for

MANIFESTS = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  labels: {app: web}
spec:
  replicas: 3
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
        resources:
          requests: {cpu: 250m, memory: 64Mi}
          limits: {cpu: "0.5", memory: 128Mi}
        readinessProbe:
          httpGet: {port: 80}
        volumeMounts:
        - {name: site, mountPath: /usr/share/nginx/html}
      volumes:
      - name: site
        configMap: {name: site}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports:
  - port: 80
---
apiVersion: v1
kind: Pod
metadata: {name: everything, namespace: shop}
spec:
  serviceAccountName: builder
  initContainers:
  - name: fetch
    image: alpine
  containers:
  - name: main
    image: registry.example:5000/team/app@sha256:0123456789abcdef
    env:
    - name: IP
      valueFrom: {fieldRef: {fieldPath: status.podIP}}
    livenessProbe:
      grpc: {port: 9000}
    lifecycle:
      preStop: {httpGet: {port: 80}}
    resources:
      limits: {cpu: 1, memory: 1Gi}
  volumes:
  - name: scratch
  - name: secrets
    secret: {secretName: s, defaultMode: 256}
  - name: token
    projected:
      sources:
      - serviceAccountToken: {path: token}
  - name: host
    hostPath: {path: /var/log}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: shop}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: job, image: busybox:1}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: quiet, namespace: shop}
spec:
  podSelector: {}
  egress:
  - ports: [{port: 53}]
"""


def decode(manifest: str) -> dict[str, Any]:
    fields = dict(line.split(": ", 1) for line in manifest.splitlines()[:2])
    resource = SCHEME.by_kind(fields["apiVersion"], fields["kind"])
    assert resource is not None
    decoded = decode_body(Target.of(resource), manifest.encode(), media_type="application/yaml")
    assert decoded.warnings == ()
    obj = decoded.obj
    obj["metadata"]["uid"] = "u-1"
    strategy = strategy_for(resource)
    strategy.prepare_for_create(obj)
    assert strategy.validate_create(obj) == []
    return obj


OBJECTS = {text.splitlines()[1].removeprefix("kind: "): text for text in MANIFESTS.split("---\n")}


def test_deployment() -> None:
    obj = decode(OBJECTS["Deployment"])
    assert obj["metadata"]["generation"] == 1
    assert obj["status"] == {}
    spec = obj["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    pod = spec["template"]["spec"]
    assert pod == {
        "containers": pod["containers"],
        "volumes": [{"name": "site", "configMap": {"name": "site", "defaultMode": 420}}],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }
    assert pod["containers"] == [
        {
            "name": "web",
            "image": "nginx:1.27",
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "resources": {
                "requests": {"cpu": "250m", "memory": "64Mi"},
                "limits": {"cpu": "500m", "memory": "128Mi"},
            },
            "readinessProbe": {
                "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                "timeoutSeconds": 1,
                "periodSeconds": 10,
                "successThreshold": 1,
                "failureThreshold": 3,
            },
            "volumeMounts": [{"name": "site", "mountPath": "/usr/share/nginx/html"}],
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
        }
    ]


def test_service() -> None:
    obj = decode(OBJECTS["Service"])
    assert obj["spec"] == {
        "selector": {"app": "web"},
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    assert obj["status"] == {"loadBalancer": {}}


def test_pod_with_everything() -> None:
    obj = decode(OBJECTS["Pod"])
    spec = obj["spec"]
    assert obj["status"] == {"phase": "Pending", "qosClass": "Burstable"}
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("builder", "builder")
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert spec["enableServiceLinks"] is True
    assert [toleration["key"] for toleration in spec["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    assert spec["initContainers"][0]["imagePullPolicy"] == "Always"
    main = spec["containers"][0]
    assert main["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert main["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert main["livenessProbe"]["grpc"] == {"port": 9000, "service": ""}
    assert main["lifecycle"]["preStop"]["httpGet"]["scheme"] == "HTTP"
    volumes = {volume.pop("name"): volume for volume in spec["volumes"]}
    assert volumes == {
        "scratch": {"emptyDir": {}},
        "secrets": {"secret": {"secretName": "s", "defaultMode": 256}},
        "token": {
            "projected": {
                "sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}],
                "defaultMode": 420,
            }
        },
        "host": {"hostPath": {"path": "/var/log", "type": ""}},
    }


def test_job_selects_its_own_pods() -> None:
    obj = decode(OBJECTS["Job"])
    spec = obj["spec"]
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}
    assert spec["template"]["metadata"]["labels"] == {
        "batch.kubernetes.io/controller-uid": "u-1",
        "controller-uid": "u-1",
        "batch.kubernetes.io/job-name": "once",
        "job-name": "once",
    }
    assert (spec["parallelism"], spec["completions"], spec["backoffLimit"]) == (1, 1, 6)
    assert (spec["completionMode"], spec["podReplacementPolicy"]) == (
        "NonIndexed",
        "TerminatingOrFailed",
    )


def test_network_policy() -> None:
    spec = decode(OBJECTS["NetworkPolicy"])["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["egress"] == [{"ports": [{"port": 53, "protocol": "TCP"}]}]
    assert spec["podSelector"] == {}


def test_namespace() -> None:
    obj = decode("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    assert obj["spec"] == {"finalizers": ["kubernetes"]}
    assert obj["status"] == {"phase": "Active"}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("localhost:5000/nginx", "Always"),
        ("localhost:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:00", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def _empty(group: str, kind: str) -> dict[str, Any]:
    version = next(r.api_version for r in SCHEME if (r.group, r.kind) == (group, kind))
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}


@pytest.mark.parametrize("kind", sorted(DEFAULTS))
def test_defaults_are_idempotent_even_on_an_empty_object(kind: tuple[str, str]) -> None:
    obj = _empty(*kind)
    apply_defaults(*kind, obj)
    once = clone(obj)
    apply_defaults(*kind, obj)
    assert obj == once


def test_limit_ranges_spread_limits_into_requests() -> None:
    item = {"type": "Container", "max": {"cpu": "2", "memory": "1Gi"}, "min": {"memory": "1Mi"}}
    obj = {**_empty("", "LimitRange"), "spec": {"limits": [item]}}
    apply_defaults("", "LimitRange", obj)
    assert item["default"] == {"cpu": "2", "memory": "1Gi"}
    assert item["defaultRequest"] == {"cpu": "2", "memory": "1Gi"}
