"""Validation of rights, budgets, autoscalers and ingresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver.api import field_errors as fe
from apiserver.api.field_errors import FieldError
from apiserver.registry.validation.rules import Validate

Json = dict[str, Any]

RBAC_GROUP = "rbac.authorization.k8s.io"


def validate_rules(*, namespaced: bool) -> Validate:
    """The rules of a Role (namespaced) or ClusterRole."""

    def validate(obj: Json) -> list[FieldError]:
        return [
            error
            for index, rule in enumerate(obj.get("rules") or [])
            for error in _rule(rule, f"rules[{index}]", namespaced=namespaced)
        ]

    return validate


def _rule(rule: Json, path: str, *, namespaced: bool) -> Iterator[FieldError]:
    if not rule.get("verbs"):
        yield fe.required(f"{path}.verbs", "verbs must contain at least one value")
    if urls := rule.get("nonResourceURLs"):
        if namespaced:
            text = "namespaced rules cannot apply to non-resource URLs"
            yield fe.invalid(f"{path}.nonResourceURLs", urls, text)
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            text = "rules cannot apply to both regular resources and non-resource URLs"
            yield fe.invalid(f"{path}.nonResourceURLs", urls, text)
        return
    if not rule.get("apiGroups"):
        text = "resource rules must supply at least one api group"
        yield fe.required(f"{path}.apiGroups", text)
    if not rule.get("resources"):
        text = "resource rules must supply at least one resource"
        yield fe.required(f"{path}.resources", text)


def validate_binding(*kinds: str) -> Validate:
    """A RoleBinding or ClusterRoleBinding that may refer to roles of the given kinds."""

    def validate(obj: Json) -> list[FieldError]:
        role = obj.get("roleRef") or {}
        errors: list[FieldError] = []
        if role.get("apiGroup") != RBAC_GROUP:
            group = role.get("apiGroup", "")
            errors.append(fe.not_supported("roleRef.apiGroup", group, [RBAC_GROUP]))
        if role.get("kind") not in kinds:
            errors.append(fe.not_supported("roleRef.kind", role.get("kind", ""), kinds))
        if not role.get("name"):
            errors.append(fe.required("roleRef.name"))
        for index, subject in enumerate(obj.get("subjects") or []):
            errors.extend(_subject(subject, f"subjects[{index}]"))
        return errors

    return validate


def _subject(subject: Json, path: str) -> Iterator[FieldError]:
    if not subject.get("name"):
        yield fe.required(f"{path}.name")
    match subject.get("kind"):
        case "ServiceAccount":
            if not subject.get("namespace"):
                yield fe.required(f"{path}.namespace")
            if subject.get("apiGroup"):
                yield fe.not_supported(f"{path}.apiGroup", subject["apiGroup"], [""])
        case "User" | "Group":
            if subject.get("apiGroup") != RBAC_GROUP:
                yield fe.not_supported(f"{path}.apiGroup", subject.get("apiGroup"), [RBAC_GROUP])
        case kind:
            supported = ("Group", "ServiceAccount", "User")
            yield fe.not_supported(f"{path}.kind", kind or "", supported)


def validate_binding_update(new: Json, old: Json) -> list[FieldError]:
    """What a binding grants does not change."""
    if new.get("roleRef") != old.get("roleRef"):
        return [fe.invalid("roleRef", new.get("roleRef"), "cannot change roleRef")]
    return []


def validate_budget(obj: Json) -> list[FieldError]:
    """A budget says what must be there, or what may be missing; not both."""
    spec = obj.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        text = "minAvailable and maxUnavailable cannot be both set"
        return [fe.invalid("spec", spec, text)]
    return []


def validate_autoscaler(obj: Json) -> list[FieldError]:
    """Limits and target of an autoscaler."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if low < 1:
        errors.append(fe.invalid("spec.minReplicas", low, "must be greater than or equal to 1"))
    if high < 1:
        errors.append(fe.invalid("spec.maxReplicas", high, "must be greater than 0"))
    elif high < low:
        text = "must be greater than or equal to `minReplicas`"
        errors.append(fe.invalid("spec.maxReplicas", high, text))
    target = spec.get("scaleTargetRef") or {}
    errors.extend(
        fe.required(f"spec.scaleTargetRef.{field}")
        for field in ("kind", "name")
        if not target.get(field)
    )
    return errors


def validate_ingress(obj: Json) -> list[FieldError]:
    """Rules and paths of an Ingress."""
    spec = obj.get("spec") or {}
    rules = spec.get("rules") or []
    if not rules and "defaultBackend" not in spec:
        text = "either `defaultBackend` or `rules` must be specified"
        return [fe.invalid("spec", rules, text)]
    return [
        error
        for index, rule in enumerate(rules)
        for place, path in enumerate((rule.get("http") or {}).get("paths") or [])
        for error in _ingress_path(path, f"spec.rules[{index}].http.paths[{place}]")
    ]


def _ingress_path(path: Json, at: str) -> Iterator[FieldError]:
    path_type = path.get("pathType")
    supported = ("Exact", "ImplementationSpecific", "Prefix")
    if not path_type:
        yield fe.required(f"{at}.pathType", "pathType must be specified")
    elif path_type not in supported:
        yield fe.not_supported(f"{at}.pathType", path_type, supported)
    elif path_type != "ImplementationSpecific" and not path.get("path", "").startswith("/"):
        yield fe.invalid(f"{at}.path", path.get("path", ""), "must be an absolute path")
