"""What becomes of objects before they are stored, beyond the rules common to all kinds."""

from __future__ import annotations

from typing import Any

from apiserver.api import quantity

Json = dict[str, Any]

COMPUTE = ("cpu", "memory")
LEGACY_UID_LABEL = "controller-uid"
UID_LABEL = "batch.kubernetes.io/controller-uid"
LEGACY_JOB_LABEL = "job-name"
JOB_LABEL = "batch.kubernetes.io/job-name"


def empty_status(obj: Json) -> Json:
    """The status of a new object of most kinds."""
    return {}


def load_balancer_status(obj: Json) -> Json:
    """The status of a new Service or Ingress."""
    return {"loadBalancer": {}}


def pod_status(obj: Json) -> Json:
    """The status of a new Pod: pending, with its class of quality of service."""
    return {"phase": "Pending", "qosClass": qos_class(obj.get("spec") or {})}


def qos_class(spec: Json) -> str:
    """Guaranteed, Burstable or BestEffort, from requests and limits of all containers."""
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    guaranteed, anything = True, False
    for container in containers:
        resources = container.get("resources") or {}
        requests = _positive(resources.get("requests"))
        limits = _positive(resources.get("limits"))
        anything = anything or bool(requests or limits)
        if len(limits) != len(COMPUTE) or (requests or limits) != limits:
            guaranteed = False
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _positive(amounts: Json | None) -> dict[str, str]:
    """The amounts of compute resources that are above zero; they are in canonical form."""
    if not amounts:
        return {}
    return {
        name: amounts[name]
        for name in COMPUTE
        if name in amounts and quantity.nano_units(amounts[name]) > 0
    }


def pod_admission_defaults(pod: Json) -> None:
    """What the admission plugins ServiceAccount and Priority give every pod.

    Stands in for them until admission exists: they will look the account and the class up.
    """
    spec = pod["spec"]
    account = spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", account)
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(_tolerates_for_ever(toleration, key) for toleration in tolerations):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
            )


def _tolerates_for_ever(toleration: Json, key: str) -> bool:
    return toleration.get("key", key) == key and toleration.get("effect") in (None, "NoExecute")


def namespace_identity(namespace: Json) -> None:
    """Every namespace bears its name as a label, and waits for the removal of what is in it."""
    meta = namespace["metadata"]
    if name := meta.get("name"):
        meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = name
    finalizers = namespace.setdefault("spec", {}).setdefault("finalizers", [])
    if "kubernetes" not in finalizers:
        finalizers.append("kubernetes")


def keep_spec(new: Json, old: Json) -> None:
    """The spec is not changed by an update (namespaces: only `/finalize` changes it)."""
    new["spec"] = old.get("spec", {})


def keep_secret_type(new: Json, old: Json) -> None:
    """A Secret sent without a type keeps the one that it has."""
    if not new.get("type"):
        new["type"] = old.get("type", "Opaque")


def job_selector(job: Json) -> None:
    """Give a Job a selector of its own and label its template so; needs the Job's uid."""
    spec, meta = job["spec"], job["metadata"]
    if spec.get("manualSelector") or not meta.get("uid"):
        return
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    labels[UID_LABEL] = labels[LEGACY_UID_LABEL] = meta["uid"]
    labels[JOB_LABEL] = labels[LEGACY_JOB_LABEL] = meta.get("name", "")
    selector = spec.setdefault("selector", {}).setdefault("matchLabels", {})
    selector[UID_LABEL] = meta["uid"]


def service_addresses(service: Json) -> None:
    """Make `clusterIP` and `clusterIPs` agree, and name the family of a Service's addresses."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif spec.get("clusterIPs") and not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]
    spec.setdefault("ipFamilies", ["IPv6" if ":" in spec.get("clusterIP", "") else "IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def keep_service_addresses(new: Json, old: Json) -> None:
    """An update that leaves addresses and node ports out keeps those that were allocated."""
    before, after = old.get("spec") or {}, new["spec"]
    if before.get("type") == "ExternalName" or after.get("type") == "ExternalName":
        return
    if not after.get("clusterIP") and not after.get("clusterIPs"):
        for field in ("clusterIP", "clusterIPs"):
            if field in before:
                after[field] = before[field]
    for field in ("ipFamilies", "ipFamilyPolicy"):
        if field in before:
            after.setdefault(field, before[field])
    if after.get("type") in ("NodePort", "LoadBalancer"):
        _keep_node_ports(after.get("ports") or [], before.get("ports") or [])
    service_addresses(new)


def _keep_node_ports(after: list[Json], before: list[Json]) -> None:
    allocated = {
        (port.get("port"), port.get("protocol")): port["nodePort"]
        for port in before
        if port.get("nodePort")
    }
    taken = {port.get("nodePort") for port in after}
    for port in after:
        found = allocated.get((port.get("port"), port.get("protocol")))
        if not port.get("nodePort") and found and found not in taken:
            port["nodePort"] = found
