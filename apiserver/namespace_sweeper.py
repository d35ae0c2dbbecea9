"""Empties namespaces that are Terminating, then lets them go.

Moves to `controllers/` once there is a controller manager; until then every API server runs one.
That is safe: each step is a compare-and-swap, and creates are guarded by the namespace's revision
(see `admission.namespaces`), so a namespace found empty after its Terminating mark stays empty.
The replica that served the delete sweeps at once, the others look in after a while.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from apiserver.admission.namespaces import is_terminating
from apiserver.api.errors import ApiError
from apiserver.api.scheme import Resource, Scheme
from apiserver.due_names import DueNames
from apiserver.endpoints.api import Api
from apiserver.endpoints.delete import delete_object
from apiserver.endpoints.delete_options import BACKGROUND, DeleteOptions
from apiserver.endpoints.removal import is_finished
from apiserver.endpoints.target import Target, namespace_key
from apiserver.store.etcd3 import KEEP, Decision, KeyGoneError, Put, Remove
from apiserver.store.objects import Event, JsonObject, StoredObject

PREFIX: Final = "/registry/namespaces/"
FINALIZER: Final = "kubernetes"
OTHERS_DELAY_S: Final = 2.0
WORKERS: Final = 16


class NamespaceSweeper:
    """One per API server; `run` does the work."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._due = DueNames(self._sweep)
        api.storage.cacher.on_event(self._on_event)

    def hurry(self, name: str) -> None:
        """Sweep now: this replica has just served the delete."""
        self._due.add(name)

    async def run(self) -> None:
        """Sweep whatever is Terminating, now and later, until cancelled."""
        await self._api.storage.cacher.wait_synced()
        for stored in self._api.storage.cacher.scan(PREFIX):
            if is_terminating(stored):
                self._due.add(stored.key.removeprefix(PREFIX))
        await self._due.run()

    def _on_event(self, event: Event) -> None:
        current = event.current
        if current is not None and event.key.startswith(PREFIX) and is_terminating(current):
            self._due.add(event.key.removeprefix(PREFIX), OTHERS_DELAY_S)

    async def _sweep(self, name: str) -> bool:
        api = self._api
        namespace = await api.storage.get(namespace_key(name))
        if namespace is None or not is_terminating(namespace):
            return True
        await self._delete_all(self._content(name))
        await api.storage.catch_up()
        if next(self._content(name), None) is not None:
            return False
        try:
            await api.storage.writes.guaranteed_change(namespace_key(name), _finalize, namespace)
        except KeyGoneError:
            return True
        return True

    def _content(self, namespace: str) -> Iterator[tuple[Target, StoredObject]]:
        for resource in namespaced_resources(self._api.scheme):
            prefix = Target(resource, namespace).prefix
            for stored in list(self._api.storage.cacher.scan(prefix)):
                yield Target(resource, namespace, stored.key.removeprefix(prefix)), stored

    async def _delete_all(self, content: Iterable[tuple[Target, StoredObject]]) -> None:
        options = DeleteOptions(propagation_policy=BACKGROUND)
        pending = iter(list(content))

        async def work() -> None:
            for target, stored in pending:
                try:
                    await delete_object(self._api, target, options, stored)
                except ApiError as error:
                    if error.status_code != 404:
                        raise

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(WORKERS):
                    tasks.create_task(work(), name="namespace-sweep")
        except* ApiError as group:
            raise group.exceptions[0] from group


def namespaced_resources(scheme: Scheme) -> Iterator[Resource]:
    """One resource for each place in which namespaced objects are stored."""
    seen: set[str] = set()
    for resource in scheme:
        wanted = resource.namespaced and "delete" in resource.verbs
        if wanted and resource.storage_prefix not in seen:
            seen.add(resource.storage_prefix)
            yield resource


def _finalize(namespace: JsonObject) -> Decision:
    if "deletionTimestamp" not in namespace["metadata"]:
        return KEEP
    spec = namespace.get("spec") or {}
    finalizers = [f for f in spec.get("finalizers") or [] if f != FINALIZER]
    spec["finalizers"] = finalizers
    if not finalizers:
        del spec["finalizers"]
    namespace["spec"] = spec
    return Remove() if is_finished(namespace) else Put(namespace)
