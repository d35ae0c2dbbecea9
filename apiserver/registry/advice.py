"""Warnings: what a client should know about an object that is valid all the same.

Texts are kube-apiserver's but where said otherwise; they travel as `Warning:` headers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from apiserver.registry.validation.rules import dig

Json = dict[str, Any]

_DEPRECATED_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}


def not_enforced(kind: str) -> Callable[[Json], list[str]]:
    """Say that objects of this kind have no effect here yet (docs/limits.md): ours alone."""
    return lambda _obj: [f"{kind} is stored, but this server does not enforce it yet"]


def about_pod_spec(path: str) -> Callable[[Json], list[str]]:
    """Advice about the PodSpec at a dotted path of an object."""

    def advise(obj: Json) -> list[str]:
        spec = dig(obj, path) or {}
        found = list(_node_selector(spec.get("nodeSelector") or {}, f"{path}.nodeSelector"))
        for member in ("initContainers", "containers"):
            for index, container in enumerate(spec.get(member) or []):
                found.extend(_container(container, f"{path}.{member}[{index}]"))
        return found

    return advise


def _node_selector(selector: Json, path: str) -> Iterator[str]:
    for label in selector:
        if label in _DEPRECATED_LABELS:
            since, instead = _DEPRECATED_LABELS[label]
            yield f'{path}[{label}]: deprecated since {since}; use "{instead}" instead'


def _container(container: Json, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or []):
        name = variable.get("name", "")
        if name in seen:
            yield (
                f'{path}.env[{index}]: hides previous definition of "{name}", '
                "which may be dropped when using apply"
            )
        seen.add(name)
    first: dict[tuple[Any, ...], int] = {}
    for index, port in enumerate(container.get("ports") or []):
        identity = (port.get("containerPort"), port.get("protocol"), port.get("hostPort"))
        if identity in first:
            where = f"{path}.ports[{first[identity]}]"
            yield f"{path}.ports[{index}]: duplicate port definition with {where}"
        first.setdefault(identity, index)
