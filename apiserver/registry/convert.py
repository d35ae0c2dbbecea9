"""Between the version in which an object is served and the one in which it is stored.

Most kinds are stored as they are served. Two are not: events of `events.k8s.io/v1` are stored as
core events, and autoscalers of `autoscaling/v1` as `autoscaling/v2`. No conversion loses a field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from apiserver.api.scheme import Resource

Json = dict[str, Any]
Convert = Callable[[Json], Json]

METRICS_ANNOTATION = "triplane.dev/autoscaling-v2-metrics"
BEHAVIOR_ANNOTATION = "autoscaling.alpha.kubernetes.io/behavior"
CONDITIONS_ANNOTATION = "autoscaling.alpha.kubernetes.io/conditions"
"""Where a v1 autoscaler keeps what only v2 has fields for, as JSON of the v2 shapes."""

_EVENT_FIELDS = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_CORE_EVENT_FIELDS = {core: name for name, core in _EVENT_FIELDS.items()}


def to_storage(resource: Resource, obj: Json) -> Json:
    """The object as it is stored; the same object where nothing is to be converted."""
    convert = _CONVERSIONS.get((resource.group, resource.version, resource.kind))
    return obj if convert is None else convert[0](obj)


def from_storage(resource: Resource, obj: Json) -> Json:
    """A stored object as `resource` serves it; the same object where nothing is to be done."""
    convert = _CONVERSIONS.get((resource.group, resource.version, resource.kind))
    return obj if convert is None else convert[1](obj)


def _event_to_core(event: Json) -> Json:
    renamed = {_EVENT_FIELDS.get(field, field): value for field, value in event.items()}
    return {**renamed, "apiVersion": "v1"}


def _event_from_core(event: Json) -> Json:
    renamed = {_CORE_EVENT_FIELDS.get(field, field): value for field, value in event.items()}
    return {**renamed, "apiVersion": "events.k8s.io/v1"}


def _autoscaler_to_v2(v1: Json) -> Json:
    meta, spec, status = dict(v1["metadata"]), dict(v1.get("spec") or {}), v1.get("status")
    annotations = dict(meta.get("annotations") or {})
    metrics = _loads(annotations.pop(METRICS_ANNOTATION, None)) or []
    behavior = _loads(annotations.pop(BEHAVIOR_ANNOTATION, None))
    conditions = _loads(annotations.pop(CONDITIONS_ANNOTATION, None))
    wanted = spec.pop("targetCPUUtilizationPercentage", None)
    if wanted is not None:
        target = {"type": "Utilization", "averageUtilization": wanted}
        metrics = [_cpu_metric("target", target), *metrics]
    if metrics:
        spec["metrics"] = metrics
    if behavior is not None:
        spec["behavior"] = behavior
    converted = {**v1, "apiVersion": "autoscaling/v2", "metadata": meta, "spec": spec}
    _set_or_drop(meta, "annotations", annotations)
    if status is not None:
        converted["status"] = status = dict(status)
        current = status.pop("currentCPUUtilizationPercentage", None)
        if current is not None:
            status["currentMetrics"] = [_cpu_metric("current", {"averageUtilization": current})]
        if conditions is not None:
            status["conditions"] = conditions
    return converted


def _autoscaler_to_v1(v2: Json) -> Json:
    meta, spec, status = dict(v2["metadata"]), dict(v2.get("spec") or {}), v2.get("status")
    annotations = dict(meta.get("annotations") or {})
    metrics = list(spec.pop("metrics", None) or [])
    cpu = next((metric for metric in metrics if _is_cpu_utilization(metric)), None)
    if cpu is not None:
        metrics.remove(cpu)
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
    if metrics:
        annotations[METRICS_ANNOTATION] = orjson.dumps(metrics).decode()
    if (behavior := spec.pop("behavior", None)) is not None:
        annotations[BEHAVIOR_ANNOTATION] = orjson.dumps(behavior).decode()
    converted = {**v2, "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec}
    if status is not None:
        converted["status"] = status = dict(status)
        if conditions := status.pop("conditions", None):
            annotations[CONDITIONS_ANNOTATION] = orjson.dumps(conditions).decode()
        for metric in status.pop("currentMetrics", None) or []:
            current = (metric.get("resource") or {}).get("current") or {}
            if (metric.get("resource") or {}).get("name") == "cpu":
                _set_or_drop(
                    status, "currentCPUUtilizationPercentage", current.get("averageUtilization")
                )
        status.setdefault("currentReplicas", 0)
    _set_or_drop(meta, "annotations", annotations)
    return converted


def _cpu_metric(member: str, value: Json) -> Json:
    return {"type": "Resource", "resource": {"name": "cpu", member: value}}


def _is_cpu_utilization(metric: Json) -> bool:
    resource = metric.get("resource") or {}
    target = resource.get("target") or {}
    return resource.get("name") == "cpu" and "averageUtilization" in target


def _loads(text: str | None) -> Any:
    """What an annotation holds; what is not JSON was not written by us and is left out."""
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _set_or_drop(container: Json, field: str, value: Any) -> None:
    if value or value == 0:
        container[field] = value
    else:
        container.pop(field, None)


_CONVERSIONS: dict[tuple[str, str, str], tuple[Convert, Convert]] = {
    ("autoscaling", "v1", "HorizontalPodAutoscaler"): (_autoscaler_to_v2, _autoscaler_to_v1),
    ("events.k8s.io", "v1", "Event"): (_event_to_core, _event_from_core),
}
