"""Which backend a connection goes to. Pure: reports come in, choices go out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Health(Enum):
    """What is known of a backend.

    READY takes connections. DRAINING answers, but not 200: it keeps what it has and gets no more.
    SILENT does not answer in time, or was not asked yet: it gets connections only if nobody is
    READY. DEAD refuses or is not who it should be: it gets none and loses those it has.
    """

    READY = "ready"
    DRAINING = "draining"
    SILENT = "silent"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class BackendAddress:
    """Where an API server listens; `host` is also the name its certificate must carry."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(slots=True, eq=False)
class Backend:
    """One backend and its load. `silent_since` is when it began not to answer, None if it does."""

    address: BackendAddress
    health: Health = Health.SILENT
    connections: int = 0
    silent_since: float | None = None
    last_chosen: int = 0


class Pool:
    """All backends of one address, in the order given."""

    def __init__(self, addresses: Sequence[BackendAddress], *, dead_after_s: float) -> None:
        self.backends = [Backend(address) for address in addresses]
        self._dead_after_s = dead_after_s
        self._choices = 0

    def choose(self, tried: Sequence[Backend] = ()) -> Backend | None:
        """The READY backend with the fewest connections, the longest unchosen among equals.

        Without one, a SILENT one; never one of `tried`. None if there is none.
        """
        for health in (Health.READY, Health.SILENT):
            able = [b for b in self.backends if b.health is health and b not in tried]
            if able:
                chosen = min(able, key=lambda backend: (backend.connections, backend.last_chosen))
                self._choices += 1
                chosen.last_chosen = self._choices
                return chosen
        return None

    def on_answer(self, backend: Backend, *, ready: bool) -> bool:
        """Its /readyz was answered; says whether that changed what we think of it."""
        backend.silent_since = None
        return _set(backend, Health.READY if ready else Health.DRAINING)

    def forget(self) -> None:
        """What was known is out of date: ask before preferring anybody."""
        for backend in self.backends:
            backend.health = Health.SILENT
            backend.silent_since = None

    def on_refused(self, backend: Backend) -> bool:
        """It refused a connection, closed one, or failed to prove who it is."""
        return _set(backend, Health.DEAD)

    def on_silence(self, backend: Backend, *, now: float) -> bool:
        """It did not answer in time; after `dead_after_s` of that it is dead."""
        if backend.health is Health.DEAD:
            return False
        if backend.silent_since is None:
            backend.silent_since = now
        long_silent = now - backend.silent_since >= self._dead_after_s
        return _set(backend, Health.DEAD if long_silent else Health.SILENT)


def _set(backend: Backend, health: Health) -> bool:
    changed = backend.health is not health
    backend.health = health
    return changed
