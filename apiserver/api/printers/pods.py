"""Pods: the one kind whose status column is a story of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apiserver.api import durations
from apiserver.api.printers.columns import (
    AGE,
    NAME,
    Json,
    Printer,
    age_of,
    containers_and_images,
    dig,
    labels_text,
    name_of,
    or_none,
    text,
    wide,
)


@dataclass(slots=True)
class _Summary:
    """What the columns Ready, Status and Restarts are made of."""

    reason: str
    ready: int = 0
    total: int = 0
    restarts: int = 0
    last_restart: str = ""

    def count_restarts(self, status: Json) -> None:
        self.restarts += status.get("restartCount", 0)
        finished = dig(status, "lastState", "terminated", "finishedAt", default="")
        self.last_restart = max(self.last_restart, finished)

    def restarts_text(self, now: datetime) -> str:
        if self.restarts and self.last_restart:
            return f"{self.restarts} ({durations.age(self.last_restart, now)} ago)"
        return str(self.restarts)


def _summary(pod: Json) -> _Summary:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    summary = _Summary(status.get("reason") or status.get("phase", ""))
    if any(
        condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated"
        for condition in status.get("conditions") or []
    ):
        summary.reason = "SchedulingGated"
    sidecars = {
        container.get("name")
        for container in spec.get("initContainers") or []
        if container.get("restartPolicy") == "Always"
    }
    summary.total = len(spec.get("containers") or []) + len(sidecars)
    initializing = _init_containers(summary, spec, status, sidecars)
    if not initializing or _condition_is_true(status, "Initialized"):
        summary.restarts, summary.last_restart = 0, ""
        for container in status.get("initContainerStatuses") or []:
            if container.get("name") in sidecars:
                summary.count_restarts(container)
        _containers(summary, status)
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            summary.reason = "Unknown"
        elif status.get("phase") not in ("Failed", "Succeeded"):
            summary.reason = "Terminating"
    return summary


def _init_containers(
    summary: _Summary, spec: Json, status: Json, sidecars: set[str | None]
) -> bool:
    """Tell how far initialization has come; gives whether it still goes on."""
    for index, container in enumerate(status.get("initContainerStatuses") or []):
        summary.count_restarts(container)
        terminated = dig(container, "state", "terminated")
        waiting = dig(container, "state", "waiting", "reason", default="")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if container.get("name") in sidecars and container.get("started"):
            summary.ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            summary.reason = "Init:" + _termination(terminated)
        elif waiting and waiting != "PodInitializing":
            summary.reason = "Init:" + waiting
        else:
            summary.reason = f"Init:{index}/{len(spec.get('initContainers') or [])}"
        return True
    return False


def _containers(summary: _Summary, status: Json) -> None:
    has_running = False
    for container in reversed(status.get("containerStatuses") or []):
        summary.count_restarts(container)
        state = container.get("state") or {}
        if waiting := dig(state, "waiting", "reason"):
            summary.reason = waiting
        elif state.get("terminated") is not None:
            summary.reason = _termination(state["terminated"])
        elif container.get("ready") and state.get("running") is not None:
            has_running = True
            summary.ready += 1
    if summary.reason == "Completed" and has_running:
        summary.reason = "Running" if _condition_is_true(status, "Ready") else "NotReady"


def _termination(terminated: Json) -> str:
    if reason := terminated.get("reason"):
        return str(reason)
    if signal := terminated.get("signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _condition_is_true(status: Json, condition_type: str) -> bool:
    return any(
        condition.get("type") == condition_type and condition.get("status") == "True"
        for condition in status.get("conditions") or []
    )


def _readiness_gates(pod: Json) -> str:
    gates = dig(pod, "spec", "readinessGates", default=[])
    if not gates:
        return "<none>"
    status = pod.get("status") or {}
    true = sum(_condition_is_true(status, gate.get("conditionType", "")) for gate in gates)
    return f"{true}/{len(gates)}"


def _pod_cells(pod: Json, now: datetime) -> list[Any]:
    summary = _summary(pod)
    addresses = dig(pod, "status", "podIPs", default=[{}])
    return [
        name_of(pod),
        f"{summary.ready}/{summary.total}",
        summary.reason,
        summary.restarts_text(now),
        age_of(pod, now),
        or_none(addresses[0].get("ip") or dig(pod, "status", "podIP")),
        or_none(dig(pod, "spec", "nodeName")),
        or_none(dig(pod, "status", "nominatedNodeName")),
        _readiness_gates(pod),
    ]


def _pod_conditions(pod: Json) -> list[Json]:
    match dig(pod, "status", "phase"):
        case "Succeeded":
            reason, message = "Succeeded", "The pod has completed successfully."
        case "Failed":
            reason, message = "Failed", "The pod failed."
        case _:
            return []
    return [{"type": "Completed", "status": "True", "reason": reason, "message": message}]


def _template_cells(template: Json, now: datetime) -> list[Any]:
    body = template.get("template") or {}
    return [
        name_of(template),
        *containers_and_images(body.get("spec") or {}),
        labels_text(dig(body, "metadata", "labels")),
    ]


PRINTERS: dict[tuple[str, str], Printer] = {
    ("", "Pod"): Printer(
        (
            NAME,
            text("Ready", "The aggregate readiness state of this pod for accepting traffic."),
            text("Status", "The aggregate status of the containers in this pod."),
            text("Restarts", "The number of times the containers in this pod have been restarted."),
            AGE,
            wide("IP", "podIP address allocated to the pod. Routable at least within the cluster."),
            wide("Node", "NodeName indicates in which node this pod is scheduled."),
            wide("Nominated Node", "Set only when this pod preempts other pods on the node."),
            wide("Readiness Gates", "Additional conditions evaluated for pod readiness."),
        ),
        _pod_cells,
        _pod_conditions,
    ),
    ("", "PodTemplate"): Printer(
        (
            NAME,
            text("Containers", "Names of each container in the template."),
            text("Images", "Images referenced by each container in the template."),
            text("Pod Labels", "The labels for the pod template."),
        ),
        _template_cells,
    ),
}
