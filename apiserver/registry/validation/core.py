"""Validation of configuration, services, storage claims and events."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from apiserver.api import field_errors as fe
from apiserver.api import names
from apiserver.api.field_errors import FieldError
from apiserver.registry.objectmeta import validate_labels
from apiserver.registry.validation.pods import PROTOCOLS
from apiserver.registry.validation.rules import IMMUTABLE, check_one_of, check_port

Json = dict[str, Any]

DATA_BYTES_MAX = 1024 * 1024
IMMUTABLE_SET = "field is immutable when `immutable` is set"
BAD_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
CLAIM_IMMUTABLE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims"
)

SECRET_KEYS: dict[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
"""Keys that the data of a Secret of a known type must have."""

ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"


def _data_size(data: dict[str, str], *, base64: bool) -> int:
    if base64:
        return sum(len(value) // 4 * 3 - value[-2:].count("=") for value in data.values())
    return sum(len(value) if value.isascii() else len(value.encode()) for value in data.values())


def validate_config_map(obj: Json) -> list[FieldError]:
    """Keys and total size of a ConfigMap."""
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    errors = [
        fe.invalid(f"{member}[{key}]", key, text)
        for member, entries in (("data", data), ("binaryData", binary))
        for key in entries
        for text in names.config_key_errors(key)
    ]
    errors.extend(
        fe.invalid(f"binaryData[{key}]", key, "duplicate of key present in data")
        for key in sorted(data.keys() & binary.keys())
    )
    if _data_size(data, base64=False) + _data_size(binary, base64=True) > DATA_BYTES_MAX:
        errors.append(fe.too_long("[]", DATA_BYTES_MAX))
    return errors


def validate_secret(obj: Json) -> list[FieldError]:
    """Keys, total size, and what the type of a Secret demands."""
    data = obj.get("data") or {}
    errors = [
        fe.invalid(f"data[{key}]", key, text)
        for key in data
        for text in names.config_key_errors(key)
    ]
    if _data_size(data, base64=True) > DATA_BYTES_MAX:
        errors.append(fe.too_long("data", DATA_BYTES_MAX))
    secret_type = obj.get("type", "")
    errors.extend(
        fe.required(f"data[{key}]") for key in SECRET_KEYS.get(secret_type, ()) if key not in data
    )
    if secret_type == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        errors.extend(fe.required(f"data[{key}]") for key in ("username", "password"))
    annotations = obj["metadata"].get("annotations") or {}
    if secret_type == ACCOUNT_TOKEN and not annotations.get(ACCOUNT_NAME):
        errors.append(fe.required(f"metadata.annotations[{ACCOUNT_NAME}]"))
    return errors


def validate_immutable_data(new: Json, old: Json) -> list[FieldError]:
    """A ConfigMap or Secret that is marked immutable stays so, with its data."""
    if not old.get("immutable"):
        return []
    errors = []
    if not new.get("immutable"):
        errors.append(fe.forbidden("immutable", IMMUTABLE_SET))
    errors.extend(
        fe.forbidden(member, IMMUTABLE_SET)
        for member in ("data", "binaryData")
        if (new.get(member) or {}) != (old.get(member) or {})
    )
    return errors


def validate_service(obj: Json) -> list[FieldError]:
    """Type, ports and addresses of a Service."""
    spec = obj.get("spec") or {}
    service_type = spec.get("type")
    headless = spec.get("clusterIP") == "None"
    errors = check_one_of(service_type, "spec.type", SERVICE_TYPES)
    errors.extend(
        check_one_of(spec.get("sessionAffinity"), "spec.sessionAffinity", ("ClientIP", "None"))
    )
    ports = spec.get("ports") or []
    if not ports and not headless and service_type != "ExternalName":
        errors.append(fe.required("spec.ports"))
    if service_type == "ExternalName" and not spec.get("externalName"):
        errors.append(fe.required("spec.externalName"))
    errors.extend(validate_labels(spec.get("selector") or {}, "spec.selector"))
    errors.extend(_service_ports(ports, service_type))
    for index, address in enumerate(spec.get("clusterIPs") or []):
        if address not in ("None", "") and not _is_address(address):
            errors.append(fe.invalid(f"spec.clusterIPs[{index}]", address, BAD_ADDRESS))
    return errors


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _service_ports(ports: list[Json], service_type: str | None) -> Iterator[FieldError]:
    seen_names: set[str] = set()
    seen_ports: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        at = f"spec.ports[{index}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            yield fe.required(f"{at}.name")
        elif name:
            for text in names.label_errors(name):
                yield fe.invalid(f"{at}.name", name, text)
            if name in seen_names:
                yield fe.duplicate(f"{at}.name", name)
            seen_names.add(name)
        yield from check_port(port.get("port", 0), f"{at}.port")
        yield from check_one_of(port.get("protocol"), f"{at}.protocol", PROTOCOLS)
        target = port.get("targetPort")
        if isinstance(target, int):
            yield from check_port(target, f"{at}.targetPort")
        elif target:
            for text in names.port_name_errors(target):
                yield fe.invalid(f"{at}.targetPort", target, text)
        if port.get("nodePort") and service_type == "ClusterIP":
            text = "may not be used when `type` is 'ClusterIP'"
            yield fe.forbidden(f"{at}.nodePort", text)
        identity = (port.get("port"), port.get("protocol"))
        if identity in seen_ports:
            yield fe.duplicate(at, {"protocol": identity[1], "port": identity[0]})
        seen_ports.add(identity)


def validate_service_update(new: Json, old: Json) -> list[FieldError]:
    """The cluster address of a Service stays, unless it becomes or was an ExternalName."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if "ExternalName" in (before.get("type"), after.get("type")):
        return []
    if before.get("clusterIP") and after.get("clusterIP") != before["clusterIP"]:
        listed = after.get("clusterIPs") or [after.get("clusterIP", "")]
        return [fe.invalid("spec.clusterIPs[0]", listed[0], "may not change once set")]
    return []


