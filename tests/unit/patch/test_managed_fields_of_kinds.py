"""What a plain create owns, field by field, as clusters of the original show it."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.api import decode
from apiserver.api.scheme import SCHEME
from apiserver.patch.managed_fields import Author, Scope, manager_of, track

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "nginx", "labels": {"app": "nginx"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "nginx"}},
        "strategy": {},
        "template": {
            "metadata": {"creationTimestamp": None, "labels": {"app": "nginx"}},
            "spec": {"containers": [{"name": "nginx", "image": "nginx", "resources": {}}]},
        },
    },
    "status": {},
}

_LABELS: dict[str, Any] = {"f:labels": {".": {}, "f:app": {}}}

OWNED_DEPLOYMENT = {
    "f:metadata": _LABELS,
    "f:spec": {
        "f:progressDeadlineSeconds": {},
        "f:replicas": {},
        "f:revisionHistoryLimit": {},
        "f:selector": {},
        "f:strategy": {
            "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
            "f:type": {},
        },
        "f:template": {
            "f:metadata": _LABELS,
            "f:spec": {
                "f:containers": {
                    'k:{"name":"nginx"}': {
                        ".": {},
                        "f:image": {},
                        "f:imagePullPolicy": {},
                        "f:name": {},
                        "f:resources": {},
                        "f:terminationMessagePath": {},
                        "f:terminationMessagePolicy": {},
                    }
                },
                "f:dnsPolicy": {},
                "f:restartPolicy": {},
                "f:schedulerName": {},
                "f:securityContext": {},
                "f:terminationGracePeriodSeconds": {},
            },
        },
    },
}

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "nginx", "labels": {"app": "nginx"}},
    "spec": {"selector": {"app": "nginx"}, "ports": [{"port": 80, "targetPort": 80}]},
}

OWNED_SERVICE = {
    "f:metadata": _LABELS,
    "f:spec": {
        "f:internalTrafficPolicy": {},
        "f:ports": {
            ".": {},
            'k:{"port":80,"protocol":"TCP"}': {
                ".": {},
                "f:port": {},
                "f:protocol": {},
                "f:targetPort": {},
            },
        },
        "f:selector": {},
        "f:sessionAffinity": {},
        "f:type": {},
    },
}


@pytest.mark.parametrize(
    ("document", "owned"), [(DEPLOYMENT, OWNED_DEPLOYMENT), (SERVICE, OWNED_SERVICE)]
)
def test_what_a_create_owns(document: dict[str, Any], owned: dict[str, Any]) -> None:
    resource = SCHEME.by_kind(document["apiVersion"], document["kind"])
    assert resource is not None
    obj = decode.decode(decode.Target.of(resource), document).obj
    scope = Scope(resource.type_name, resource.api_version, ignored={"f:status": {}})
    track(scope, obj, None, Author("kubectl-create", "2026-01-01T00:00:00Z"))
    (entry,) = obj["metadata"]["managedFields"]
    assert entry["fieldsV1"] == owned
    assert _in_order(entry["fieldsV1"])


def _in_order(fields: dict[str, Any]) -> bool:
    return list(fields) == sorted(fields) and all(map(_in_order, fields.values()))


@pytest.mark.parametrize(
    ("field_manager", "user_agent", "manager"),
    [
        ("mine", "kubectl/v1", "mine"),
        ("", "kubectl/v1.36 (linux/amd64)", "kubectl"),
        ("", "", ""),
        ("", "a\x00b/1", "ab"),
        ("", "x" * 200, "x" * 128),
    ],
)
def test_the_manager_is_named_or_is_the_program(
    field_manager: str, user_agent: str, manager: str
) -> None:
    assert manager_of(field_manager, user_agent) == manager
