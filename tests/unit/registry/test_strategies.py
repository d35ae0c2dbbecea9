"""Strategies: preparation, generation, status, metadata, conversion."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.api.json_values import clone
from apiserver.api.scheme import SCHEME, Resource
from apiserver.registry import Strategy, strategy_for
from apiserver.registry.convert import from_storage, to_storage
from apiserver.registry.kinds import NOT_ENFORCED

Json = dict[str, Any]


def resource(api_version: str, kind: str) -> Resource:
    found = SCHEME.by_kind(api_version, kind)
    assert found is not None
    return found


def strategy(api_version: str, kind: str) -> Strategy:
    return strategy_for(resource(api_version, kind))


def texts(errors: list[Any]) -> list[str]:
    return [str(error) for error in errors]


DEPLOYMENT = strategy("apps/v1", "Deployment")
CONFIG_MAP = strategy("v1", "ConfigMap")


def deployment(**spec: Any) -> Json:
    return {
        "metadata": {"name": "a", "namespace": "n", "uid": "u", "generation": 4},
        "spec": {"replicas": 1, **spec},
        "status": {"readyReplicas": 1},
    }


def test_a_strategy_is_made_once() -> None:
    assert strategy("v1", "Pod") is strategy("v1", "Pod")


def test_create_resets_what_only_the_server_sets() -> None:
    obj = deployment()
    obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    DEPLOYMENT.prepare_for_create(obj)
    assert obj["status"] == {}
    assert obj["metadata"]["generation"] == 1
    assert "deletionTimestamp" not in obj["metadata"]


def test_kinds_without_a_generation_have_none() -> None:
    obj: Json = {"metadata": {"name": "a", "generation": 7}}
    CONFIG_MAP.prepare_for_create(obj)
    assert "generation" not in obj["metadata"]


def test_only_a_changed_spec_raises_the_generation() -> None:
    old = deployment()
    relabelled = deployment()
    relabelled["metadata"]["labels"] = {"a": "b"}
    DEPLOYMENT.prepare_for_update(relabelled, old)
    assert relabelled["metadata"]["generation"] == 4
    scaled = deployment(replicas=2)
    scaled["metadata"]["generation"] = 99
    DEPLOYMENT.prepare_for_update(scaled, old)
    assert scaled["metadata"]["generation"] == 5


def test_update_keeps_status_and_identity() -> None:
    new = deployment(replicas=2)
    new["status"] = {"readyReplicas": 9}
    del new["metadata"]["uid"]
    DEPLOYMENT.prepare_for_update(new, deployment())
    assert new["status"] == {"readyReplicas": 1}
    assert new["metadata"]["uid"] == "u"


def test_status_update_keeps_everything_else() -> None:
    old = deployment()
    old["metadata"]["finalizers"] = ["x/y"]
    new = deployment(replicas=7)
    new["status"] = {"readyReplicas": 2}
    new["metadata"]["labels"] = {"seen": "yes"}
    DEPLOYMENT.prepare_status_update(new, old)
    assert new["spec"] == old["spec"]
    assert new["status"] == {"readyReplicas": 2}
    assert new["metadata"]["finalizers"] == ["x/y"]
    assert new["metadata"]["labels"] == {"seen": "yes"}
    assert new["metadata"]["generation"] == 4
    assert DEPLOYMENT.validate_status_update(new, old) == []


@pytest.mark.parametrize(
    ("meta", "findings"),
    [
        ({}, ["metadata.name: Required value: name or generateName is required"]),
        ({"name": "a", "namespace": ""}, ["metadata.namespace: Required value"]),
        (
            {"name": "a", "finalizers": ["orphan", "foregroundDeletion"]},
            [
                'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: '
                "finalizer orphan and foregroundDeletion cannot be both set"
            ],
        ),
        (
            {"name": "a", "annotations": {"x": "y" * 262144}},
            ["metadata.annotations: Too long: may not be more than 262144 bytes"],
        ),
        (
            {"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]},
            ['metadata.ownerReferences.uid: Invalid value: "": uid must not be empty'],
        ),
    ],
)
def test_metadata_at_create(meta: Json, findings: list[str]) -> None:
    obj = {"metadata": {"namespace": "n", **meta}}
    assert texts(CONFIG_MAP.validate_create(obj)) == findings


def test_two_controllers_are_one_too_many() -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "uid": "u", "controller": True}
    obj = {
        "metadata": {
            "name": "a",
            "namespace": "n",
            "ownerReferences": [{**owner, "name": "p"}, {**owner, "name": "q"}],
        }
    }
    (finding,) = texts(CONFIG_MAP.validate_create(obj))
    assert "Only one reference can have Controller set to true" in finding
    assert finding.endswith("in references for p and q")


def test_cluster_scoped_kinds_take_no_namespace() -> None:
    obj = {"metadata": {"name": "a", "namespace": "n"}, "spec": {}}
    findings = texts(strategy("v1", "Node").validate_create(obj))
    assert findings == ["metadata.namespace: Forbidden: not allowed on this type"]


def test_identity_is_immutable() -> None:
    old: Json = {"metadata": {"name": "a", "namespace": "n", "uid": "u"}}
    new = clone(old)
    new["metadata"]["uid"] = "v"
    CONFIG_MAP.prepare_for_update(new, old)
    assert texts(CONFIG_MAP.validate_update(new, old)) == [
        'metadata.uid: Invalid value: "v": field is immutable'
    ]


def test_no_finalizer_joins_a_deletion() -> None:
    old: Json = {
        "metadata": {
            "name": "a",
            "namespace": "n",
            "deletionTimestamp": "2026-01-01T00:00:00Z",
            "finalizers": ["x/y"],
        }
    }
    new = clone(old)
    new["metadata"]["finalizers"] = ["x/y", "x/z"]
    assert texts(CONFIG_MAP.validate_update(new, old)) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being "
        'deleted, found new finalizers []string{"x/z"}'
    ]


def test_services_keep_their_addresses() -> None:
    services = strategy("v1", "Service")
    old: Json = {
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {
            "type": "NodePort",
            "clusterIP": "10.0.0.9",
            "clusterIPs": ["10.0.0.9"],
            "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}],
        },
    }
    new = clone(old)
    del new["spec"]["clusterIP"], new["spec"]["clusterIPs"], new["spec"]["ports"][0]["nodePort"]
    services.prepare_for_update(new, old)
    assert new["spec"]["clusterIPs"] == ["10.0.0.9"]
    assert new["spec"]["ports"] == old["spec"]["ports"]
    new["spec"]["clusterIP"], new["spec"]["clusterIPs"] = "10.0.0.7", ["10.0.0.7"]
    assert texts(services.validate_update(new, old)) == [
        'spec.clusterIPs[0]: Invalid value: "10.0.0.7": may not change once set'
    ]


def test_names_follow_the_kind() -> None:
    service = {"metadata": {"name": "1a", "namespace": "n"}, "spec": {"ports": [{"port": 1}]}}
    (finding,) = strategy("v1", "Service").validate_create(service)
    assert "a DNS-1035 label must consist of" in str(finding)
    role = {"metadata": {"name": "system:Node/x"}, "rules": []}
    (finding,) = strategy("rbac.authorization.k8s.io/v1", "ClusterRole").validate_create(role)
    assert str(finding).endswith("may not contain '/'")


def test_unconditional_updates_and_creates_by_put() -> None:
    lease = strategy("coordination.k8s.io/v1", "Lease")
    assert not lease.allow_unconditional_update
    assert lease.allow_create_on_update
    assert CONFIG_MAP.allow_unconditional_update
    assert not CONFIG_MAP.allow_create_on_update


def test_events_of_both_groups_are_one_store() -> None:
    events = resource("events.k8s.io/v1", "Event")
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "note": "hello",
        "regarding": {"kind": "Pod"},
        "reportingController": "c",
        "deprecatedCount": 2,
        "eventTime": "2026-01-01T00:00:00.000001Z",
    }
    stored = to_storage(events, event)
    assert stored == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "message": "hello",
        "involvedObject": {"kind": "Pod"},
        "reportingComponent": "c",
        "count": 2,
        "eventTime": "2026-01-01T00:00:00.000001Z",
    }
    assert from_storage(events, stored) == event
    assert resource("v1", "Event").storage_prefix == events.storage_prefix


def test_autoscalers_lose_nothing_between_versions() -> None:
    v1 = resource("autoscaling/v1", "HorizontalPodAutoscaler")
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    memory = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}
    current = {"name": "cpu", "current": {"averageUtilization": 0}}
    stored: Json = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "annotations": {"mine": "1"}},
        "spec": {
            "maxReplicas": 3,
            "metrics": [
                {"type": "Resource", "resource": cpu},
                {"type": "Resource", "resource": memory},
            ],
            "behavior": {"scaleDown": {"selectPolicy": "Max"}},
        },
        "status": {
            "currentReplicas": 1,
            "desiredReplicas": 1,
            "currentMetrics": [{"type": "Resource", "resource": current}],
            "conditions": [{"type": "AbleToScale", "status": "True"}],
        },
    }
    before = clone(stored)
    shown = from_storage(v1, stored)
    assert shown["apiVersion"] == "autoscaling/v1"
    assert shown["spec"] == {"maxReplicas": 3, "targetCPUUtilizationPercentage": 70}
    assert shown["status"] == {
        "currentReplicas": 1,
        "desiredReplicas": 1,
        "currentCPUUtilizationPercentage": 0,
    }
    assert stored == before
    assert to_storage(v1, shown) == before


def test_warnings_about_valid_objects() -> None:
    container = {
        "name": "c",
        "env": [{"name": "A"}, {"name": "A"}],
        "ports": [{"containerPort": 80}, {"containerPort": 81}, {"containerPort": 80}],
    }
    spec = {"containers": [container], "nodeSelector": {"beta.kubernetes.io/os": "linux"}}
    assert DEPLOYMENT.warnings({"spec": {"template": {"spec": spec}}}) == [
        "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; "
        'use "kubernetes.io/os" instead',
        'spec.template.spec.containers[0].env[1]: hides previous definition of "A", '
        "which may be dropped when using apply",
        "spec.template.spec.containers[0].ports[2]: duplicate port definition with "
        "spec.template.spec.containers[0].ports[0]",
    ]
    assert CONFIG_MAP.warnings({"metadata": {"name": "a"}}) == []


@pytest.mark.parametrize("res", list(SCHEME), ids=lambda res: f"{res.api_version}-{res.kind}")
def test_every_strategy_survives_an_empty_object(res: Resource) -> None:
    obj: Json = {"apiVersion": res.api_version, "kind": res.kind, "metadata": {}, "spec": {}}
    if res.kind == "Job":
        obj["spec"] = {"template": {}}
    found = strategy_for(res)
    found.prepare_for_create(obj)
    assert "metadata.name" in {error.field for error in found.validate_create(obj)}
    again = clone(obj)
    found.prepare_for_update(again, obj)
    assert found.validate_update(again, obj) is not None
    assert from_storage(res, to_storage(res, obj))["kind"] == res.kind


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "ResourceQuota"),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ],
)
def test_what_is_not_enforced_says_so(api_version: str, kind: str) -> None:
    (warning,) = strategy(api_version, kind).warnings({"metadata": {"name": "a"}})
    assert warning == f"{kind} is stored, but this server does not enforce it yet"


def test_every_kind_that_is_not_enforced_is_served() -> None:
    served = {(resource.group, resource.kind) for resource in SCHEME}
    assert served >= NOT_ENFORCED
    assert CONFIG_MAP.warnings({"metadata": {"name": "a"}, "data": {}}) == []
