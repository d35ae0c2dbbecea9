"""Nodes in network namespaces: the launcher's use of `chaos.live.netns`. Linux and root only.

The names derive from the data directory, so that a later command finds what an earlier one made,
and two clusters never meet. Only what bears these names is ever removed.
"""

import asyncio
import hashlib
import os
import shutil
from ipaddress import ip_network
from pathlib import Path

from chaos.live.netns import NetnsNetwork
from chaos.live.network import NetworkError
from triplane.errors import CommandError, UsageError
from triplane.topology import Topology


def network_of(topology: Topology, root: Path) -> NetnsNetwork:
    """The namespaces of the cluster that lives in `root`, made or not."""
    subnet = ip_network(topology.address_range)
    tag = "t" + hashlib.sha256(str(root).encode()).hexdigest()[:6]
    host = f"{subnet.network_address + 1}/{subnet.prefixlen}"
    return NetnsNetwork(tag, host, {node.name: node.address for node in topology.nodes})


def set_up(topology: Topology, root: Path) -> None:
    """Make the namespaces anew. UsageError if this user or machine cannot have any."""
    if os.geteuid() != 0:
        raise UsageError(
            "--network netns makes network namespaces, which needs root",
            "run it as root, or use --network proxy, which needs nothing",
        )
    for tool, package in (("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(tool) is None:
            raise UsageError(f"--network netns needs `{tool}`", f"install {package}")
    if ip_network(topology.address_range).is_loopback:
        raise UsageError(
            f"--address-range {topology.address_range} is loopback, which no bridge carries",
            "leave it out, or choose a private range such as 10.88.0.0/24",
        )
    network = network_of(topology, root)
    try:
        asyncio.run(_renew(network))
    except NetworkError as error:
        raise CommandError(
            str(error), "choose another --address-range if that one is in use"
        ) from error


def tear_down(topology: Topology, root: Path) -> None:
    """Remove the namespaces and the bridge; the nodes' processes must have ended."""
    asyncio.run(network_of(topology, root).tear_down())


async def _renew(network: NetnsNetwork) -> None:
    await network.tear_down()  # What a crash left behind.
    await network.set_up()
