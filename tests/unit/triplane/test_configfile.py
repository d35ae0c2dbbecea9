"""The saved layout reads back, looks like kubeadm's, and is refused when damaged."""

from pathlib import Path

import pytest
import yaml

from pki.layout import KeyAlgorithm
from triplane.configfile import parse_topology, render_topology
from triplane.errors import CommandError
from triplane.topology import Network, Topology, on_one_address, plan_topology

DATA_DIR = Path("/data")
PATH = DATA_DIR / "kubeadm-config.yaml"


@pytest.mark.parametrize(
    "topology",
    [
        plan_topology(),
        plan_topology(
            replicas=5, apiservers=1, address_range="127.0.27.0/24", network=Network.PROXY
        ),
        on_one_address(plan_topology(service_cidr="10.0.0.0/16")),
        plan_topology(key_algorithm=KeyAlgorithm.RSA_2048),
    ],
)
def test_what_is_saved_reads_back(topology: Topology) -> None:
    assert parse_topology(render_topology(topology, DATA_DIR), PATH) == topology


def test_the_first_document_is_kubeadms() -> None:
    cluster, _ = yaml.safe_load_all(render_topology(plan_topology(), DATA_DIR))
    assert cluster["kind"] == "ClusterConfiguration"
    assert cluster["controlPlaneEndpoint"] == "127.0.0.10:6443"
    assert cluster["certificatesDir"] == "/data/pki"
    assert cluster["networking"]["serviceSubnet"] == "10.96.0.0/12"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"- 1",
        b"kind: ClusterConfiguration\n",
        render_topology(plan_topology(), DATA_DIR).replace(b"replicas: 3", b"replicas: three"),
        render_topology(plan_topology(), DATA_DIR).replace(b"replicas: 3", b"replicas: 5"),
        render_topology(plan_topology(), DATA_DIR).replace(b"v1alpha1", b"v9"),
    ],
)
def test_what_is_no_layout_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(CommandError, match=r"^/data/kubeadm-config\.yaml does not describe"):
        parse_topology(content, PATH)
