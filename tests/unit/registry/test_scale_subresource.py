"""The scale subresource: reading and changing the number of replicas."""

from __future__ import annotations

from typing import Any

from apiserver.registry.scale import to_scale, validate_scale, with_scale

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "n", "uid": "u", "labels": {"a": "b"}},
    "spec": {
        "replicas": 3,
        "paused": True,
        "selector": {
            "matchLabels": {"a": "b"},
            "matchExpressions": [{"key": "c", "operator": "Exists"}],
        },
    },
    "status": {"replicas": 2},
}


def test_a_deployment_as_a_scale() -> None:
    assert to_scale(DEPLOYMENT) == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {"name": "web", "namespace": "n", "uid": "u"},
        "spec": {"replicas": 3},
        "status": {"replicas": 2, "selector": "a=b,c"},
    }


def test_a_replication_controller_selects_by_a_map() -> None:
    controller = {
        "kind": "ReplicationController",
        "metadata": {"name": "a"},
        "spec": {"replicas": 0, "selector": {"b": "2", "a": "1"}},
    }
    scale = to_scale(controller)
    assert scale["spec"] == {}
    assert scale["status"] == {"replicas": 0, "selector": "a=1,b=2"}


def test_scaling_changes_nothing_but_the_replicas() -> None:
    scaled = with_scale(DEPLOYMENT, {"spec": {"replicas": 5}})
    assert scaled["spec"] == {**DEPLOYMENT["spec"], "replicas": 5}
    assert {k: v for k, v in scaled.items() if k != "spec"} == {
        k: v for k, v in DEPLOYMENT.items() if k != "spec"
    }
    assert DEPLOYMENT["spec"]["replicas"] == 3
    assert with_scale(DEPLOYMENT, {})["spec"]["replicas"] == 0


def test_replicas_are_not_negative() -> None:
    assert validate_scale({"spec": {"replicas": 0}}) == []
    (finding,) = validate_scale({"spec": {"replicas": -1}})
    assert str(finding) == ("spec.replicas: Invalid value: -1: must be greater than or equal to 0")
