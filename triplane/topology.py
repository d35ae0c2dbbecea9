"""What a cluster consists of: nodes, addresses and ports. Pure: plans only, touches nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, ip_network

from pki.layout import ClusterNames, KeyAlgorithm, Node
from triplane.errors import UsageError

MEMBERS_MAX = 7
"""etcd's own limit of advice: more members only make every write wait for more disks."""
APISERVERS_MAX = 16
DEFAULT_RANGE = "127.0.0.0/24"
DEFAULT_NETNS_RANGE = "10.88.0.0/24"
"""Of the bridge between namespaces; this machine has its first address."""
LOOPBACK = "127.0.0.1"
_VIP_OFFSET = 10
_PROXY_PORT_OFFSET = 10
_SHARED_ADDRESS_STEP = 100


class Network(StrEnum):
    """What lies between the nodes: nothing, the peer proxy, or namespaces on a bridge (root)."""

    DIRECT = "direct"
    PROXY = "proxy"
    NETNS = "netns"


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a node that has an address of its own; etcd's and kube-apiserver's defaults."""

    client: int = 2379
    peer: int = 2380
    apiserver: int = 6443


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One control-plane node. `peer_listen_port` differs from `peer_port` behind the peer proxy."""

    name: str
    address: str
    client_port: int
    peer_port: int
    peer_listen_port: int
    apiserver_port: int

    @property
    def client_url(self) -> str:
        return f"https://{self.address}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        """What the member advertises to its peers; the peer proxy stands there if there is one."""
        return f"https://{self.address}:{self.peer_port}"

    @property
    def peer_listen_url(self) -> str:
        return f"https://{self.address}:{self.peer_listen_port}"

    @property
    def apiserver_address(self) -> str:
        return f"{self.address}:{self.apiserver_port}"


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole cluster: the first `replicas` nodes hold a store member, the first `apiservers` an
    API server, and every node a virtual IP agent.
    """

    nodes: tuple[NodePlan, ...]
    replicas: int
    apiservers: int
    address_range: str
    vip_host: str
    vip_port: int
    service_cidr: str
    network: Network
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256

    def __post_init__(self) -> None:
        assert len(self.nodes) == max(self.replicas, self.apiservers)

    @property
    def peer_proxy(self) -> bool:
        """Whether the peer proxy stands between the members."""
        return self.network is Network.PROXY

    @property
    def members(self) -> tuple[NodePlan, ...]:
        return self.nodes[: self.replicas]

    @property
    def apiserver_nodes(self) -> tuple[NodePlan, ...]:
        return self.nodes[: self.apiservers]

    @property
    def vip_address(self) -> str:
        return f"{self.vip_host}:{self.vip_port}"

    @property
    def vip_url(self) -> str:
        return f"https://{self.vip_address}"

    @property
    def shares_one_address(self) -> bool:
        """Whether all nodes are ports of one address, on a machine that has no more of them."""
        return len(self.nodes) > 1 and len({node.address for node in self.nodes}) == 1

    def members_seen_from(self, node: NodePlan) -> tuple[NodePlan, ...]:
        """All members, the node's own first: the order of preference for its clients."""
        own = [member for member in self.members if member.name == node.name]
        return (*own, *(member for member in self.members if member.name != node.name))

    def certificate_names(self) -> ClusterNames:
        """What this cluster's certificates must name."""
        return ClusterNames(
            nodes=tuple(Node(node.name, node.address) for node in self.nodes),
            endpoint_host=self.vip_host,
            endpoint_port=self.vip_port,
            service_cidr=self.service_cidr,
        )


