"""What runs pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs; their scalers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.api import durations
from apiserver.api.printers.columns import (
    AGE,
    NAME,
    NONE,
    UNSET,
    WIDE_CONTAINERS,
    WIDE_SELECTOR,
    Json,
    Printer,
    age_of,
    boolean,
    containers_and_images,
    count,
    dig,
    integer,
    labels_text,
    name_of,
    selector_text,
    simple,
    text,
)


def _template_spec(obj: Json) -> Json:
    spec: Json = dig(obj, "spec", "template", "spec", default={})
    return spec


def _status(obj: Json, field: str) -> int:
    value: int = dig(obj, "status", field, default=0)
    return value


def _deployment(obj: Json, now: datetime) -> list[Any]:
    return [
        name_of(obj),
        f"{_status(obj, 'readyReplicas')}/{dig(obj, 'spec', 'replicas', default=0)}",
        _status(obj, "updatedReplicas"),
        _status(obj, "availableReplicas"),
        age_of(obj, now),
        *containers_and_images(_template_spec(obj)),
        selector_text(dig(obj, "spec", "selector")),
    ]


def _replicas(obj: Json, now: datetime) -> list[Any]:
    return [
        name_of(obj),
        dig(obj, "spec", "replicas", default=0),
        _status(obj, "replicas"),
        _status(obj, "readyReplicas"),
        age_of(obj, now),
        *containers_and_images(_template_spec(obj)),
    ]


def _replica_set(obj: Json, now: datetime) -> list[Any]:
    return [*_replicas(obj, now), selector_text(dig(obj, "spec", "selector"))]


def _replication_controller(obj: Json, now: datetime) -> list[Any]:
    return [*_replicas(obj, now), labels_text(dig(obj, "spec", "selector"))]


def _stateful_set(obj: Json, now: datetime) -> list[Any]:
    return [
        name_of(obj),
        f"{_status(obj, 'readyReplicas')}/{dig(obj, 'spec', 'replicas', default=0)}",
        age_of(obj, now),
        *containers_and_images(_template_spec(obj)),
    ]


def _daemon_set(obj: Json, now: datetime) -> list[Any]:
    return [
        name_of(obj),
        _status(obj, "desiredNumberScheduled"),
        _status(obj, "currentNumberScheduled"),
        _status(obj, "numberReady"),
        _status(obj, "updatedNumberScheduled"),
        _status(obj, "numberAvailable"),
        labels_text(_template_spec(obj).get("nodeSelector")),
        age_of(obj, now),
        *containers_and_images(_template_spec(obj)),
        selector_text(dig(obj, "spec", "selector")),
    ]


def _job(obj: Json, now: datetime) -> list[Any]:
    return [
        name_of(obj),
        _job_status(obj),
        _job_completions(obj),
        _job_duration(obj, now),
        age_of(obj, now),
        *containers_and_images(_template_spec(obj)),
        selector_text(dig(obj, "spec", "selector")),
    ]


def _job_status(job: Json) -> str:
    true = {
        condition.get("type")
        for condition in dig(job, "status", "conditions", default=[])
        if condition.get("status") == "True"
    }
    for condition_type in ("Complete", "Failed"):
        if condition_type in true:
            return condition_type
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for condition_type in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if condition_type in true:
            return condition_type
    return "Running"


def _job_completions(job: Json) -> str:
    succeeded = _status(job, "succeeded")
    completions = dig(job, "spec", "completions")
    if completions is not None:
        return f"{succeeded}/{completions}"
    parallelism = dig(job, "spec", "parallelism", default=0)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(job: Json, now: datetime) -> str:
    start, end = dig(job, "status", "startTime"), dig(job, "status", "completionTime")
    if start is None:
        return ""
    return durations.age(start, now) if end is None else durations.between(start, end)


def _cron_job(obj: Json, now: datetime) -> list[Any]:
    last = dig(obj, "status", "lastScheduleTime")
    suspend = dig(obj, "spec", "suspend")
    template = dig(obj, "spec", "jobTemplate", "spec", default={})
    return [
        name_of(obj),
        dig(obj, "spec", "schedule", default=""),
        dig(obj, "spec", "timeZone", default=NONE),
        UNSET if suspend is None else str(suspend),
        count(dig(obj, "status", "active")),
        durations.age(last, now) if last else NONE,
        age_of(obj, now),
        *containers_and_images(dig(template, "template", "spec", default={})),
        selector_text(template.get("selector")),
    ]


def _disruption_budget(obj: Json) -> list[Any]:
    return [
        str(dig(obj, "spec", "minAvailable", default="N/A")),
        str(dig(obj, "spec", "maxUnavailable", default="N/A")),
        _status(obj, "disruptionsAllowed"),
    ]


def _autoscaler(obj: Json) -> list[Any]:
    target = dig(obj, "spec", "scaleTargetRef", default={})
    return [
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(obj),
        str(dig(obj, "spec", "minReplicas", default=UNSET)),
        dig(obj, "spec", "maxReplicas", default=0),
        _status(obj, "currentReplicas"),
    ]


def _metrics(autoscaler: Json) -> str:
    """The targets of an HPA: `cpu: 12%/80%, 3/5`, at most two of them spelled out."""
    specs = dig(autoscaler, "spec", "metrics", default=[])
    found = dig(autoscaler, "status", "currentMetrics", default=[])
    if not specs:
        return _metric_v1(autoscaler)
    listed = [
        _metric(spec, found[index] if index < len(found) else {})
        for index, spec in enumerate(specs)
    ]
    shown = ", ".join(listed[:2])
    return f"{shown} + {len(listed) - 2} more..." if len(listed) > 2 else shown


def _metric_v1(autoscaler: Json) -> str:
    wanted = dig(autoscaler, "spec", "targetCPUUtilizationPercentage")
    if wanted is None:
        return NONE
    current = dig(autoscaler, "status", "currentCPUUtilizationPercentage")
    return f"cpu: {'<unknown>' if current is None else f'{current}%'}/{wanted}%"


_SOURCES = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def _metric(spec: Json, status: Json) -> str:
    source = _SOURCES.get(spec.get("type", ""))
    if source is None:
        return "<unknown type>"
    target = dig(spec, source, "target", default={})
    current = dig(status, source, "current", default={})
    named = source in ("resource", "containerResource")
    prefix = f"{dig(spec, source, 'name', default='')}: " if named else ""
    if "averageUtilization" in target:
        utilization = current.get("averageUtilization")
        found = "<unknown>" if utilization is None else f"{utilization}%"
        return f"{prefix}{found}/{target['averageUtilization']}%"
    average = " (avg)" if "averageValue" in target and source in ("external", "object") else ""
    field = "averageValue" if "averageValue" in target else "value"
    return f"{prefix}{current.get(field, '<unknown>')}/{target.get(field, '<auto>')}{average}"


def _controller_revision(obj: Json) -> list[Any]:
    owner = next(
        (
            reference
            for reference in obj["metadata"].get("ownerReferences") or []
            if reference.get("controller")
        ),
        None,
    )
    if owner is None:
        return [NONE, obj.get("revision", 0)]
    group = owner.get("apiVersion", "").rpartition("/")[0]
    kind = owner.get("kind", "").lower() + (f".{group}" if group else "")
    return [f"{kind}/{owner.get('name', '')}", obj.get("revision", 0)]


_COUNTS = (
    integer("Desired", "Number of desired pods."),
    integer("Current", "Number of created pods."),
    integer("Ready", "Number of ready pods."),
)
_REPLICA_COLUMNS = (NAME, *_COUNTS, AGE, *WIDE_CONTAINERS, WIDE_SELECTOR)
_AUTOSCALER = simple(
    (
        text("Reference", "The resource that is scaled."),
        text("Targets", "Current and wanted values of the metrics."),
        text("MinPods", "The lower limit for the number of replicas."),
        integer("MaxPods", "The upper limit for the number of replicas."),
        integer("Replicas", "The current number of replicas."),
    ),
    _autoscaler,
)

PRINTERS: dict[tuple[str, str], Printer] = {
    ("", "ReplicationController"): Printer(_REPLICA_COLUMNS, _replication_controller),
    ("apps", "ReplicaSet"): Printer(_REPLICA_COLUMNS, _replica_set),
    ("apps", "Deployment"): Printer(
        (
            NAME,
            text("Ready", "Number of the pod with ready state"),
            integer("Up-to-date", "Number of pods that have the desired template spec."),
            integer("Available", "Number of available pods."),
            AGE,
            *WIDE_CONTAINERS,
            WIDE_SELECTOR,
        ),
        _deployment,
    ),
    ("apps", "StatefulSet"): Printer(
        (NAME, text("Ready", "Number of the pod with ready state"), AGE, *WIDE_CONTAINERS),
        _stateful_set,
    ),
    ("apps", "DaemonSet"): Printer(
        (
            NAME,
            *_COUNTS,
            integer("Up-to-date", "Number of nodes that run the updated daemon pod."),
            integer("Available", "Number of nodes with an available daemon pod."),
            text("Node Selector", "Nodes that the pods fit."),
            AGE,
            *WIDE_CONTAINERS,
            WIDE_SELECTOR,
        ),
        _daemon_set,
    ),
    ("batch", "Job"): Printer(
        (
            NAME,
            text("Status", "Status of the job."),
            text("Completions", "Pods that succeeded, of those wanted."),
            text("Duration", "Time required to complete the job."),
            AGE,
            *WIDE_CONTAINERS,
            WIDE_SELECTOR,
        ),
        _job,
    ),
    ("batch", "CronJob"): Printer(
        (
            NAME,
            text("Schedule", "The schedule in Cron format."),
            text("Timezone", "The time zone of the schedule."),
            boolean("Suspend", "Whether subsequent executions are suspended."),
            integer("Active", "Number of currently running jobs."),
            text("Last Schedule", "When the job was last successfully scheduled."),
            AGE,
            *WIDE_CONTAINERS,
            WIDE_SELECTOR,
        ),
        _cron_job,
    ),
    ("policy", "PodDisruptionBudget"): simple(
        (
            text("Min Available", "The minimum number of pods that must be available."),
            text("Max Unavailable", "The maximum number of pods that may be unavailable."),
            integer("Allowed Disruptions", "How many pods may be disrupted now."),
        ),
        _disruption_budget,
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): _AUTOSCALER,
    ("apps", "ControllerRevision"): simple(
        (
            text("Controller", "The controller that owns the revision."),
            integer("Revision", "The number of the revision."),
        ),
        _controller_revision,
    ),
}
