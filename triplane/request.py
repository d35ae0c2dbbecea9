"""What the operator asked for, brought together with what the data directory already holds."""

from dataclasses import dataclass, replace
from pathlib import Path

from pki.layout import KeyAlgorithm
from triplane.configfile import load_topology
from triplane.errors import CommandError
from triplane.probe import is_own_address
from triplane.topology import (
    DEFAULT_NETNS_RANGE,
    DEFAULT_RANGE,
    Network,
    Ports,
    Topology,
    addresses_needed,
    check_replicas,
    on_one_address,
    plan_topology,
)

_NETNS = Network.NETNS


@dataclass(frozen=True, slots=True)
class UpRequest:
    """The flags of `up`; None where the operator did not say."""

    replicas: int | None = None
    apiservers: int | None = None
    address_range: str | None = None
    client_port: int | None = None
    peer_port: int | None = None
    apiserver_port: int | None = None
    service_cidr: str | None = None
    network: Network | None = None
    key_algorithm: KeyAlgorithm | None = None


def resolve_topology(request: UpRequest, data_dir: Path) -> Topology:
    """The cluster to start: what `data_dir` holds, else what was asked for, else the default.

    API servers keep no state, so their number may change from run to run; members and addresses are
    part of the stored data. Raises UsageError for a request that makes no cluster, CommandError for
    one that is not the cluster in `data_dir`.
    """
    if request.replicas is not None:
        check_replicas(request.replicas)
    saved = load_topology(data_dir)
    if saved is None:
        return _new_topology(request)
    merged = _merge(request, saved)
    _check_same_cluster(request, saved, merged, data_dir)
    return merged


def _new_topology(request: UpRequest) -> Topology:
    topology = _plan(request)
    made_here = request.network is Network.NETNS
    if made_here or request.address_range is not None or has_addresses(topology):
        return topology
    if request.network is Network.PROXY:
        raise CommandError(
            "the fault network tells members apart by address, and this machine has only 127.0.0.1",
            f"add the others to its loopback: {', '.join(addresses_needed(topology))}",
        )
    return on_one_address(topology)


def has_addresses(topology: Topology) -> bool:
    """Whether this machine has every address of the cluster: Linux does, macOS only 127.0.0.1."""
    return all(map(is_own_address, addresses_needed(topology)))


def _plan(request: UpRequest) -> Topology:
    default_range = DEFAULT_NETNS_RANGE if request.network is Network.NETNS else DEFAULT_RANGE
    return plan_topology(
        replicas=3 if request.replicas is None else request.replicas,
        apiservers=3 if request.apiservers is None else request.apiservers,
        address_range=request.address_range or default_range,
        ports=Ports(
            client=request.client_port or Ports().client,
            peer=request.peer_port or Ports().peer,
            apiserver=request.apiserver_port or Ports().apiserver,
        ),
        vip_port=request.apiserver_port or Ports().apiserver,
        service_cidr=request.service_cidr or "10.96.0.0/12",
        network=request.network or Network.DIRECT,
        key_algorithm=request.key_algorithm or KeyAlgorithm.ECDSA_P256,
    )


def _merge(request: UpRequest, saved: Topology) -> Topology:
    first = saved.nodes[0]
    merged = _plan(
        UpRequest(
            replicas=request.replicas or saved.replicas,
            apiservers=saved.apiservers if request.apiservers is None else request.apiservers,
            address_range=request.address_range or saved.address_range,
            client_port=request.client_port or first.client_port,
            peer_port=request.peer_port or first.peer_port,
            apiserver_port=request.apiserver_port or saved.vip_port,
            service_cidr=request.service_cidr or saved.service_cidr,
            # Addresses of namespaces are nowhere else; the proxy is wanted anew each time.
            network=request.network or (_NETNS if saved.network is _NETNS else None),
            key_algorithm=request.key_algorithm or saved.key_algorithm,
        )
    )
    return on_one_address(merged, saved.vip_host) if saved.shares_one_address else merged


def _check_same_cluster(
    request: UpRequest, saved: Topology, merged: Topology, data_dir: Path
) -> None:
    if merged.replicas != saved.replicas:
        raise CommandError(
            f"{data_dir} holds a cluster of {saved.replicas} members, not of {merged.replicas}",
            f"use --replicas {saved.replicas}, or another --data-dir for a new cluster",
        )
    if merged.service_cidr != saved.service_cidr:
        raise CommandError(
            f"{data_dir} holds a cluster with the service range {saved.service_cidr}",
            "use that one, or another --data-dir for a new cluster",
        )
    # The peer proxy moves only what a member listens on, which is not stored.
    old = [replace(node, peer_listen_port=0) for node in saved.nodes]
    new = [replace(node, peer_listen_port=0) for node in merged.nodes]
    shared = min(len(old), len(new))
    if old[:shared] != new[:shared] or merged.vip_address != saved.vip_address:
        raise CommandError(
            f"{data_dir} holds a cluster at {saved.vip_address} with other addresses or ports",
            "leave out the flags for addresses and ports, or use another --data-dir",
        )
