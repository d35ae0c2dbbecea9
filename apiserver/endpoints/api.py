"""What every verb needs: the store, the scheme, time and chance, given once at start."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from apiserver.admission.namespaces import NamespaceLifecycle
from apiserver.api.scheme import Scheme
from apiserver.store.objects import JsonObject
from apiserver.store.storage import Storage


def utc_now() -> datetime:
    """The wall clock, which creationTimestamps show; nothing is decided by it."""
    return datetime.now(UTC)


class Addresses(Protocol):
    """Who gives Services their addresses: `admission.service_addresses.ServiceAddresses`."""

    async def assign(self, service: JsonObject, chance: random.Random, now: str) -> bool:
        """Give a new Service an address; whether one was taken."""

    async def release(self, service: JsonObject) -> None:
        """Take an address back."""


def _nobody(name: str) -> None:
    """Nobody wants to know about namespaces."""


@dataclass(slots=True)
class Api:
    """The endpoints' surroundings in one API server."""

    storage: Storage
    scheme: Scheme
    namespaces: NamespaceLifecycle
    # None where no Service gets an address.
    addresses: Addresses | None = None
    now: Callable[[], datetime] = utc_now
    chance: random.Random = field(default_factory=random.SystemRandom)
    # Told the name of each namespace that this server created, or marked as going.
    namespace_created: Callable[[str], None] = _nobody
    namespace_deleted: Callable[[str], None] = _nobody
