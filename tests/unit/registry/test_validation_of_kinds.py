"""Validation: the findings about objects that break their kind's rules."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.api.decode import Target, decode
from apiserver.api.json_values import clone
from apiserver.api.scheme import SCHEME
from apiserver.registry import Strategy, strategy_for

Json = dict[str, Any]


def made(api_version: str, kind: str, obj: Json) -> tuple[Strategy, Json]:
    resource = SCHEME.by_kind(api_version, kind)
    assert resource is not None
    meta = {"name": "a", **({"namespace": "n"} if resource.namespaced else {})}
    body = {"metadata": meta, **clone(obj)}
    decoded = decode(Target.of(resource), body).obj
    strategy = strategy_for(resource)
    strategy.prepare_for_create(decoded)
    return strategy, decoded


def findings(api_version: str, kind: str, obj: Json) -> list[str]:
    strategy, decoded = made(api_version, kind, obj)
    return [str(error) for error in strategy.validate_create(decoded)]


def update_findings(api_version: str, kind: str, before: Json, after: Json) -> list[str]:
    strategy, old = made(api_version, kind, before)
    assert strategy.validate_create(old) == []
    _, new = made(api_version, kind, after)
    new["metadata"]["generation"] = old["metadata"].get("generation", 0)
    strategy.prepare_for_update(new, old)
    return [str(error) for error in strategy.validate_update(new, old)]


def pod(container: Json | None = None, **spec: Any) -> Json:
    return {"spec": {"containers": [{"name": "c", "image": "i", **(container or {})}], **spec}}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ({"spec": {}}, ["spec.containers: Required value"]),
        (pod({"image": ""}), ["spec.containers[0].image: Required value"]),
        (
            pod({"image": " i"}),
            [
                'spec.containers[0].image: Invalid value: " i": must not have leading or trailing '
                "whitespace"
            ],
        ),
        (pod({"name": ""}), ["spec.containers[0].name: Required value"]),
        (
            pod(initContainers=[{"name": "c", "image": "i"}]),
            ['spec.initContainers[0].name: Duplicate value: "c"'],
        ),
        (
            pod({"ports": [{"containerPort": 70000}, {}]}),
            [
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between "
                "1 and 65535, inclusive",
                "spec.containers[0].ports[1].containerPort: Required value",
            ],
        ),
        (
            pod({"ports": [{"containerPort": 1, "protocol": "FTP"}]}),
            [
                'spec.containers[0].ports[0].protocol: Unsupported value: "FTP": supported values: '
                '"SCTP", "TCP", "UDP"'
            ],
        ),
        (
            pod({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
            ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
        ),
        (
            pod(
                {
                    "volumeMounts": [
                        {"name": "v", "mountPath": "/v"},
                        {"name": "v", "mountPath": "/v"},
                        {"name": "v"},
                    ]
                },
                volumes=[{"name": "v"}],
            ),
            [
                'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique',
                "spec.containers[0].volumeMounts[2].mountPath: Required value",
            ],
        ),
        (
            pod(volumes=[{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}, {"name": "v"}]),
            [
                "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
                'spec.volumes[1].name: Duplicate value: "v"',
            ],
        ),
        (
            pod({"env": [{"name": ""}, {"name": "A", "value": "1", "valueFrom": {}}]}),
            [
                "spec.containers[0].env[0].name: Required value",
                'spec.containers[0].env[1].valueFrom: Invalid value: "": may not be specified when '
                "`value` is not empty",
            ],
        ),
        (
            pod({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}}),
            [
                'spec.containers[0].resources.requests: Invalid value: "2": must be less than or '
                "equal to cpu limit of 1500m"
            ],
        ),
        (
            pod({"resources": {"limits": {"memory": "-1"}}}),
            [
                'spec.containers[0].resources.limits[memory]: Invalid value: "-1": must be greater '
                "than or equal to 0",
                'spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be '
                "greater than or equal to 0",
            ],
        ),
        (
            pod({"livenessProbe": {"periodSeconds": -1}}),
            [
                "spec.containers[0].livenessProbe: Required value: must specify a handler type",
                "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be "
                "greater than or equal to 0",
            ],
        ),
        (
            pod(restartPolicy="Sometimes"),
            [
                'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", '
                '"Never", "OnFailure"'
            ],
        ),
        (
            pod(activeDeadlineSeconds=0),
            [
                "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, "
                "inclusive"
            ],
        ),
    ],
)
def test_pods(obj: Json, expected: list[str]) -> None:
    assert findings("v1", "Pod", obj) == expected


def test_pod_specs_hardly_change() -> None:
    changed = {"image": "j"}
    assert update_findings("v1", "Pod", pod(), pod(changed, activeDeadlineSeconds=5)) == []
    (finding,) = update_findings("v1", "Pod", pod(), pod({"args": ["x"]}))
    assert finding.startswith("spec: Forbidden: pod updates may not change fields other than ")
    more = pod()
    more["spec"]["containers"].append({"name": "d", "image": "i"})
    assert update_findings("v1", "Pod", pod(), more) == [
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]


def test_pods_may_gain_tolerations_and_lose_gates() -> None:
    gated = pod(schedulingGates=[{"name": "x/y"}])
    free = pod(tolerations=[{"key": "k", "operator": "Exists"}])
    assert update_findings("v1", "Pod", gated, free) == []
    (finding,) = update_findings("v1", "Pod", pod(), gated)
    assert finding.startswith("spec.schedulingGates[0].name: Forbidden: only deletion is allowed")


def workload(labels: Json | None = None, **spec: Any) -> Json:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    return {
        "spec": {"selector": {"matchLabels": labels or {"a": "b"}}, "template": template, **spec}
    }


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"])
def test_selectors_of_workloads(kind: str) -> None:
    assert findings("apps/v1", kind, workload()) == []
    assert findings("apps/v1", kind, workload({"x": "y"})) == [
        'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match '
        "template `labels`"
    ]
    assert findings("apps/v1", kind, workload(selector=None)) == ["spec.selector: Required value"]
    (finding,) = findings("apps/v1", kind, workload(selector={}))
    assert "empty selector is invalid for " in finding


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet"])
def test_selectors_never_change(kind: str) -> None:
    both = {"metadata": {"labels": {"a": "b", "c": "d"}}, "spec": pod()["spec"]}
    before, after = workload(template=both), workload({"c": "d"}, template=both)
    assert update_findings("apps/v1", kind, before, after) == [
        'spec.selector: Invalid value: {"matchLabels":{"c":"d"}}: field is immutable'
    ]


def test_deployments() -> None:
    negative = workload(replicas=-1)
    assert findings("apps/v1", "Deployment", negative) == [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    ]
    recreate = workload(strategy={"type": "Recreate", "rollingUpdate": {"maxSurge": 1}})
    assert findings("apps/v1", "Deployment", recreate) == [
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is "
        "'Recreate'"
    ]
    once = workload()
    once["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    assert findings("apps/v1", "Deployment", once) == [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'
    ]


def test_stateful_sets_change_only_in_part() -> None:
    assert update_findings("apps/v1", "StatefulSet", workload(), workload(replicas=5)) == []
    (finding,) = update_findings("apps/v1", "StatefulSet", workload(), workload(serviceName="s"))
    assert finding.startswith("spec: Forbidden: updates to statefulset spec for fields other than")


def job(**spec: Any) -> Json:
    return {"spec": {"template": {"spec": pod(restartPolicy="Never")["spec"]}, **spec}}


def test_jobs() -> None:
    assert findings("batch/v1", "Job", job()) == []
    assert findings("batch/v1", "Job", {"spec": {"template": pod()}}) == [
        'spec.template.spec.restartPolicy: Unsupported value: "Always": supported values: '
        '"Never", "OnFailure"'
    ]
    (finding,) = update_findings("batch/v1", "Job", job(), job(completions=3, parallelism=1))
    assert finding == "spec.completions: Invalid value: 3: field is immutable"
    assert findings("batch/v1", "CronJob", {"spec": {"jobTemplate": job()}}) == [
        "spec.schedule: Required value"
    ]


def test_config_maps() -> None:
    obj = {"data": {"a b": "x", "k": "y"}, "binaryData": {"k": "AA=="}}
    assert [text.split(": ")[0] for text in findings("v1", "ConfigMap", obj)] == [
        "data[a b]",
        "binaryData[k]",
    ]
    assert findings("v1", "ConfigMap", {"data": {"k": "x" * 1048576}}) == []
    assert findings("v1", "ConfigMap", {"data": {"k": "x" * 1048577}}) == [
        "[]: Too long: may not be more than 1048576 bytes"
    ]


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_immutable_data_stays(kind: str) -> None:
    before = {"immutable": True, "data": {"a": "eA=="}}
    text = "Forbidden: field is immutable when `immutable` is set"
    assert update_findings("v1", kind, before, {"data": {"a": "eQ=="}}) == [
        f"immutable: {text}",
        f"data: {text}",
    ]
    assert update_findings("v1", kind, before, before) == []


def test_secrets() -> None:
    assert findings("v1", "Secret", {"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}) == [
        "data[tls.key]: Required value"
    ]
    assert findings("v1", "Secret", {"type": "kubernetes.io/service-account-token"}) == [
        "metadata.annotations[kubernetes.io/service-account.name]: Required value"
    ]
    assert update_findings("v1", "Secret", {"type": "a/b"}, {"type": "c/d"}) == [
        'type: Invalid value: "c/d": field is immutable'
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ["spec.ports: Required value"]),
        ({"clusterIP": "None"}, []),
        ({"type": "ExternalName"}, ["spec.externalName: Required value"]),
        (
            {"ports": [{"port": 0}]},
            [
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, "
                "inclusive",
            ],
        ),
        (
            {"ports": [{"port": 1}, {"port": 2, "name": "b"}]},
            ["spec.ports[0].name: Required value"],
        ),
        (
            {"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]},
            ['spec.ports[1]: Duplicate value: {"protocol":"TCP","port":1}'],
        ),
        (
            {"type": "Magic", "ports": [{"port": 1}]},
            [
                'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", '
                '"ExternalName", "LoadBalancer", "NodePort"'
            ],
        ),
        (
            {"clusterIP": "1.2.3", "ports": [{"port": 1}]},
            [
                'spec.clusterIPs[0]: Invalid value: "1.2.3": must be a valid IP address, '
                "(e.g. 10.9.8.7 or 2001:db8::ffff)"
            ],
        ),
        (
            {"ports": [{"port": 1, "nodePort": 30000}]},
            [
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            ],
        ),
    ],
)
def test_services(spec: Json, expected: list[str]) -> None:
    assert findings("v1", "Service", {"spec": spec}) == expected


RBAC = "rbac.authorization.k8s.io/v1"


def test_rights() -> None:
    rules = [{"nonResourceURLs": ["/x"], "verbs": ["get"]}, {"resources": ["pods"]}]
    assert findings(RBAC, "Role", {"rules": rules}) == [
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to '
        "non-resource URLs",
        "rules[1].verbs: Required value: verbs must contain at least one value",
        "rules[1].apiGroups: Required value: resource rules must supply at least one api group",
    ]
    binding = {
        "roleRef": {"kind": "Role", "name": ""},
        "subjects": [{"kind": "ServiceAccount", "name": "s"}, {"kind": "Robot", "name": "r"}],
    }
    assert findings(RBAC, "ClusterRoleBinding", binding) == [
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
        "roleRef.name: Required value",
        "subjects[0].namespace: Required value",
        'subjects[1].kind: Unsupported value: "Robot": supported values: "Group", '
        '"ServiceAccount", "User"',
    ]
    before = {"roleRef": {"kind": "Role", "name": "a"}}
    (finding,) = update_findings(
        RBAC, "RoleBinding", before, {"roleRef": {"kind": "Role", "name": "b"}}
    )
    assert finding.endswith("cannot change roleRef")


@pytest.mark.parametrize(
    ("api_version", "kind", "obj", "expected"),
    [
        (
            "coordination.k8s.io/v1",
            "Lease",
            {"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}},
            [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            "policy/v1",
            "PodDisruptionBudget",
            {"spec": {"minAvailable": 1, "maxUnavailable": 1}},
            [
                'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and '
                "maxUnavailable cannot be both set"
            ],
        ),
        (
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            {"spec": {"minReplicas": 3, "maxReplicas": 2, "scaleTargetRef": {"kind": "D"}}},
            [
                "spec.maxReplicas: Invalid value: 2: must be greater than or equal to "
                "`minReplicas`",
                "spec.scaleTargetRef.name: Required value",
            ],
        ),
        (
            "networking.k8s.io/v1",
            "Ingress",
            {"spec": {"rules": [{"http": {"paths": [{"path": "x", "pathType": "Prefix"}]}}]}},
            [
                'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path',
            ],
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            {"spec": {}},
            [
                "spec.accessModes: Required value: at least 1 access mode is required",
                "spec.resources[storage]: Required value",
            ],
        ),
        (
            "v1",
            "Event",
            {"involvedObject": {"namespace": "other"}},
            [
                'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
            ],
        ),
        (
            "discovery.k8s.io/v1",
            "EndpointSlice",
            {"addressType": "MAC"},
            [
                'addressType: Unsupported value: "MAC": supported values: "FQDN", "IPv4", "IPv6"',
            ],
        ),
    ],
)
def test_other_kinds(api_version: str, kind: str, obj: Json, expected: list[str]) -> None:
    assert findings(api_version, kind, obj) == expected


def claim(**spec: Any) -> Json:
    size = {"requests": {"storage": "1Gi"}}
    return {"spec": {"accessModes": ["ReadWriteOnce"], "resources": size, **spec}}


def test_claims_are_bound_once() -> None:
    kind = "PersistentVolumeClaim"
    assert update_findings("v1", kind, claim(), claim(volumeName="pv")) == []
    grown = claim(volumeName="pv", resources={"requests": {"storage": "2Gi"}})
    assert update_findings("v1", kind, claim(volumeName="pv"), grown) == []
    (finding,) = update_findings("v1", kind, claim(volumeName="pv"), claim(volumeName="other"))
    assert finding.startswith("spec: Forbidden: spec is immutable after creation")


def test_fixed_fields_of_classes() -> None:
    before, after = {"provisioner": "a"}, {"provisioner": "a", "reclaimPolicy": "Retain"}
    assert update_findings("storage.k8s.io/v1", "StorageClass", before, after) == [
        'reclaimPolicy: Invalid value: "Retain": field is immutable'
    ]
    assert update_findings("scheduling.k8s.io/v1", "PriorityClass", {"value": 1}, {"value": 2}) == [
        "value: Forbidden: may not be changed in an update."
    ]
