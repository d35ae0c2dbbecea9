"""Defaults of pods and of pod templates."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

DEFAULT_MODE = 0o644
"""Permission bits of files that volumes project."""


def pod(obj: Json) -> None:
    """Defaults of a Pod: those of a pod spec, and what only pods have."""
    spec = obj.setdefault("spec", {})
    for container in [*spec.get("containers", ()), *spec.get("initContainers", ())]:
        _requests_from_limits(container.get("resources"))
    spec.setdefault("enableServiceLinks", True)
    pod_spec(spec)


def _requests_from_limits(resources: Json | None) -> None:
    if not resources or not resources.get("limits"):
        return
    requests = resources.setdefault("requests", {})
    for name, limit in resources["limits"].items():
        requests.setdefault(name, limit)


def template(owner: Json) -> None:
    """Defaults of `owner["template"]`, a pod template."""
    body = owner.setdefault("template", {})
    body.setdefault("metadata", {})
    pod_spec(body.setdefault("spec", {}))


def pod_spec(spec: Json) -> None:
    """Defaults of a PodSpec."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    host_network = spec.get("hostNetwork", False)
    for member in ("containers", "initContainers", "ephemeralContainers"):
        for one in spec.get(member, ()):
            container(one, host_network=host_network)
    for volume in spec.get("volumes", ()):
        _volume(volume)


def container(one: Json, *, host_network: bool = False) -> None:
    """Defaults of a container; with the host's network, host ports are container ports."""
    one.setdefault("resources", {})
    one.setdefault("terminationMessagePath", "/dev/termination-log")
    one.setdefault("terminationMessagePolicy", "File")
    if "imagePullPolicy" not in one:
        one["imagePullPolicy"] = pull_policy(one.get("image", ""))
    for port in one.get("ports", ()):
        port.setdefault("protocol", "TCP")
        if host_network and not port.get("hostPort"):
            port["hostPort"] = port.get("containerPort", 0)
    for variable in one.get("env", ()):
        _field_reference(variable.get("valueFrom"))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in one:
            _probe(one[name])
    for hook in one.get("lifecycle", {}).values():
        if isinstance(hook, dict):
            _http_get(hook)


def pull_policy(image: str) -> str:
    """`Always` for the tag `latest`, said or implied; `IfNotPresent` for all else."""
    if "@" in image:
        return "IfNotPresent"
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return "Always" if not colon or tag == "latest" else "IfNotPresent"


def _probe(probe: Json) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")
    _http_get(probe)


def _http_get(handler: Json) -> None:
    if "httpGet" in handler:
        handler["httpGet"].setdefault("path", "/")
        handler["httpGet"].setdefault("scheme", "HTTP")


def _field_reference(source: Json | None) -> None:
    if source and "fieldRef" in source:
        source["fieldRef"].setdefault("apiVersion", "v1")


def _volume(volume: Json) -> None:
    if len(volume) <= 1:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "downwardAPI", "projected"):
        if source in volume:
            volume[source].setdefault("defaultMode", DEFAULT_MODE)
    for item in volume.get("downwardAPI", {}).get("items", ()):
        _field_reference(item)
    for projection in volume.get("projected", {}).get("sources", ()):
        if "serviceAccountToken" in projection:
            projection["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        for item in projection.get("downwardAPI", {}).get("items", ()):
            _field_reference(item)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if "iscsi" in volume:
        volume["iscsi"].setdefault("iscsiInterface", "default")
    claim = volume.get("ephemeral", {}).get("volumeClaimTemplate")
    if claim:
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
