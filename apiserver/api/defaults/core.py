"""Defaults of namespaces, secrets, rights, limits and priorities."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

Json = dict[str, Any]

RBAC_GROUP = "rbac.authorization.k8s.io"


def _namespace(obj: Json) -> None:
    name = obj["metadata"].get("name")
    if name:
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name
    obj.setdefault("spec", {})


def _secret(obj: Json) -> None:
    """Set the type; `stringData` is only a way to write `data`."""
    if plain := obj.pop("stringData", None):
        data = obj.setdefault("data", {})
        for key, value in plain.items():
            data[key] = b64encode(value.encode()).decode()
    obj.setdefault("type", "Opaque")


def _role_binding(obj: Json) -> None:
    role = obj.setdefault("roleRef", {})
    if not role.get("apiGroup"):
        role["apiGroup"] = RBAC_GROUP
    for subject in obj.get("subjects", ()):
        if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
            subject["apiGroup"] = RBAC_GROUP


def _limit_range(obj: Json) -> None:
    for item in obj.get("spec", {}).get("limits", ()):
        if item.get("type") != "Container":
            continue
        default = {**item.get("max", {}), **item.get("default", {})}
        request = {**item.get("min", {}), **default, **item.get("defaultRequest", {})}
        if default:
            item["default"] = default
        if request:
            item["defaultRequest"] = request


def _priority_class(obj: Json) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _resource_claim(obj: Json) -> None:
    _device_requests(obj.setdefault("spec", {}))


def _resource_claim_template(obj: Json) -> None:
    _device_requests(obj.setdefault("spec", {}).setdefault("spec", {}))


def _device_requests(spec: Json) -> None:
    for request in spec.get("devices", {}).get("requests", ()):
        listed = [request["exactly"]] if "exactly" in request else request.get("firstAvailable", ())
        for choice in listed:
            if choice.setdefault("allocationMode", "ExactCount") == "ExactCount":
                choice.setdefault("count", 1)


DEFAULTS = {
    ("", "LimitRange"): _limit_range,
    ("", "Namespace"): _namespace,
    ("", "Secret"): _secret,
    (RBAC_GROUP, "ClusterRoleBinding"): _role_binding,
    (RBAC_GROUP, "RoleBinding"): _role_binding,
    ("resource.k8s.io", "ResourceClaim"): _resource_claim,
    ("resource.k8s.io", "ResourceClaimTemplate"): _resource_claim_template,
    ("scheduling.k8s.io", "PriorityClass"): _priority_class,
}
