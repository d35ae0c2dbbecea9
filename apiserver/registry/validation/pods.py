"""Validation of pods and pod templates.

Source: Kubernetes API reference (Pod); apimachinery and kube-apiserver for paths and texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver.api import field_errors as fe
from apiserver.api import names, quantity
from apiserver.api.field_errors import FieldError
from apiserver.api.json_values import clone
from apiserver.registry.objectmeta import validate_labels
from apiserver.registry.validation.rules import NON_NEGATIVE, check_one_of, check_port

Json = dict[str, Any]

RESTART_POLICIES = ("Always", "Never", "OnFailure")
DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
STANDARD_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage", "storage"})
DEADLINE_MAX = 2**31 - 1
HANDLERS = ("exec", "grpc", "httpGet", "tcpSocket")

UPDATE_FORBIDDEN = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def validate_pod(obj: Json) -> list[FieldError]:
    """Findings about a Pod's spec."""
    return validate_pod_spec(obj.get("spec") or {}, "spec")


def validate_template(template: Json, path: str) -> list[FieldError]:
    """Findings about a pod template at `path`."""
    errors = list(
        validate_labels(template.get("metadata", {}).get("labels") or {}, f"{path}.metadata.labels")
    )
    return errors + validate_pod_spec(template.get("spec") or {}, f"{path}.spec")


def validate_pod_spec(spec: Json, path: str) -> list[FieldError]:
    """Findings about a PodSpec at `path`."""
    errors: list[FieldError] = []
    volumes: set[str] = set()
    errors.extend(_volumes(spec.get("volumes") or [], f"{path}.volumes", volumes))
    if not spec.get("containers"):
        errors.append(fe.required(f"{path}.containers"))
    seen: set[str] = set()
    for member in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(member) or []):
            errors.extend(_container(container, f"{path}.{member}[{index}]", seen, volumes))
    errors.extend(
        check_one_of(spec.get("restartPolicy"), f"{path}.restartPolicy", RESTART_POLICIES)
    )
    errors.extend(check_one_of(spec.get("dnsPolicy"), f"{path}.dnsPolicy", DNS_POLICIES))
    errors.extend(_numbers(spec, path))
    if selector := spec.get("nodeSelector"):
        errors.extend(validate_labels(selector, f"{path}.nodeSelector"))
    for field, check in (
        ("serviceAccountName", names.subdomain_errors),
        ("nodeName", names.subdomain_errors),
        ("hostname", names.label_errors),
        ("subdomain", names.label_errors),
    ):
        if value := spec.get(field):
            errors.extend(fe.invalid(f"{path}.{field}", value, text) for text in check(value))
    return errors


def _numbers(spec: Json, path: str) -> Iterator[FieldError]:
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        yield fe.invalid(f"{path}.terminationGracePeriodSeconds", grace, NON_NEGATIVE)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= DEADLINE_MAX:
        text = f"must be between 1 and {DEADLINE_MAX}, inclusive"
        yield fe.invalid(f"{path}.activeDeadlineSeconds", deadline, text)


def _volumes(volumes: list[Json], path: str, seen: set[str]) -> Iterator[FieldError]:
    for index, volume in enumerate(volumes):
        at = f"{path}[{index}]"
        yield from _unique_label(volume.get("name"), f"{at}.name", seen)
        sources = sorted(volume.keys() - {"name"})
        for source in sources[1:]:
            yield fe.forbidden(f"{at}.{source}", "may not specify more than 1 volume type")
        if not sources:
            yield fe.required(at, "must specify a volume type")


def _unique_label(name: str | None, path: str, seen: set[str]) -> Iterator[FieldError]:
    if not name:
        yield fe.required(path)
        return
    for text in names.label_errors(name):
        yield fe.invalid(path, name, text)
    if name in seen:
        yield fe.duplicate(path, name)
    seen.add(name)


def _container(container: Json, path: str, seen: set[str], volumes: set[str]) -> list[FieldError]:
    errors = list(_unique_label(container.get("name"), f"{path}.name", seen))
    image = container.get("image", "")
    if not image:
        errors.append(fe.required(f"{path}.image"))
    elif image != image.strip():
        text = "must not have leading or trailing whitespace"
        errors.append(fe.invalid(f"{path}.image", image, text))
    for field, supported in (
        ("imagePullPolicy", PULL_POLICIES),
        ("terminationMessagePolicy", MESSAGE_POLICIES),
    ):
        errors.extend(check_one_of(container.get(field), f"{path}.{field}", supported))
    if ports := container.get("ports"):
        errors.extend(_ports(ports, f"{path}.ports"))
    if variables := container.get("env"):
        errors.extend(_environment(variables, f"{path}.env"))
    if mounts := container.get("volumeMounts"):
        errors.extend(_mounts(mounts, f"{path}.volumeMounts", volumes))
    if resources := container.get("resources"):
        errors.extend(_resources(resources, f"{path}.resources"))
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := container.get(field)) is not None:
            errors.extend(_probe(probe, f"{path}.{field}"))
    return errors


