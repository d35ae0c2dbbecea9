"""Cluster addresses of Services: each is given once, for an IPAddress object holds its place.

As the original's since v1.33 (registry/core/service/ipallocator/cidrallocator.go): whoever creates
`ipaddresses/<address>` has the address. If a server dies between the two writes the address stays
held by the Service's name, which gets it when it is created again.
"""

import ipaddress
import random
from enum import Enum
from typing import Final

from apiserver.api import errors
from apiserver.api.field_errors import invalid
from apiserver.api.scheme import Resource
from apiserver.endpoints.target import Target
from apiserver.endpoints.write import new_uid
from apiserver.store.etcd3 import KEEP, Decision, KeyExistsError, KeyGoneError, Remove
from apiserver.store.objects import JsonObject
from apiserver.store.storage import Storage

ATTEMPTS_MAX: Final = 64
MANAGER: Final = "ipallocator.k8s.io"


class Taking(Enum):
    """What came of trying to take an address."""

    TAKEN = "taken"
    # Taken before, for a Service of the same name.
    HELD = "held"
    LOST = "lost"


class ServiceAddresses:
    """Gives and takes back the addresses of one service range."""

    def __init__(self, storage: Storage, addresses: Resource, cidr: str) -> None:
        self._storage = storage
        self._resource = addresses
        self._network = ipaddress.ip_network(cidr)

    async def assign(self, service: JsonObject, chance: random.Random, now: str) -> bool:
        """Give a new Service its cluster address; whether one was taken that was free before.

        Raises `ApiError` 422 when the address asked for is held by another, 500 when none is free.
        """
        spec = service["spec"]
        wanted = spec.get("clusterIP", "")
        if spec.get("type") == "ExternalName":
            return False
        if wanted == "None":
            return False
        if wanted:
            return await self._take_wanted(service, wanted, now)
        # The network's own address, the first (the API servers') and the last are not given.
        for _ in range(ATTEMPTS_MAX):
            offset = chance.randrange(2, self._network.num_addresses - 1)
            address = str(self._network[offset])
            if await self._take(service, address, now) is Taking.TAKEN:
                spec["clusterIP"] = address
                spec["clusterIPs"] = [address]
                return True
        raise errors.internal(
            f"failed to allocate a serviceIP: {ATTEMPTS_MAX} addresses of {self._network} tried, "
            "all are allocated"
        )

    async def _take_wanted(self, service: JsonObject, wanted: str, now: str) -> bool:
        try:
            inside = ipaddress.ip_address(wanted) in self._network
        except ValueError:
            inside = False
        why = f"the provided IP ({wanted}) is not in the valid range ({self._network})"
        if inside:
            taking = await self._take(service, wanted, now)
            if taking is not Taking.LOST:
                return taking is Taking.TAKEN
            why = "provided IP is already allocated"
        finding = invalid("spec.clusterIPs", [wanted], f"failed to allocate IP {wanted}: {why}")
        raise errors.invalid("", "Service", service["metadata"]["name"], [finding])

    async def _take(self, service: JsonObject, address: str, now: str) -> Taking:
        metadata = service["metadata"]
        parent = {
            "group": "",
            "resource": "services",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
        }
        family = "IPv6" if ":" in address else "IPv4"
        labels = {"ipaddress.kubernetes.io/ip-family": family}
        labels["ipaddress.kubernetes.io/managed-by"] = MANAGER
        held: JsonObject = {
            "kind": self._resource.kind,
            "apiVersion": self._resource.storage_version,
            "metadata": {"name": address, "labels": labels, "creationTimestamp": now},
            "spec": {"parentRef": parent},
        }
        held["metadata"]["uid"] = new_uid()
        key = Target(self._resource, "", address).key
        try:
            await self._storage.writes.create(key, held)
        except KeyExistsError:
            holder = await self._storage.writes.get(key)
            ours = holder is not None and holder.decoded["spec"].get("parentRef") == parent
            return Taking.HELD if ours else Taking.LOST
        return Taking.TAKEN

    async def release(self, service: JsonObject) -> None:
        """Take back the address of a Service that is gone, if it is the holder."""
        address = (service.get("spec") or {}).get("clusterIP", "")
        if address in ("", "None"):
            return
        metadata = service["metadata"]

        def decide(held: JsonObject) -> Decision:
            parent = held["spec"].get("parentRef") or {}
            ours = (parent.get("namespace"), parent.get("name")) == (
                metadata["namespace"],
                metadata["name"],
            )
            return Remove() if ours else KEEP

        try:
            key = Target(self._resource, "", address).key
            await self._storage.writes.guaranteed_change(key, decide, self._storage.cached(key))
        except KeyGoneError:
            return
