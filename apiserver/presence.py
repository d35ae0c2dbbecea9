"""Which API servers live: a Lease for each, and the endpoints of the `kubernetes` Service.

Each replica renews its own Lease in kube-system, watches all of them, and keeps Endpoints and
EndpointSlice default/kubernetes equal to the addresses of those that live. Whether a Lease still
lives is judged by how long ago we saw it change, on our own monotonic clock: wall clocks of
different machines are never compared. Every write is a compare-and-swap, so replicas may race.
"""

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import Any, Final

from apiserver.api import decode
from apiserver.api.errors import ApiError
from apiserver.api.times import render_micro_time
from apiserver.bootstrap import ensure
from apiserver.endpoints.api import Api
from apiserver.endpoints.delete import delete_object
from apiserver.endpoints.delete_options import DeleteOptions
from apiserver.endpoints.target import Target
from apiserver.registry.convert import to_storage
from apiserver.store.etcd3 import KEEP, Decision, KeyGoneError, Put
from apiserver.store.objects import JsonObject

log = logging.getLogger("apiserver.presence")

RENEW_S: Final = 3.0
LEASE_DURATION_S: Final = 12
NAMESPACE: Final = "kube-system"
IDENTITY_LABEL: Final = "apiserver.kubernetes.io/identity"
ADDRESS_ANNOTATION: Final = "triplane.io/advertise-address"
PORT_ANNOTATION: Final = "triplane.io/secure-port"
LEASES: Final = f"/registry/leases/{NAMESPACE}/apiserver-"


@dataclass(slots=True)
class _Seen:
    revision: int
    at: float


class Presence:
    """One per API server; `run` renews and reconciles."""

    def __init__(self, api: Api, address: str, port: int) -> None:
        self._api = api
        self._address = address
        self._port = port
        digest = hashlib.sha256(f"{address}:{port}".encode()).hexdigest()
        self._name = f"apiserver-{digest[:26]}"
        self._seen: dict[str, _Seen] = {}
        lease = api.scheme.lookup("coordination.k8s.io", "v1", "leases")
        assert lease is not None
        self._lease = Target(lease, NAMESPACE, self._name)

    async def run(self) -> None:
        """Renew and reconcile until cancelled; the store's failures are waited out."""
        while True:
            try:
                await self._renew()
                await self._reconcile()
            except ApiError as error:
                log.info("presence: %s", error)
            await asyncio.sleep(RENEW_S)

    async def leave(self) -> None:
        """Take our address out, on the way to a clean stop."""
        try:
            await delete_object(
                self._api, self._lease, DeleteOptions(), self._api.storage.cached(self._lease.key)
            )
            await self._api.storage.catch_up()
            await self._reconcile()
        except ApiError as error:
            log.info("presence on leaving: %s", error)

    async def _renew(self) -> None:
        now = render_micro_time(self._api.now())

        def renewed(lease: JsonObject) -> Decision:
            lease.setdefault("spec", {})["renewTime"] = now
            return Put(lease)

        try:
            await self._api.storage.writes.guaranteed_change(
                self._lease.key, renewed, self._api.storage.cached(self._lease.key)
            )
        except KeyGoneError:
            await ensure(self._api, self._new_lease(now))

    def _new_lease(self, now: str) -> JsonObject:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._name,
                "namespace": NAMESPACE,
                "labels": {
                    IDENTITY_LABEL: "kube-apiserver",
                    "kubernetes.io/hostname": self._address,
                },
                "annotations": {
                    ADDRESS_ANNOTATION: self._address,
                    PORT_ANNOTATION: str(self._port),
                },
            },
            "spec": {
                "holderIdentity": self._name,
                "leaseDurationSeconds": LEASE_DURATION_S,
                "renewTime": now,
            },
        }

    async def _reconcile(self) -> None:
        live = await self._live_addresses()
        if not live:
            return
        for obj in (endpoints(live), endpoint_slice(live)):
            await self._make_equal(obj)

    async def _live_addresses(self) -> list[tuple[str, int]]:
        """Addresses of the replicas whose leases live; removes leases that have run out."""
        now = asyncio.get_running_loop().time()
        live: set[tuple[str, int]] = set()
        found = list(self._api.storage.cacher.scan("/registry/leases/kube-system/"))
        for stored in found:
            annotations = stored.decoded["metadata"].get("annotations") or {}
            if not stored.key.startswith(LEASES) or ADDRESS_ANNOTATION not in annotations:
                continue
            seen = self._seen.get(stored.key)
            if seen is None or seen.revision != stored.mod_revision:
                seen = self._seen[stored.key] = _Seen(stored.mod_revision, now)
            if now - seen.at > LEASE_DURATION_S:
                version = stored.decoded["metadata"]["resourceVersion"]
                options = DeleteOptions(resource_version=version)
                name = stored.decoded["metadata"]["name"]
                log.info("lease %s has run out", name)
                await delete_object(self._api, self._lease.named(name), options, stored)
                continue
            live.add((annotations[ADDRESS_ANNOTATION], int(annotations.get(PORT_ANNOTATION, 443))))
        self._seen = {s.key: self._seen[s.key] for s in found if s.key in self._seen}
        return sorted(live)

    async def _make_equal(self, obj: JsonObject) -> None:
        resource = self._api.scheme.by_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None
        target = Target(resource, "default", "kubernetes")
        wanted = decode.decode(decode.Target.of(resource), obj).obj
        content = {k: v for k, v in to_storage(resource, wanted).items() if k != "metadata"}

        def equalise(current: JsonObject) -> Decision:
            changed = {"metadata": current["metadata"], **content}
            return KEEP if changed == current else Put(changed)

        try:
            await self._api.storage.writes.guaranteed_change(
                target.key, equalise, self._api.storage.cached(target.key)
            )
        except KeyGoneError:
            await ensure(self._api, wanted)


def endpoints(live: list[tuple[str, int]]) -> JsonObject:
    """Endpoints default/kubernetes for these addresses, one subset per port."""
    by_port: dict[int, list[str]] = {}
    for address, port in live:
        by_port.setdefault(port, []).append(address)
    subsets: list[dict[str, Any]] = [
        {
            "addresses": [{"ip": address} for address in addresses],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }
        for port, addresses in sorted(by_port.items())
    ]
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "subsets": subsets,
    }


def endpoint_slice(live: list[tuple[str, int]]) -> JsonObject:
    """EndpointSlice default/kubernetes; where ports differ, the first replica's port counts."""
    port = live[0][1]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv6" if ":" in live[0][0] else "IPv4",
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": True}}
            for address, its_port in live
            if its_port == port
        ],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