def _ports(ports: list[Json], path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at = f"{path}[{index}]"
        if name := port.get("name"):
            for text in names.port_name_errors(name):
                yield fe.invalid(f"{at}.name", name, text)
            if name in seen:
                yield fe.duplicate(f"{at}.name", name)
            seen.add(name)
        number = port.get("containerPort", 0)
        if number == 0:
            yield fe.required(f"{at}.containerPort")
        else:
            yield from check_port(number, f"{at}.containerPort")
        if host_port := port.get("hostPort"):
            yield from check_port(host_port, f"{at}.hostPort")
        yield from check_one_of(port.get("protocol"), f"{at}.protocol", PROTOCOLS)


def _environment(variables: list[Json], path: str) -> Iterator[FieldError]:
    for index, variable in enumerate(variables):
        at = f"{path}[{index}]"
        name = variable.get("name", "")
        if not name:
            yield fe.required(f"{at}.name")
        else:
            for text in names.env_name_errors(name):
                yield fe.invalid(f"{at}.name", name, text)
        if (source := variable.get("valueFrom")) is not None:
            if variable.get("value"):
                text = "may not be specified when `value` is not empty"
                yield fe.invalid(f"{at}.valueFrom", "", text)
            elif len(source) > 1:
                text = "may not have more than one field specified at a time"
                yield fe.invalid(f"{at}.valueFrom", "", text)


def _mounts(mounts: list[Json], path: str, volumes: set[str]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        at = f"{path}[{index}]"
        if not (name := mount.get("name")):
            yield fe.required(f"{at}.name")
        elif name not in volumes:
            yield fe.not_found(f"{at}.name", name)
        if not (where := mount.get("mountPath")):
            yield fe.required(f"{at}.mountPath")
        elif where in seen:
            yield fe.invalid(f"{at}.mountPath", where, "must be unique")
        seen.add(where or "")


def _resources(resources: Json, path: str) -> Iterator[FieldError]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for member, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if name not in STANDARD_RESOURCES:
                yield from _resource_name(name, f"{path}.{member}[{name}]")
            if quantity.nano_units(amount) < 0:
                yield fe.invalid(f"{path}.{member}[{name}]", amount, NON_NEGATIVE)
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit not in (None, amount) and quantity.nano_units(amount) > quantity.nano_units(limit):
            text = f"must be less than or equal to {name} limit of {limit}"
            yield fe.invalid(f"{path}.requests", amount, text)


def _resource_name(name: str, path: str) -> Iterator[FieldError]:
    for text in names.qualified_name_errors(name):
        yield fe.invalid(path, name, text)
    if "/" not in name and not name.startswith("hugepages-"):
        yield fe.invalid(path, name, "must be a standard resource for containers")


def _probe(probe: Json, path: str) -> Iterator[FieldError]:
    if not any(handler in probe for handler in HANDLERS):
        yield fe.required(path, "must specify a handler type")
    for field in (
        "initialDelaySeconds", "timeoutSeconds", "periodSeconds",
        "successThreshold", "failureThreshold",
    ):  # fmt: skip
        if probe.get(field, 0) < 0:
            yield fe.invalid(f"{path}.{field}", probe[field], NON_NEGATIVE)


def validate_pod_update(new: Json, old: Json) -> list[FieldError]:
    """Findings about a change of a Pod: almost all of its spec stays as it is."""
    if new.get("spec") == old.get("spec"):
        return []
    before, after = clone(old.get("spec") or {}), clone(new.get("spec") or {})
    errors: list[FieldError] = []
    if len(before.get("containers") or []) != len(after.get("containers") or []):
        return [fe.forbidden("spec.containers", "pod updates may not add or remove containers")]
    for spec in (before, after):
        for member in ("containers", "initContainers"):
            for container in spec.get(member) or []:
                container.pop("image", None)
        for field in ("activeDeadlineSeconds", "schedulingGates"):
            spec.pop(field, None)
    errors.extend(_gates_only_go(new.get("spec") or {}, old.get("spec") or {}))
    tolerations = after.pop("tolerations", [])
    if any(toleration not in tolerations for toleration in before.pop("tolerations", [])):
        text = "existing toleration can not be modified except its tolerationSeconds"
        errors.append(fe.forbidden("spec.tolerations", text))
    if after.get("terminationGracePeriodSeconds") == 1:
        grace = before.get("terminationGracePeriodSeconds", 0)
        before["terminationGracePeriodSeconds"] = 1 if grace < 0 else grace
    if before != after:
        errors.append(fe.forbidden("spec", UPDATE_FORBIDDEN))
    return errors


def _gates_only_go(new: Json, old: Json) -> Iterator[FieldError]:
    before = {gate.get("name") for gate in old.get("schedulingGates") or []}
    for index, gate in enumerate(new.get("schedulingGates") or []):
        if gate.get("name") not in before:
            text = "only deletion is allowed, but found new scheduling gate "
            yield fe.forbidden(f"spec.schedulingGates[{index}].name", f"{text}'{gate.get('name')}'")
