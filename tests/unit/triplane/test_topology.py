"""Nodes, addresses and ports: what a plan holds, and which requests make none."""

import pytest

from triplane.errors import UsageError
from triplane.topology import Network, Ports, addresses_needed, on_one_address, plan_topology


def test_three_nodes_and_the_virtual_ip_by_default() -> None:
    topology = plan_topology()
    assert [(node.name, node.address) for node in topology.nodes] == [
        ("cp1", "127.0.0.11"),
        ("cp2", "127.0.0.12"),
        ("cp3", "127.0.0.13"),
    ]
    first = topology.nodes[0]
    assert first.client_url == "https://127.0.0.11:2379"
    assert first.peer_url == first.peer_listen_url == "https://127.0.0.11:2380"
    assert first.apiserver_address == "127.0.0.11:6443"
    assert topology.vip_url == "https://127.0.0.10:6443"


@pytest.mark.parametrize(
    ("replicas", "apiservers", "nodes"), [(1, 1, 1), (5, 3, 5), (1, 4, 4), (3, 2, 3)]
)
def test_as_many_nodes_as_members_or_api_servers(
    replicas: int, apiservers: int, nodes: int
) -> None:
    topology = plan_topology(replicas=replicas, apiservers=apiservers)
    assert len(topology.nodes) == nodes
    assert [node.name for node in topology.members] == [f"cp{i + 1}" for i in range(replicas)]
    assert len(topology.apiserver_nodes) == apiservers


def test_behind_the_peer_proxy_members_listen_elsewhere_than_they_say() -> None:
    node = plan_topology(network=Network.PROXY).nodes[1]
    assert node.peer_url == "https://127.0.0.12:2380"
    assert node.peer_listen_url == "https://127.0.0.12:2390"
    assert len({node.client_port, node.peer_port, node.peer_listen_port}) == 3


def test_each_node_prefers_its_own_member() -> None:
    topology = plan_topology(replicas=3, apiservers=4)
    second, fourth = topology.nodes[1], topology.nodes[3]
    assert [n.name for n in topology.members_seen_from(second)] == ["cp2", "cp1", "cp3"]
    assert [n.name for n in topology.members_seen_from(fourth)] == ["cp1", "cp2", "cp3"]


@pytest.mark.parametrize("network", [Network.DIRECT, Network.PROXY])
def test_on_one_address_no_two_listeners_meet(network: Network) -> None:
    topology = on_one_address(plan_topology(replicas=7, apiservers=9, network=network))
    ports = [topology.vip_port]
    for node in topology.nodes:
        ports += [node.apiserver_port, *{node.client_port, node.peer_port, node.peer_listen_port}]
    assert len(ports) == len(set(ports))
    assert addresses_needed(topology) == ("127.0.0.1",)
    assert topology.shares_one_address


def test_another_range_and_other_ports() -> None:
    topology = plan_topology(
        address_range="127.0.27.0/24",
        ports=Ports(client=12379, peer=12380, apiserver=16443),
        vip_port=16443,
    )
    assert topology.vip_address == "127.0.27.10:16443"
    assert topology.nodes[2].client_url == "https://127.0.27.13:12379"
    assert addresses_needed(topology) == tuple(f"127.0.27.{n}" for n in (10, 11, 12, 13))


def test_certificates_name_every_node_and_the_virtual_ip() -> None:
    names = plan_topology(replicas=1, apiservers=2).certificate_names()
    assert [node.name for node in names.nodes] == ["cp1", "cp2"]
    assert names.endpoint_url == "https://127.0.0.10:6443"


@pytest.mark.parametrize(
    ("replicas", "error"),
    [
        (0, r"--replicas 0 is not between 1 and 7; choose 1, 3 or 5"),
        (9, r"--replicas 9 is not between 1 and 7"),
        (
            2,
            r"--replicas 2 needs 2 members for a quorum and survives the loss of 0, no more than 1",
        ),
        (4, r"needs 3 members for a quorum .* loss of 1, no more than 3 .* choose .* 3 or 5"),
    ],
)
def test_numbers_of_members_that_make_no_sense(replicas: int, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        plan_topology(replicas=replicas)


@pytest.mark.parametrize("apiservers", [0, -1, 17])
def test_numbers_of_api_servers_that_make_no_sense(apiservers: int) -> None:
    with pytest.raises(UsageError, match=f"--apiservers {apiservers} is not between 1 and 16"):
        plan_topology(apiservers=apiservers)


@pytest.mark.parametrize(
    "address_range", ["", "nonsense", "127.0.0.1/24", "::1/128", "10.0.0.0/29"]
)
def test_ranges_that_hold_no_cluster(address_range: str) -> None:
    with pytest.raises(UsageError, match="--address-range"):
        plan_topology(address_range=address_range)


@pytest.mark.parametrize("service_cidr", ["10.96.0.1/12", "10.0.0.0/8", "10.0.0.0/30", "x"])
def test_service_ranges_that_kube_apiserver_refuses_too(service_cidr: str) -> None:
    with pytest.raises(UsageError, match="--service-cluster-ip-range"):
        plan_topology(service_cidr=service_cidr)


@pytest.mark.parametrize(
    ("ports", "network", "error"),
    [
        (Ports(client=0), Network.DIRECT, "port 0 is not between"),
        (Ports(peer=65536), Network.DIRECT, "port 65536 is not between"),
        (Ports(client=2380), Network.DIRECT, "port 2380 is given twice"),
        (Ports(client=2390), Network.PROXY, "port 2390 is given twice"),
        (Ports(peer=65530), Network.PROXY, "port 65540 is not between"),
    ],
)
def test_ports_that_cannot_be_had(ports: Ports, network: Network, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        plan_topology(ports=ports, network=network)
