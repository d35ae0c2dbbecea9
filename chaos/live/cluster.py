"""What a scenario needs of a running cluster; the launcher's side implements it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chaos.live.network import Network


@dataclass(frozen=True, slots=True)
class Member:
    """One store member: its node's name and the URL that its clients use."""

    node: str
    client_url: str


@dataclass(frozen=True, slots=True)
class ApiServer:
    """One API server: its node's name and its own URL, past the virtual IP."""

    node: str
    url: str


@dataclass(frozen=True, slots=True)
class StoreTls:
    """The files of a client certificate for the store."""

    ca: Path
    cert: Path
    key: Path


class Cluster(Protocol):
    """A cluster whose processes can be killed and started again.

    Components are named `<kind>-<node>`: `raftstore-cp1`, `apiserver-cp2`, `vip-cp3`.
    """

    @property
    def members(self) -> Sequence[Member]: ...

    @property
    def api_servers(self) -> Sequence[ApiServer]: ...

    @property
    def kubeconfig(self) -> Path:
        """Credentials of a cluster administrator; its server is the virtual IP."""

    @property
    def store_tls(self) -> StoreTls: ...

    @property
    def network(self) -> Network | None:
        """The network between the members, None if this cluster's cannot be cut."""

    async def kill(self, component: str) -> None:
        """SIGKILL; returns when the process is gone. Raises if it does not run."""

    async def start(self, component: str) -> None:
        """Start a component that does not run; returns when it serves."""

    async def running(self) -> frozenset[str]:
        """The names of all components that run now."""
