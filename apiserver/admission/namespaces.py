"""NamespaceLifecycle: nothing is created in a namespace that is not there or is on its way out.

The original checks its cache and hopes; here the check ends in a `Guard`, which the creating
transaction verifies. So when a namespace is seen Terminating at some revision, no object can
appear in it after that revision, and whoever empties it can know that it is empty.
"""

from typing import Final

from apiserver.api import errors
from apiserver.endpoints.target import namespace_key
from apiserver.store.etcd3 import Guard
from apiserver.store.objects import StoredObject
from apiserver.store.storage import Storage

IMMORTAL: Final = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle:
    """The admission of creates and deletes as far as namespaces are concerned."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def admit_create(
        self, namespace: str, *, group: str, plural: str, name: str, fresh: bool
    ) -> Guard:
        """The guard for a create in `namespace`; `fresh` when a cached guard was lost.

        Raises `ApiError` 404 when the namespace does not exist, 403 when it is Terminating; both
        only after the store has confirmed it.
        """
        key = namespace_key(namespace)
        stored = None if fresh else self._storage.cached(key)
        if stored is None or is_terminating(stored):
            stored = await self._storage.get(key)
        if stored is None:
            raise errors.not_found("", "namespaces", namespace)
        if is_terminating(stored):
            why = (
                f"unable to create new content in namespace {namespace} "
                "because it is being terminated"
            )
            refusal = errors.forbidden(group, plural, name, why)
            raise NamespaceTerminatingError.of(refusal, namespace)
        return Guard(key, stored.mod_revision)

    def admit_delete(self, name: str) -> None:
        """Refuse the deletion of the namespaces that the system itself lives in."""
        if name in IMMORTAL:
            why = "this namespace may not be deleted"
            raise errors.forbidden("", "namespaces", name, why)


class NamespaceTerminatingError(errors.ApiError):
    """403 with the cause that clients look for (NamespaceTerminating)."""

    @classmethod
    def of(cls, refusal: errors.ApiError, namespace: str) -> "NamespaceTerminatingError":
        """The refusal with the cause added."""
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        details = refusal.details
        assert details is not None
        named = errors.Details(
            name=details.name, group=details.group, kind=details.kind, causes=(cause,)
        )
        return cls(refusal.status_code, refusal.reason, refusal.message, named)


def is_terminating(namespace: StoredObject) -> bool:
    """Whether a Namespace has been asked to go."""
    return "deletionTimestamp" in namespace.decoded["metadata"]
