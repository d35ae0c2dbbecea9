"""Which processes a cluster consists of and how each is called. Pure: command lines only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from triplane.topology import Network, NodePlan, Topology


class Kind(StrEnum):
    """The Python package that a component runs; also the first half of its name."""

    PEER_PROXY = "peerproxy"
    RAFTSTORE = "raftstore"
    APISERVER = "apiserver"
    VIP = "vip"


INTERFACE = "eth0"
"""What a node in a namespace of its own calls its end of the wire."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An address that a component needs for itself, and what for."""

    host: str
    port: int
    purpose: str


@dataclass(frozen=True, slots=True)
class Component:
    """One process of the cluster, named `<kind>-<node>`; `module` and `flags` are its command."""

    name: str
    kind: Kind
    node: str
    module: str
    flags: tuple[str, ...]
    listeners: tuple[Listener, ...] = ()
    prefix: tuple[str, ...] = ()
    """What the command is run by: `ip netns exec …` for a node in a namespace of its own."""


@dataclass(frozen=True, slots=True)
class DataDir:
    """The paths of a data directory that mirrors /etc/kubernetes."""

    root: Path

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.root / "admin.conf"

    @property
    def proxy_control(self) -> Path:
        """The control socket of the peer proxy."""
        return self.run / "peerproxy.sock"

    def store_of(self, node: str) -> Path:
        return self.root / "nodes" / node / "raftstore"

    def log_of(self, component: str) -> Path:
        return self.logs / f"{component}.log"

    def pid_file_of(self, component: str) -> Path:
        return self.run / f"{component}.pid"


def plan_components(topology: Topology, data: DataDir) -> tuple[Component, ...]:
    """Every component, in the order in which a cluster is best started and, reversed, stopped."""
    proxy = (_peer_proxy(topology, data),) if topology.peer_proxy else ()
    components = (
        *proxy,
        *(_raftstore(topology, node, data) for node in topology.members),
        *(_apiserver(topology, node, data) for node in topology.apiserver_nodes),
        *(_vip(topology, node, data) for node in topology.nodes),
    )
    if topology.network is not Network.NETNS:
        return components
    from triplane.namespaces import network_of

    network = network_of(topology, data.root)
    return tuple(
        replace(component, prefix=tuple(network.command_prefix(component.node)))
        for component in components
    )


def _raftstore(topology: Topology, node: NodePlan, data: DataDir) -> Component:
    pki = data.pki / "etcd"
    localaddr = () if topology.shares_one_address else ("--set-member-localaddr",)
    return Component(
        name=f"{Kind.RAFTSTORE}-{node.name}",
        kind=Kind.RAFTSTORE,
        node=node.name,
        module="raftstore",
        flags=(
            *("--name", node.name),
            *("--data-dir", str(data.store_of(node.name))),
            *("--initial-cluster", _initial_cluster(topology.members)),
            *("--initial-cluster-state", "new"),
            *("--initial-cluster-token", "triplane"),
            *("--listen-peer-urls", node.peer_listen_url),
            *("--initial-advertise-peer-urls", node.peer_url),
            *("--listen-client-urls", node.client_url),
            *("--advertise-client-urls", node.client_url),
            *("--cert-file", str(pki / "server.crt")),
            *("--key-file", str(pki / "server.key")),
            *("--trusted-ca-file", str(pki / "ca.crt")),
            "--client-cert-auth",
            *("--peer-cert-file", str(pki / "peer.crt")),
            *("--peer-key-file", str(pki / "peer.key")),
            *("--peer-trusted-ca-file", str(pki / "ca.crt")),
            "--peer-client-cert-auth",
            *localaddr,
        ),
        listeners=(
            Listener(node.address, node.client_port, "its clients"),
            Listener(node.address, node.peer_listen_port, "its peers"),
        ),
    )


def _apiserver(topology: Topology, node: NodePlan, data: DataDir) -> Component:
    pki = data.pki
    return Component(
        name=f"{Kind.APISERVER}-{node.name}",
        kind=Kind.APISERVER,
        node=node.name,
        module="apiserver",
        flags=(
            *("--bind-address", node.address),
            *("--advertise-address", node.address),
            *("--secure-port", str(node.apiserver_port)),
            *("--tls-cert-file", str(pki / "apiserver.crt")),
            *("--tls-private-key-file", str(pki / "apiserver.key")),
            *("--client-ca-file", str(pki / "ca.crt")),
            *_etcd_flags(topology.members_seen_from(node), pki),
            *("--service-cluster-ip-range", topology.service_cidr),
            *("--service-account-key-file", str(pki / "sa.pub")),
            *("--service-account-signing-key-file", str(pki / "sa.key")),
            *("--service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
            *("--requestheader-client-ca-file", str(pki / "front-proxy-ca.crt")),
            *("--requestheader-allowed-names", "front-proxy-client"),
            *("--requestheader-username-headers", "X-Remote-User"),
            *("--requestheader-group-headers", "X-Remote-Group"),
            *("--requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        ),
        listeners=(Listener(node.address, node.apiserver_port, "the Kubernetes API"),),
    )


def _vip(topology: Topology, node: NodePlan, data: DataDir) -> Component:
    backends = ",".join(backend.apiserver_address for backend in topology.apiserver_nodes)
    return Component(
        name=f"{Kind.VIP}-{node.name}",
        kind=Kind.VIP,
        node=node.name,
        module="vip",
        flags=(
            *("--address", topology.vip_address),
            *("--node-name", node.name),
            *("--backends", backends),
            *("--backend-cafile", str(data.pki / "ca.crt")),
            *(("--interface", INTERFACE) if topology.network is Network.NETNS else ()),
            *_etcd_flags(topology.members_seen_from(node), data.pki),
        ),
        listeners=(Listener(topology.vip_host, topology.vip_port, "the virtual IP"),),
    )


def _etcd_flags(members: Sequence[NodePlan], pki: Path) -> tuple[str, ...]:
    return (
        *("--etcd-servers", ",".join(member.client_url for member in members)),
        *("--etcd-cafile", str(pki / "etcd" / "ca.crt")),
        *("--etcd-certfile", str(pki / "apiserver-etcd-client.crt")),
        *("--etcd-keyfile", str(pki / "apiserver-etcd-client.key")),
    )


def _initial_cluster(members: Iterable[NodePlan]) -> str:
    return ",".join(f"{member.name}={member.peer_url}" for member in members)


def _peer_proxy(topology: Topology, data: DataDir) -> Component:
    links = ",".join(
        f"{member.name}={member.address}:{member.peer_port}>{member.address}:{member.peer_listen_port}"
        for member in topology.members
    )
    return Component(
        name=f"{Kind.PEER_PROXY}-net",
        kind=Kind.PEER_PROXY,
        node="net",
        module="chaos.live.proxy",
        flags=("--members", links, "--control", str(data.proxy_control)),
        listeners=tuple(
            Listener(member.address, member.peer_port, f"the peers of {member.name}")
            for member in topology.members
        ),
    )
