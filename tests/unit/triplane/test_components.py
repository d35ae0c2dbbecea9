"""Command lines of the components, and the manifests that document them."""

from pathlib import Path

import yaml

from triplane.components import Component, DataDir, Kind, plan_components
from triplane.manifests import render_manifest
from triplane.topology import Network, Topology, on_one_address, plan_topology

DATA = DataDir(Path("/data"))


def components(topology: Topology) -> dict[str, Component]:
    return {component.name: component for component in plan_components(topology, DATA)}


def flag(component: Component, name: str) -> str:
    return component.flags[component.flags.index(name) + 1]


def test_nine_processes_by_default_stores_first() -> None:
    assert list(components(plan_topology())) == [
        *("raftstore-cp1", "raftstore-cp2", "raftstore-cp3"),
        *("apiserver-cp1", "apiserver-cp2", "apiserver-cp3"),
        *("vip-cp1", "vip-cp2", "vip-cp3"),
    ]


def test_three_processes_at_least() -> None:
    assert list(components(plan_topology(replicas=1, apiservers=1))) == [
        *("raftstore-cp1", "apiserver-cp1", "vip-cp1"),
    ]


def test_a_virtual_ip_agent_on_every_node() -> None:
    agents = [c for c in components(plan_topology(replicas=5)).values() if c.kind is Kind.VIP]
    assert [agent.node for agent in agents] == ["cp1", "cp2", "cp3", "cp4", "cp5"]
    assert {flag(agent, "--backends") for agent in agents} == {
        "127.0.0.11:6443,127.0.0.12:6443,127.0.0.13:6443"
    }


def test_a_member_knows_its_peers_and_serves_under_tls() -> None:
    member = components(plan_topology())["raftstore-cp2"]
    assert flag(member, "--initial-cluster") == (
        "cp1=https://127.0.0.11:2380,cp2=https://127.0.0.12:2380,cp3=https://127.0.0.13:2380"
    )
    assert flag(member, "--data-dir") == "/data/nodes/cp2/raftstore"
    assert flag(member, "--peer-cert-file") == "/data/pki/etcd/peer.crt"
    assert {"--client-cert-auth", "--peer-client-cert-auth", "--set-member-localaddr"} <= set(
        member.flags
    )


def test_a_member_on_a_shared_address_binds_no_source_address() -> None:
    member = components(on_one_address(plan_topology()))["raftstore-cp2"]
    assert "--set-member-localaddr" not in member.flags


def test_each_client_of_the_store_asks_its_own_nodes_member_first() -> None:
    planned = components(plan_topology())
    for name in ("apiserver-cp3", "vip-cp3"):
        assert flag(planned[name], "--etcd-servers") == (
            "https://127.0.0.13:2379,https://127.0.0.11:2379,https://127.0.0.12:2379"
        )


def test_the_peer_proxy_stands_where_members_advertise_and_starts_first() -> None:
    planned = components(plan_topology(network=Network.PROXY))
    proxy = next(iter(planned.values()))
    assert proxy.kind is Kind.PEER_PROXY
    for name in ("cp1", "cp2", "cp3"):
        member = planned[f"raftstore-{name}"]
        advertised = flag(member, "--initial-advertise-peer-urls")
        assert advertised in {f"https://{at.host}:{at.port}" for at in proxy.listeners}
        assert flag(member, "--listen-peer-urls") != advertised


def test_no_flag_carries_a_secret_itself() -> None:
    for component in components(plan_topology(network=Network.PROXY)).values():
        assert not any("-----BEGIN" in value for value in component.flags)


def test_only_the_virtual_ip_is_wanted_by_more_than_one() -> None:
    seen: dict[tuple[str, int], Kind] = {}
    for component in components(plan_topology(replicas=5, network=Network.PROXY)).values():
        for listener in component.listeners:
            address = (listener.host, listener.port)
            assert address not in seen or seen[address] is component.kind is Kind.VIP
            seen[address] = component.kind


def test_a_manifest_is_a_pod_that_says_what_runs() -> None:
    component = components(plan_topology())["apiserver-cp1"]
    pod = yaml.safe_load(render_manifest(component))
    assert (pod["kind"], pod["metadata"]["name"]) == ("Pod", "apiserver-cp1")
    (container,) = pod["spec"]["containers"]
    assert container["command"][:3] == ["python", "-m", "apiserver"]
    assert "--bind-address=127.0.0.11" in container["command"]
    assert container["ports"] == [
        {"containerPort": 6443, "hostIP": "127.0.0.11", "protocol": "TCP"}
    ]
