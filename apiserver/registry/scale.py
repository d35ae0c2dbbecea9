"""The scale subresource: how many replicas a workload has and wants, whatever its kind.

`to_scale` shows an object as an `autoscaling/v1` Scale, `with_scale` takes one over. Source:
Kubernetes API reference (Scale). The endpoints decode and present the Scale like any object.
"""

from __future__ import annotations

from typing import Any

from apiserver.api import field_errors as fe
from apiserver.api.field_errors import FieldError
from apiserver.api.printers.columns import NONE, labels_text, selector_text
from apiserver.registry.validation.rules import NON_NEGATIVE

Json = dict[str, Any]

_SHOWN_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def to_scale(obj: Json) -> Json:
    """The Scale of a Deployment, ReplicaSet, StatefulSet or ReplicationController."""
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    replicas = spec.get("replicas", 0)
    shown_status: Json = {"replicas": status.get("replicas", 0)}
    if selector := _selector(obj["kind"], spec.get("selector")):
        shown_status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in _SHOWN_METADATA if name in meta},
        "spec": {"replicas": replicas} if replicas else {},
        "status": shown_status,
    }


def _selector(kind: str, selector: Json | None) -> str:
    if kind == "ReplicationController":
        text = labels_text(selector)
    else:
        text = selector_text(selector)
    return "" if text == NONE else text


def with_scale(obj: Json, scale: Json) -> Json:
    """The object with the Scale's wanted replicas. Shares all but its spec with `obj`.

    The caller checks the Scale's resourceVersion against the object's, as for any update.
    """
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    return {**obj, "spec": {**(obj.get("spec") or {}), "replicas": replicas}}


def validate_scale(scale: Json) -> list[FieldError]:
    """Findings about a Scale that a client sent."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    return [fe.invalid("spec.replicas", replicas, NON_NEGATIVE)] if replicas < 0 else []
