"""The core group and what stands around it: services, nodes, volumes, events, networking."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.api import durations
from apiserver.api.printers.columns import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Column,
    Json,
    Printer,
    age_of,
    count,
    dig,
    integer,
    labels_text,
    name_of,
    or_none,
    simple,
    some,
    text,
    wide,
)


def _service(obj: Json, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [
        name_of(obj),
        spec.get("type", ""),
        or_none(addresses[0]),
        _external_addresses(obj, spec),
        ",".join(map(_service_port, spec.get("ports") or [])) or NONE,
        age_of(obj, now),
        labels_text(spec.get("selector")),
    ]


def _external_addresses(service: Json, spec: Json) -> str:
    external = spec.get("externalIPs") or []
    match spec.get("type"):
        case "ClusterIP" | "NodePort":
            return ",".join(external) or NONE
        case "ExternalName":
            return str(spec.get("externalName", ""))
        case "LoadBalancer":
            return ",".join([*load_balancer_addresses(service), *external]) or "<pending>"
    return "<unknown>"


def load_balancer_addresses(obj: Json) -> list[str]:
    """Addresses or host names of `status.loadBalancer.ingress`, without repetitions."""
    ingress = dig(obj, "status", "loadBalancer", "ingress", default=[])
    found = (point.get("ip") or point.get("hostname") for point in ingress)
    return list(dict.fromkeys(address for address in found if address))


def _service_port(port: Json) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}"


def _endpoints(obj: Json) -> list[Any]:
    listed = []
    for subset in obj.get("subsets") or []:
        addresses = [address.get("ip", "") for address in subset.get("addresses") or []]
        ports = subset.get("ports") or []
        if not ports:
            listed.extend(addresses)
        for port in ports:
            listed.extend(_joined(address, port.get("port", 0)) for address in addresses)
    return [some(listed) or NONE]


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _endpoint_slice(obj: Json) -> list[Any]:
    ports = [str(port.get("port", "*")) for port in obj.get("ports") or []]
    addresses = [
        address
        for endpoint in obj.get("endpoints") or []
        for address in endpoint.get("addresses") or []
    ]
    return [obj.get("addressType", ""), some(ports) or UNSET, some(addresses) or UNSET]


def _node(obj: Json, now: datetime) -> list[Any]:
    info = dig(obj, "status", "nodeInfo", default={})
    addresses = dig(obj, "status", "addresses", default=[])
    return [
        name_of(obj),
        _node_status(obj),
        _node_roles(obj),
        age_of(obj, now),
        info.get("kubeletVersion", ""),
        _node_address(addresses, "InternalIP"),
        _node_address(addresses, "ExternalIP"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _node_address(addresses: list[Json], address_type: str) -> str:
    found = (item.get("address") for item in addresses if item.get("type") == address_type)
    return next(found, None) or NONE


def _node_status(node: Json) -> str:
    conditions = dig(node, "status", "conditions", default=[])
    ready = next((c for c in conditions if c.get("type") == "Ready"), None)
    if ready is None:
        status = "Unknown"
    else:
        status = "Ready" if ready.get("status") == "True" else "NotReady"
    return status + (",SchedulingDisabled" if dig(node, "spec", "unschedulable") else "")


def _node_roles(node: Json) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    roles = {key.removeprefix(prefix) for key in labels if key.startswith(prefix)} - {""}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    return ",".join(sorted(roles)) or NONE


def _event(obj: Json, now: datetime) -> list[Any]:
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    first = durations.age(
        obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime"),
        now,
    )
    last_timestamp = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    last = durations.age(last_timestamp, now) if last_timestamp else first
    times = obj.get("count") or obj.get("deprecatedCount") or 1
    if series := obj.get("series"):
        last = durations.age(series.get("lastObservedTime"), now)
        times = series.get("count", 0)
    target = involved.get("kind", "").lower()
    return [
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{target}/{involved['name']}" if involved.get("name") else target,
        involved.get("fieldPath", ""),
        _event_source(obj),
        (obj.get("message") or obj.get("note") or "").strip(),
        first,
        times,
        name_of(obj),
    ]


def _event_source(event: Json) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = (
        source.get("component")
        or event.get("reportingComponent")
        or event.get("reportingController")
    )
    host = source.get("host") or event.get("reportingInstance")
    return ", ".join(part for part in (component, host) if part)


_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def _modes(modes: list[str] | None) -> str:
    return ",".join(short for mode, short in _MODES.items() if mode in (modes or []))


def _phase(obj: Json) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str(dig(obj, "status", "phase", default=""))


def _storage_class_name(obj: Json) -> str:
    annotated = dig(obj, "metadata", "annotations", _CLASS_ANNOTATION)
    return str(annotated or dig(obj, "spec", "storageClassName", default=""))


def _volume(obj: Json, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    claim = spec.get("claimRef")
    return [
        name_of(obj),
        dig(spec, "capacity", "storage", default=""),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _storage_class_name(obj),
        spec.get("volumeAttributesClassName") or UNSET,
        dig(obj, "status", "reason", default=""),
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _claim(obj: Json, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    bound = bool(spec.get("volumeName"))
    return [
        name_of(obj),
        _phase(obj),
        spec.get("volumeName", ""),
        dig(status, "capacity", "storage", default="") if bound else "",
        _modes(status.get("accessModes")) if bound else "",
        _storage_class_name(obj),
        spec.get("volumeAttributesClassName") or UNSET,
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _quota(obj: Json) -> list[Any]:
    hard = dig(obj, "status", "hard", default={})
    used = dig(obj, "status", "used", default={})
    request: list[str] = []
    limit: list[str] = []
    for name in sorted(hard):
        side = limit if name.startswith("limits") else request
        side.append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [", ".join(request), ", ".join(limit)]


def _ingress(obj: Json) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = [rule["host"] for rule in spec.get("rules") or [] if rule.get("host")]
    return [
        spec.get("ingressClassName") or NONE,
        some(hosts) or "*",
        ",".join(load_balancer_addresses(obj)),
        "80, 443" if spec.get("tls") else "80",
    ]


PRINTERS: dict[tuple[str, str], Printer] = {
    ("", "Service"): Printer(
        (
            NAME,
            text("Type", "Type determines how the Service is exposed."),
            text("Cluster-IP", "The IP address of the service."),
            text("External-IP", "Addresses by which the service is reached from outside."),
            text("Port(s)", "The ports that are exposed by this service."),
            AGE,
            wide("Selector", "Traffic goes to pods with labels matching this selector."),
        ),
        _service,
    ),
    ("", "Endpoints"): simple((text("Endpoints", "Addresses and ports."),), _endpoints),
    ("discovery.k8s.io", "EndpointSlice"): simple(
        (
            text("AddressType", "The type of address carried by this EndpointSlice."),
            text("Ports", "The ports exposed by each endpoint in this slice."),
            text("Endpoints", "The addresses of the endpoints in this slice."),
        ),
        _endpoint_slice,
    ),
    ("", "Node"): Printer(
        (
            NAME,
            text("Status", "The status of the node"),
            text("Roles", "The roles of the node"),
            AGE,
            text("Version", "Kubelet Version reported by the node."),
            wide("Internal-IP", "Address within the cluster."),
            wide("External-IP", "Address outside of the cluster."),
            wide("OS-Image", "OS Image reported by the node."),
            wide("Kernel-Version", "Kernel Version reported by the node."),
            wide("Container-Runtime", "ContainerRuntime Version reported by the node."),
        ),
        _node,
    ),
    ("", "Namespace"): simple(
        (text("Status", "The status of the namespace"),),
        lambda obj: [dig(obj, "status", "phase", default="")],
    ),
    ("", "ConfigMap"): simple(
        (integer("Data", "Number of data keys."),),
        lambda obj: [count(obj.get("data")) + count(obj.get("binaryData"))],
    ),
    ("", "Secret"): simple(
        (text("Type", "Used to facilitate handling of secret data."), integer("Data")),
        lambda obj: [obj.get("type", ""), count(obj.get("data"))],
    ),
    ("", "ServiceAccount"): simple(
        (integer("Secrets", "Number of secrets that pods of this account may use."),),
        lambda obj: [count(obj.get("secrets"))],
    ),
    ("", "ResourceQuota"): simple(
        (
            text("Request", "Used and hard amounts of requests."),
            text("Limit", "Used and hard amounts of limits."),
        ),
        _quota,
    ),
    ("", "PersistentVolume"): Printer(
        (
            NAME,
            text("Capacity", "The capacity of the volume."),
            text("Access Modes", "All ways the volume can be mounted."),
            text("Reclaim Policy", "What happens to the volume when it is released."),
            text("Status", "Whether the volume is available, bound, or released."),
            text("Claim", "The claim that the volume is bound to."),
            text("StorageClass", "Name of the StorageClass of the volume."),
            text("VolumeAttributesClass", "Name of the VolumeAttributesClass of the volume."),
            text("Reason", "Why the volume is in its state."),
            AGE,
            wide("VolumeMode", "Whether the volume is formatted or a raw block device."),
        ),
        _volume,
    ),
    ("", "PersistentVolumeClaim"): Printer(
        (
            NAME,
            text("Status", "The current phase of the claim."),
            text("Volume", "The volume that backs the claim."),
            text("Capacity", "The actual resources of the volume."),
            text("Access Modes", "The actual ways the volume can be mounted."),
            text("StorageClass", "Name of the StorageClass that the claim asks for."),
            text("VolumeAttributesClass", "Name of the VolumeAttributesClass that it asks for."),
            AGE,
            wide("VolumeMode", "Whether the volume is formatted or a raw block device."),
        ),
        _claim,
    ),
    ("", "Event"): Printer(
        (
            text("Last Seen", "Time when this event was last observed"),
            text("Type", "Type of this event (Normal, Warning)."),
            text("Reason", "The reason for the transition into the object's current status."),
            text("Object", "The object that the event is about."),
            wide("Subobject", "The part of the object that the event is about."),
            wide("Source", "The component that reports the event."),
            text("Message", "What happened."),
            wide("First Seen", "Time when this event was first observed"),
            Column("Count", "integer", description="How often it occurred.", priority=1),
            Column("Name", format="name", description="Name of the event.", priority=1),
        ),
        _event,
    ),
    ("networking.k8s.io", "Ingress"): simple(
        (
            text("Class", "The name of the IngressClass resource to use."),
            text("Hosts", "Hosts that incoming requests are matched against."),
            text("Address", "Address of the load balancer."),
            text("Ports", "Ports of TLS configurations that open."),
        ),
        _ingress,
    ),
}
PRINTERS["events.k8s.io", "Event"] = PRINTERS["", "Event"]
