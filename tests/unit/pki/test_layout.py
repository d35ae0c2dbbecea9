"""The table of certificates against kubeadm's list."""

import pytest

from pki.layout import ClusterNames, LeafProfile, Node, kubeconfig_profiles, leaf_profiles

NAMES = ClusterNames(
    nodes=(Node("cp1", "127.0.27.11"), Node("cp2", "127.0.27.12")),
    endpoint_host="127.0.27.10",
    extra_hosts=("k8s.example.org",),
)


def profile(name: str) -> LeafProfile:
    profiles = {leaf.name: leaf for leaf in (*leaf_profiles(NAMES), *kubeconfig_profiles(NAMES))}
    return profiles[name]


@pytest.mark.parametrize(
    ("name", "authority", "common_name", "organizations", "server", "client"),
    [
        ("apiserver", "ca", "kube-apiserver", (), True, False),
        (
            "apiserver-kubelet-client",
            "ca",
            "kube-apiserver-kubelet-client",
            ("system:masters",),
            False,
            True,
        ),
        ("apiserver-etcd-client", "etcd-ca", "kube-apiserver-etcd-client", (), False, True),
        ("front-proxy-client", "front-proxy-ca", "front-proxy-client", (), False, True),
        ("kubelet", "ca", "system:node:cp1", ("system:nodes",), True, True),
        ("etcd-server", "etcd-ca", "cp1", (), True, True),
        ("etcd-peer", "etcd-ca", "cp1", (), True, True),
        ("etcd-healthcheck-client", "etcd-ca", "kube-etcd-healthcheck-client", (), False, True),
        ("admin.conf", "ca", "kubernetes-admin", ("system:masters",), False, True),
        ("controller-manager.conf", "ca", "system:kube-controller-manager", (), False, True),
        ("scheduler.conf", "ca", "system:kube-scheduler", (), False, True),
        ("kubelet.conf", "ca", "system:node:cp1", ("system:nodes",), False, True),
    ],
)
def test_subject_and_usages(
    name: str,
    authority: str,
    common_name: str,
    organizations: tuple[str, ...],
    server: bool,
    client: bool,
) -> None:
    leaf = profile(name)
    assert leaf.authority.name == authority
    assert leaf.common_name == common_name
    assert leaf.organizations == organizations
    assert (leaf.server, leaf.client) == (server, client)


def test_the_api_server_answers_to_all_its_names() -> None:
    assert set(profile("apiserver").hosts) == {
        *("cp1", "cp2", "localhost", "k8s.example.org"),
        *("kubernetes", "kubernetes.default", "kubernetes.default.svc"),
        "kubernetes.default.svc.cluster.local",
        *("10.96.0.1", "127.0.27.10", "127.0.27.11", "127.0.27.12", "127.0.0.1", "::1"),
    }


def test_members_answer_to_their_nodes_and_localhost() -> None:
    expected = {"cp1", "cp2", "localhost", "127.0.27.11", "127.0.27.12", "127.0.0.1", "::1"}
    assert set(profile("etcd-server").hosts) == expected
    assert set(profile("etcd-peer").hosts) == expected


def test_pure_clients_have_no_hosts() -> None:
    pure = [leaf for leaf in leaf_profiles(NAMES) if not leaf.server]
    assert pure
    assert all(leaf.hosts == () for leaf in pure)


def test_the_service_range_gives_the_kubernetes_service_address() -> None:
    names = ClusterNames(nodes=NAMES.nodes, endpoint_host="::1", service_cidr="10.0.4.0/22")
    assert names.kubernetes_service_address == "10.0.4.1"
    assert names.endpoint_url == "https://[::1]:6443"


def test_a_cluster_without_nodes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one node"):
        ClusterNames(nodes=(), endpoint_host="127.0.0.1")