def validate_claim_update(new: Json, old: Json) -> list[FieldError]:
    """A claim's spec stays; binding fills in its volume, and a bound claim may grow."""
    before, after = dict(old.get("spec") or {}), dict(new.get("spec") or {})
    for spec in (before, after):
        for field in ("resources", "volumeAttributesClassName"):
            spec.pop(field, None)
    if not before.get("volumeName"):
        before["volumeName"] = after.get("volumeName")
        if not before.get("storageClassName"):
            before["storageClassName"] = after.get("storageClassName")
    defaults = {"volumeName": None, "storageClassName": None}
    if {**defaults, **before} != {**defaults, **after}:
        return [fe.forbidden("spec", CLAIM_IMMUTABLE)]
    return []


def validate_claim(obj: Json) -> list[FieldError]:
    """Access modes and size of a claim."""
    spec = obj.get("spec") or {}
    errors = []
    if not spec.get("accessModes"):
        errors.append(fe.required("spec.accessModes", "at least 1 access mode is required"))
    if not ((spec.get("resources") or {}).get("requests") or {}).get("storage"):
        errors.append(fe.required("spec.resources[storage]"))
    return errors


def validate_volume(obj: Json) -> list[FieldError]:
    """Access modes, size and source of a volume."""
    spec = obj.get("spec") or {}
    errors = []
    if not spec.get("accessModes"):
        errors.append(fe.required("spec.accessModes"))
    if not (spec.get("capacity") or {}).get("storage"):
        errors.append(fe.required("spec.capacity"))
    return errors


def validate_event(obj: Json) -> list[FieldError]:
    """An event stands in the namespace of what it is about."""
    involved = (obj.get("involvedObject") or {}).get("namespace", "")
    namespace = obj["metadata"].get("namespace", "")
    if involved not in (namespace, "") or (not involved and namespace != "default"):
        text = "does not match event.namespace"
        return [fe.invalid("involvedObject.namespace", involved, text)]
    return []


def validate_secret_update(new: Json, old: Json) -> list[FieldError]:
    """The type of a Secret stays."""
    if new.get("type") != old.get("type"):
        return [fe.invalid("type", new.get("type"), IMMUTABLE)]
    return []
