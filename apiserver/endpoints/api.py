"""What every verb needs: the store, the scheme, time and chance, given once at start."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from apiserver.admission.namespaces import NamespaceLifecycle
from apiserver.api.scheme import Scheme
from apiserver.store.storage import Storage


def utc_now() -> datetime:
    """The wall clock, which creationTimestamps show; nothing is decided by it."""
    return datetime.now(UTC)


def _nobody(name: str) -> None:
    """Nobody wants to know about namespaces."""


@dataclass(slots=True)
class Api:
    """The endpoints' surroundings in one API server."""

    storage: Storage
    scheme: Scheme
    namespaces: NamespaceLifecycle
    now: Callable[[], datetime] = utc_now
    chance: random.Random = field(default_factory=random.SystemRandom)
    # Told the name of each namespace that this server created, or marked as going.
    namespace_created: Callable[[str], None] = _nobody
    namespace_deleted: Callable[[str], None] = _nobody