def plan_topology(
    *,
    replicas: int = 3,
    apiservers: int = 3,
    address_range: str = DEFAULT_RANGE,
    ports: Ports = Ports(),
    vip_port: int = 6443,
    service_cidr: str = "10.96.0.0/12",
    network: Network = Network.DIRECT,
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256,
) -> Topology:
    """Node cpN at the (10+N)th address of `address_range`, the virtual IP at the tenth.

    Raises UsageError for numbers and ranges that make no cluster.
    """
    check_replicas(replicas)
    if not 1 <= apiservers <= APISERVERS_MAX:
        raise UsageError(
            f"--apiservers {apiservers} is not between 1 and {APISERVERS_MAX}", "choose 3, say"
        )
    subnet = _parse_range(address_range, replicas, apiservers)
    _check_service_cidr(service_cidr)
    peer_proxy = network is Network.PROXY
    _check_ports(ports, vip_port, peer_proxy=peer_proxy)
    listen_offset = _PROXY_PORT_OFFSET if peer_proxy else 0
    nodes = tuple(
        NodePlan(
            name=f"cp{number}",
            address=str(subnet.network_address + _VIP_OFFSET + number),
            client_port=ports.client,
            peer_port=ports.peer,
            peer_listen_port=ports.peer + listen_offset,
            apiserver_port=ports.apiserver,
        )
        for number in range(1, max(replicas, apiservers) + 1)
    )
    return Topology(
        nodes=nodes,
        replicas=replicas,
        apiservers=apiservers,
        address_range=address_range,
        vip_host=str(subnet.network_address + _VIP_OFFSET),
        vip_port=vip_port,
        service_cidr=service_cidr,
        network=network,
        key_algorithm=key_algorithm,
    )


def on_one_address(topology: Topology, address: str = LOOPBACK) -> Topology:
    """The same cluster as ports of one address, for hosts that have only 127.0.0.1 (macOS).

    The virtual IP keeps its port; API servers follow it, members are a hundred ports apart.
    """
    nodes = tuple(
        NodePlan(
            name=node.name,
            address=address,
            client_port=node.client_port + _SHARED_ADDRESS_STEP * index,
            peer_port=node.peer_port + _SHARED_ADDRESS_STEP * index,
            peer_listen_port=node.peer_listen_port + _SHARED_ADDRESS_STEP * index,
            apiserver_port=topology.vip_port + 1 + index,
        )
        for index, node in enumerate(topology.nodes)
    )
    return Topology(
        nodes=nodes,
        replicas=topology.replicas,
        apiservers=topology.apiservers,
        address_range=topology.address_range,
        vip_host=address,
        vip_port=topology.vip_port,
        service_cidr=topology.service_cidr,
        network=topology.network,
        key_algorithm=topology.key_algorithm,
    )


def check_replicas(replicas: int) -> None:
    """Raise UsageError unless `replicas` is a number of members that consensus gains from."""
    if replicas < 1 or replicas > MEMBERS_MAX:
        raise UsageError(
            f"--replicas {replicas} is not between 1 and {MEMBERS_MAX}", "choose 1, 3 or 5"
        )
    if replicas % 2 == 0:
        survives = (replicas - 1) // 2
        raise UsageError(
            f"--replicas {replicas} needs {replicas // 2 + 1} members for a quorum and survives "
            f"the loss of {survives}, no more than {replicas - 1} would",
            f"choose an odd number: {replicas - 1} or {replicas + 1}",
        )


def addresses_needed(topology: Topology) -> Sequence[str]:
    """Every address that this machine must have, without repetition."""
    return tuple(dict.fromkeys([topology.vip_host, *(node.address for node in topology.nodes)]))


def _parse_range(text: str, replicas: int, apiservers: int) -> IPv4Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise UsageError(f"--address-range: {error}", "write it as 127.0.0.0/24") from error
    last_offset = _VIP_OFFSET + max(replicas, apiservers)
    if not isinstance(network, IPv4Network) or network.num_addresses <= last_offset + 1:
        raise UsageError(
            f"--address-range {text} has no IPv4 address number {last_offset}", "choose a /24"
        )
    return network


def _check_service_cidr(text: str) -> None:
    # kube-apiserver's rule too: at most 20 bits of hosts, and at least the `kubernetes` Service.
    try:
        network = ip_network(text)
    except ValueError as error:
        raise UsageError(
            f"--service-cluster-ip-range: {error}", "write it as 10.96.0.0/12"
        ) from error
    if network.num_addresses < 8 or network.max_prefixlen - network.prefixlen > 20:
        raise UsageError(
            f"--service-cluster-ip-range {text} must hold 8 to 2^20 addresses", "use 10.96.0.0/12"
        )


def _check_ports(ports: Ports, vip_port: int, *, peer_proxy: bool) -> None:
    listened = [ports.client, ports.peer, ports.apiserver]
    if peer_proxy:
        listened.append(ports.peer + _PROXY_PORT_OFFSET)
    for port in (*listened, vip_port):
        if not 1 <= port <= 65535:
            raise UsageError(f"port {port} is not between 1 and 65535", "choose another")
    for port in listened:
        if listened.count(port) > 1:
            raise UsageError(f"port {port} is given twice on each node", "choose different ports")
