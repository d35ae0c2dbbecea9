"""What a new cluster finds in place: namespaces, priority classes, the `kubernetes` Service.

Every replica runs this at start, perhaps several at once: each object is created only if it is
not there, and what someone has changed since stays as it is.
"""

import ipaddress
from collections.abc import Iterator
from typing import Final

from apiserver.api import decode
from apiserver.api.errors import ApiError
from apiserver.endpoints.api import Api
from apiserver.endpoints.create import create_object
from apiserver.endpoints.target import Target
from apiserver.store.objects import JsonObject

NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")


def bootstrap_objects(service_cidr: str, secure_port: int) -> Iterator[JsonObject]:
    """The objects of a new cluster, in the order of their creation."""
    for name in NAMESPACES:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    yield _priority_class(
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    )
    yield _priority_class(
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another "
        "node if necessary.",
    )
    yield kubernetes_service(service_cidr, secure_port)


def _priority_class(name: str, value: int, description: str) -> JsonObject:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        "description": description,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def first_service_address(service_cidr: str) -> str:
    """The address of the `kubernetes` Service: the first of the range after the network's own."""
    return str(next(iter(ipaddress.ip_network(service_cidr).hosts())))


def kubernetes_service(service_cidr: str, secure_port: int) -> JsonObject:
    """Service default/kubernetes: how pods find the API servers."""
    address = first_service_address(service_cidr)
    family = "IPv6" if ":" in address else "IPv4"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": address,
            "clusterIPs": [address],
            "ipFamilies": [family],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": secure_port}],
        },
    }


async def bootstrap(api: Api, service_cidr: str, secure_port: int) -> None:
    """Create what is missing. Raises `ApiError` when the store fails; may be repeated."""
    for obj in bootstrap_objects(service_cidr, secure_port):
        await ensure(api, obj)


async def ensure(api: Api, obj: JsonObject) -> None:
    """Create `obj` unless an object of its name is there already."""
    resource = api.scheme.by_kind(obj["apiVersion"], obj["kind"])
    assert resource is not None, obj
    metadata = obj["metadata"]
    target = Target(resource, metadata.get("namespace", ""), metadata["name"])
    if api.storage.cached(target.key) is not None:
        return
    decoded = decode.decode(decode.Target.of(resource), obj).obj
    try:
        await create_object(api, target, decoded)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
