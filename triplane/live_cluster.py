"""The launcher's cluster as the fault injector wants it: `chaos.live.cluster.Cluster`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from chaos.live import network as chaos_network
from chaos.live.cluster import ApiServer, Member, StoreTls
from chaos.live.network import ProxyNetwork
from triplane.launcher import Launcher
from triplane.namespaces import network_of
from triplane.topology import Network


class LiveCluster:
    """Real processes under faults. Blocking work of the launcher runs in threads."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        pki = launcher.data.pki / "etcd"
        self._store_tls = StoreTls(
            ca=pki / "ca.crt",
            cert=pki / "healthcheck-client.crt",
            key=pki / "healthcheck-client.key",
        )
        self._network = _network_of(launcher)

    @property
    def members(self) -> Sequence[Member]:
        topology = self._launcher.topology
        return [Member(node.name, node.client_url) for node in topology.members]

    @property
    def api_servers(self) -> Sequence[ApiServer]:
        topology = self._launcher.topology
        return [
            ApiServer(node.name, f"https://{node.apiserver_address}")
            for node in topology.apiserver_nodes
        ]

    @property
    def kubeconfig(self) -> Path:
        return self._launcher.data.admin_kubeconfig

    @property
    def store_tls(self) -> StoreTls:
        return self._store_tls

    @property
    def network(self) -> chaos_network.Network | None:
        return self._network

    async def kill(self, component: str) -> None:
        """SIGKILL; returns when the process is gone. CommandError if it does not run."""
        await asyncio.to_thread(self._launcher.kill, component)

    async def start(self, component: str) -> None:
        """Start a component that does not run; returns when it serves."""
        await asyncio.to_thread(self._launcher.start, component)

    async def running(self) -> frozenset[str]:
        """The names of all components that run now."""
        return frozenset(await asyncio.to_thread(self._launcher.running))


def _network_of(launcher: Launcher) -> chaos_network.Network | None:
    match launcher.topology.network:
        case Network.DIRECT:
            return None
        case Network.PROXY:
            return ProxyNetwork(launcher.data.proxy_control)
        case Network.NETNS:
            return network_of(launcher.topology, launcher.data.root)
