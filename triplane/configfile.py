"""`DIR/kubeadm-config.yaml`: how this directory's cluster is laid out, kept between runs.

The first document is a kubeadm ClusterConfiguration, for people and tools that know that one; the
second holds what kubeadm has no word for and is what we read back.
"""

from pathlib import Path
from typing import Any

from pki.files import PUBLIC_MODE, make_private_directory, read_file, write_files
from pki.layout import KeyAlgorithm
from triplane.errors import CommandError
from triplane.topology import Network, NodePlan, Topology

FILE_NAME = "kubeadm-config.yaml"
EXTENSION_API_VERSION = "triplane.dev/v1alpha1"
EXTENSION_KIND = "ClusterTopology"
KUBERNETES_VERSION = "v1.36.0"


def save_topology(data_dir: Path, topology: Topology) -> None:
    """Write the layout whole; it is on disk when this returns. Raises PkiError if it cannot be."""
    make_private_directory(data_dir)
    write_files([(data_dir / FILE_NAME, render_topology(topology, data_dir), PUBLIC_MODE)])


def load_topology(data_dir: Path) -> Topology | None:
    """The layout of the cluster that this directory holds, None if it holds none.

    Raises CommandError if the file is damaged.
    """
    path = data_dir / FILE_NAME
    content = read_file(path)
    return None if content is None else parse_topology(content, path)


def render_topology(topology: Topology, data_dir: Path) -> bytes:
    """Both documents as YAML."""
    import yaml

    cluster = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "clusterName": "kubernetes",
        "kubernetesVersion": KUBERNETES_VERSION,
        "controlPlaneEndpoint": topology.vip_address,
        "certificatesDir": str(data_dir / "pki"),
        "encryptionAlgorithm": topology.key_algorithm.value,
        "networking": {"serviceSubnet": topology.service_cidr, "dnsDomain": "cluster.local"},
        "apiServer": {"certSANs": [topology.vip_host, *(n.address for n in topology.nodes)]},
        "etcd": {"local": {"dataDir": str(data_dir / "nodes")}},
    }
    extension = {
        "apiVersion": EXTENSION_API_VERSION,
        "kind": EXTENSION_KIND,
        "replicas": topology.replicas,
        "apiservers": topology.apiservers,
        "network": topology.network.value,
        "addressRange": topology.address_range,
        "vip": {"host": topology.vip_host, "port": topology.vip_port},
        "serviceSubnet": topology.service_cidr,
        "keyAlgorithm": topology.key_algorithm.value,
        "nodes": [
            {
                "name": node.name,
                "address": node.address,
                "clientPort": node.client_port,
                "peerPort": node.peer_port,
                "peerListenPort": node.peer_listen_port,
                "apiserverPort": node.apiserver_port,
            }
            for node in topology.nodes
        ],
    }
    return yaml.safe_dump_all([cluster, extension], sort_keys=False).encode()


def parse_topology(content: bytes, path: Path) -> Topology:
    """What `render_topology` wrote; `path` names the file in the CommandError for anything else."""
    import yaml

    try:
        documents = list(yaml.safe_load_all(content))
        extension = next(
            document
            for document in documents
            if document.get("kind") == EXTENSION_KIND
            and document.get("apiVersion") == EXTENSION_API_VERSION
        )
        return _topology_of(extension)
    except (
        yaml.YAMLError,
        StopIteration,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        AssertionError,
    ) as error:
        raise CommandError(
            f"{path} does not describe a cluster of this program",
            "restore it from a backup, or choose another --data-dir",
        ) from error


def _topology_of(document: dict[str, Any]) -> Topology:
    return Topology(
        nodes=tuple(
            NodePlan(
                name=str(node["name"]),
                address=str(node["address"]),
                client_port=int(node["clientPort"]),
                peer_port=int(node["peerPort"]),
                peer_listen_port=int(node["peerListenPort"]),
                apiserver_port=int(node["apiserverPort"]),
            )
            for node in document["nodes"]
        ),
        replicas=int(document["replicas"]),
        apiservers=int(document["apiservers"]),
        address_range=str(document["addressRange"]),
        vip_host=str(document["vip"]["host"]),
        vip_port=int(document["vip"]["port"]),
        service_cidr=str(document["serviceSubnet"]),
        network=Network(document["network"]),
        key_algorithm=KeyAlgorithm(document["keyAlgorithm"]),
    )
