"""Gives every namespace what every client waits for: ServiceAccount `default` and the root CA.

Moves to `controllers/` (serviceaccounts, root-ca-cert-publisher) once there is a controller
manager. Until then every API server runs one: the replica that served a namespace's create acts
at once, the others only if something is still missing a while later.
"""

from typing import Final

from apiserver.admission.namespaces import is_terminating
from apiserver.api import decode
from apiserver.api.errors import ApiError
from apiserver.due_names import DueNames
from apiserver.endpoints.api import Api
from apiserver.endpoints.create import create_object
from apiserver.endpoints.target import Target, namespace_key
from apiserver.store.objects import Event, JsonObject

NAMESPACES: Final = "/registry/namespaces/"
ACCOUNTS: Final = "/registry/serviceaccounts/"
CONFIG_MAPS: Final = "/registry/configmaps/"
ROOT_CA_NAME: Final = "kube-root-ca.crt"
ROOT_CA_DESCRIPTION: Final = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
    "guaranteed across distributions of Kubernetes clusters."
)
OTHERS_DELAY_S: Final = 2.0


class NamespaceFurnisher:
    """One per API server; `run` does the work."""

    def __init__(self, api: Api, root_ca: str) -> None:
        self._api = api
        self._root_ca = root_ca
        self._due = DueNames(self._furnish)
        api.storage.cacher.on_event(self._on_event)

    def hurry(self, name: str) -> None:
        """Furnish now: this replica has just served the create."""
        self._due.add(name)

    async def run(self) -> None:
        """Furnish every namespace, now and later, until cancelled."""
        await self._api.storage.cacher.wait_synced()
        for stored in self._api.storage.cacher.scan(NAMESPACES):
            self._due.add(stored.key.removeprefix(NAMESPACES), OTHERS_DELAY_S)
        await self._due.run()

    def _on_event(self, event: Event) -> None:
        key = event.key
        if key.startswith(NAMESPACES):
            if event.previous is None:
                self._due.add(key.removeprefix(NAMESPACES), OTHERS_DELAY_S)
        elif event.current is None and (
            (key.startswith(ACCOUNTS) and key.endswith("/default"))
            or (key.startswith(CONFIG_MAPS) and key.endswith(f"/{ROOT_CA_NAME}"))
        ):
            self._due.add(key.split("/")[3], OTHERS_DELAY_S)

    async def _furnish(self, name: str) -> bool:
        storage = self._api.storage
        if storage.cached(f"{ACCOUNTS}{name}/default") is None:
            await self._create(name, {"kind": "ServiceAccount", "metadata": {"name": "default"}})
        if self._root_ca and storage.cached(f"{CONFIG_MAPS}{name}/{ROOT_CA_NAME}") is None:
            annotations = {"kubernetes.io/description": ROOT_CA_DESCRIPTION}
            obj = {
                "kind": "ConfigMap",
                "metadata": {"name": ROOT_CA_NAME, "annotations": annotations},
                "data": {"ca.crt": self._root_ca},
            }
            await self._create(name, obj)
        return True

    async def _create(self, namespace: str, obj: JsonObject) -> None:
        stored = self._api.storage.cached(namespace_key(namespace))
        if stored is not None and is_terminating(stored):
            return
        resource = self._api.scheme.by_kind("v1", obj["kind"])
        assert resource is not None
        decoded = decode.decode(decode.Target.of(resource), {"apiVersion": "v1", **obj}).obj
        try:
            await create_object(self._api, Target(resource, namespace), decoded)
        except ApiError as error:
            if error.status_code not in (403, 404, 409):
                raise
