"""Which certificates the cluster has: names, subjects, usages, hosts, as `kubeadm init` has them.

Pure tables, no files and no keys. Sources: kubeadm's certificate list (`certs/certlist.go`) and
"PKI certificates and requirements" of the Kubernetes documentation.

Where we differ from kubeadm, and why:

- `admin.conf` and `apiserver-kubelet-client` carry `O=system:masters`. New kubeadm gives them
  `kubeadm:cluster-admins`, which RBAC then binds to `cluster-admin`; as long as our authorizer
  knows no RBAC, that group could do nothing.
- `etcd/server` and `etcd/peer` name every node: a cluster's nodes on one machine share `DIR/pki`.
- `kubelet.crt` is signed by the cluster's CA rather than by itself, so that it can be verified.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network

MASTERS_GROUP = "system:masters"
NODES_GROUP = "system:nodes"


class KeyAlgorithm(StrEnum):
    """The names that kubeadm's `ClusterConfiguration.encryptionAlgorithm` uses."""

    ECDSA_P256 = "ECDSA-P256"
    RSA_2048 = "RSA-2048"


@dataclass(frozen=True, slots=True)
class Node:
    """One control-plane node: its name and the address it advertises."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class ClusterNames:
    """Everything a certificate of this cluster may have to name.

    `endpoint_host` and `endpoint_port` are where clients reach the API servers: the virtual IP.
    `service_cidr` gives the `kubernetes` Service its address, the first of the range.
    """

    nodes: tuple[Node, ...]
    endpoint_host: str
    endpoint_port: int = 6443
    service_cidr: str = "10.96.0.0/12"
    dns_domain: str = "cluster.local"
    extra_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ValueError("a cluster has at least one node")

    @property
    def endpoint_url(self) -> str:
        """`https://host:port` of the virtual IP, an IPv6 host in brackets."""
        host = f"[{self.endpoint_host}]" if ":" in self.endpoint_host else self.endpoint_host
        return f"https://{host}:{self.endpoint_port}"

    @property
    def kubernetes_service_address(self) -> str:
        """The first usable address of the service range: `10.96.0.1` in `10.96.0.0/12`."""
        network = ip_network(self.service_cidr)
        return str(network.network_address + 1)


@dataclass(frozen=True, slots=True)
class AuthorityProfile:
    """A self-signed CA: `base` is its path below `pki/` without suffix, `name` kubeadm's for it."""

    name: str
    base: str
    common_name: str


@dataclass(frozen=True, slots=True)
class LeafProfile:
    """A certificate signed by `authority`; `hosts` are its DNS names and IP addresses.

    `server` and `client` are the extended key usages serverAuth and clientAuth.
    """

    name: str
    base: str
    authority: AuthorityProfile
    common_name: str
    organizations: tuple[str, ...] = ()
    server: bool = False
    client: bool = False
    hosts: tuple[str, ...] = ()


CLUSTER_CA = AuthorityProfile(name="ca", base="ca", common_name="kubernetes")
FRONT_PROXY_CA = AuthorityProfile("front-proxy-ca", "front-proxy-ca", "front-proxy-ca")
ETCD_CA = AuthorityProfile(name="etcd-ca", base="etcd/ca", common_name="etcd-ca")
AUTHORITIES = (CLUSTER_CA, ETCD_CA, FRONT_PROXY_CA)


def leaf_profiles(names: ClusterNames) -> tuple[LeafProfile, ...]:
    """The certificates that live in `pki/` as `<base>.crt` and `<base>.key`."""
    first = names.nodes[0]
    return (
        LeafProfile(
            name="apiserver",
            base="apiserver",
            authority=CLUSTER_CA,
            common_name="kube-apiserver",
            server=True,
            hosts=_apiserver_hosts(names),
        ),
        LeafProfile(
            name="apiserver-kubelet-client",
            base="apiserver-kubelet-client",
            authority=CLUSTER_CA,
            common_name="kube-apiserver-kubelet-client",
            organizations=(MASTERS_GROUP,),
            client=True,
        ),
        LeafProfile(
            name="kubelet",
            base="kubelet",
            authority=CLUSTER_CA,
            common_name=f"system:node:{first.name}",
            organizations=(NODES_GROUP,),
            server=True,
            client=True,
            hosts=_node_hosts(names),
        ),
        LeafProfile(
            name="front-proxy-client",
            base="front-proxy-client",
            authority=FRONT_PROXY_CA,
            common_name="front-proxy-client",
            client=True,
        ),
        *_etcd_profiles(names),
    )


def kubeconfig_profiles(names: ClusterNames) -> tuple[LeafProfile, ...]:
    """The client certificates inside the kubeconfigs beside `pki/`; `base` is the file's name."""
    users = (
        ("admin.conf", "kubernetes-admin", (MASTERS_GROUP,)),
        ("controller-manager.conf", "system:kube-controller-manager", ()),
        ("scheduler.conf", "system:kube-scheduler", ()),
        ("kubelet.conf", f"system:node:{names.nodes[0].name}", (NODES_GROUP,)),
    )
    return tuple(
        LeafProfile(
            name=file_name,
            base=file_name,
            authority=CLUSTER_CA,
            common_name=user,
            organizations=groups,
            client=True,
        )
        for file_name, user, groups in users
    )


def _etcd_profiles(names: ClusterNames) -> tuple[LeafProfile, ...]:
    # A member dials its peers with the certificate that it serves with: both usages.
    members = tuple(
        LeafProfile(
            name=f"etcd-{role}",
            base=f"etcd/{role}",
            authority=ETCD_CA,
            common_name=names.nodes[0].name,
            server=True,
            client=True,
            hosts=_node_hosts(names),
        )
        for role in ("server", "peer")
    )
    clients = tuple(
        LeafProfile(
            name=name,
            base=base,
            authority=ETCD_CA,
            common_name=f"kube-{name}",
            client=True,
        )
        for name, base in (
            ("etcd-healthcheck-client", "etcd/healthcheck-client"),
            ("apiserver-etcd-client", "apiserver-etcd-client"),
        )
    )
    return members + clients


def _node_hosts(names: ClusterNames) -> tuple[str, ...]:
    return _unique(
        [
            *(node.name for node in names.nodes),
            "localhost",
            *(node.address for node in names.nodes),
            "127.0.0.1",
            "::1",
        ]
    )


def _apiserver_hosts(names: ClusterNames) -> tuple[str, ...]:
    return _unique(
        [
            *(node.name for node in names.nodes),
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{names.dns_domain}",
            names.kubernetes_service_address,
            names.endpoint_host,
            *(node.address for node in names.nodes),
            "127.0.0.1",
            "::1",
            *names.extra_hosts,
        ]
    )


def _unique(hosts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hosts))


def is_address(host: str) -> bool:
    """Whether `host` is an IP address rather than a DNS name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
