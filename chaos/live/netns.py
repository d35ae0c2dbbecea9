"""Nodes in network namespaces of their own, on one bridge, cut apart by nftables. Needs root.

A cut here is a real one: packets are dropped where they arrive, a dial across it hangs in SYN, and
after a heal TCP goes on where it was, by retransmission. This module makes the namespaces, the
bridge and the rules, and removes them; processes are started in them with `command_prefix`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from ipaddress import ip_interface

from chaos.live.network import Link, NetworkError, links_between

TAG_LENGTH_MAX = 8
"""Interface names have 15 characters: `tp-<tag>` and `<tag>-<number>` must fit."""
_TABLE = "triplane_chaos"
_RULES = f"""
table inet {_TABLE} {{
    set cut {{ type ipv4_addr; }}
    chain input {{
        type filter hook input priority 0; policy accept;
        ip saddr @cut drop
    }}
}}
"""


class NetnsNetwork:
    """One namespace for each node. `tag` tells this network's names from all others'.

    `nodes` are names with addresses; `host` is this machine's own address among them, with the
    prefix length, as `10.88.0.1/24`.
    """

    def __init__(self, tag: str, host: str, nodes: Mapping[str, str]) -> None:
        if not 0 < len(tag) <= TAG_LENGTH_MAX or not tag.isalnum():
            raise ValueError(f"{tag!r} is not 1 to {TAG_LENGTH_MAX} letters and digits")
        subnet = ip_interface(host).network
        for name, address in nodes.items():
            if ip_interface(address).ip not in subnet:
                raise ValueError(f"{name}'s address {address} is not in {subnet}")
        self._tag = tag
        self._host = host
        self._nodes = dict(nodes)
        self._prefix_length = subnet.prefixlen

    @property
    def _bridge(self) -> str:
        return f"tp-{self._tag}"

    def namespace(self, node: str) -> str:
        """The name of a node's namespace, for `ip netns`."""
        self._check(node)
        return f"tp-{self._tag}-{node}"

    def command_prefix(self, node: str) -> list[str]:
        """What to put before a command so that it runs on this node."""
        return ["ip", "netns", "exec", self.namespace(node)]

    async def set_up(self) -> None:
        """Make everything. Raises NetworkError, and then leaves nothing behind."""
        try:
            await _run("ip", "link", "add", self._bridge, "type", "bridge")
            await _run("ip", "addr", "add", self._host, "dev", self._bridge)
            await _run("ip", "link", "set", self._bridge, "up")
            for number, node in enumerate(self._nodes):
                await self._add_node(node, f"{self._tag}-{number}")
        except BaseException:
            await self.tear_down()
            raise

    async def tear_down(self) -> None:
        """Remove everything that is there; processes in the namespaces must have ended."""
        for node in self._nodes:
            with contextlib.suppress(NetworkError):
                await _run("ip", "netns", "del", self.namespace(node))
        # A veth goes with its namespace a moment later, or with either of its ends.
        for number in range(len(self._nodes)):
            with contextlib.suppress(NetworkError):
                await _run("ip", "link", "del", f"{self._tag}-{number}")
        with contextlib.suppress(NetworkError):
            await _run("ip", "link", "del", self._bridge)

    async def partition(self, groups: Sequence[Collection[str]]) -> None:
        """Cut every link between nodes of different groups, both ways. Adds to what is cut."""
        await self._cut(links_between(groups))

    async def cut(self, source: str, target: str, *, both_ways: bool = True) -> None:
        """Cut one link."""
        await self._cut([(source, target), (target, source)] if both_ways else [(source, target)])

    async def delay(self, source: str, target: str, *, delay_ms: int) -> None:
        """Not here: raises NetworkError. The proxy network delays."""
        raise NetworkError("the netns network cannot delay a link; use the proxy network")

    async def heal(self) -> None:
        """End every cut. Connections go on by retransmission."""
        for node in self._nodes:
            await self._nft(node, f"flush set inet {_TABLE} cut")

    async def _add_node(self, node: str, link: str) -> None:
        namespace = self.namespace(node)
        address = f"{self._nodes[node]}/{self._prefix_length}"
        await _run("ip", "netns", "add", namespace)
        await _run(
            *("ip", "link", "add", link, "type", "veth"),
            *("peer", "name", "eth0", "netns", namespace),
        )
        await _run("ip", "link", "set", link, "master", self._bridge, "up")
        await _run("ip", "-n", namespace, "addr", "add", address, "dev", "eth0")
        await _run("ip", "-n", namespace, "link", "set", "eth0", "up")
        await _run("ip", "-n", namespace, "link", "set", "lo", "up")
        await self._nft(node, _RULES)

    async def _cut(self, links: Iterable[Link]) -> None:
        wanted = list(links)
        for link in wanted:
            for node in link:
                self._check(node)
        for source, target in wanted:
            await self._nft(target, f"add element inet {_TABLE} cut {{ {self._nodes[source]} }}")

    async def _nft(self, node: str, rules: str) -> None:
        await _run(*self.command_prefix(node), "nft", "-f", "-", stdin=rules)

    def _check(self, node: str) -> None:
        if node not in self._nodes:
            raise NetworkError(f"no node is named {node}; there are {', '.join(self._nodes)}")


@contextlib.asynccontextmanager
async def netns_network(
    tag: str, host: str, nodes: Mapping[str, str]
) -> AsyncIterator[NetnsNetwork]:
    """A network that is removed when the body ends."""
    network = NetnsNetwork(tag, host, nodes)
    await network.set_up()
    try:
        yield network
    finally:
        await network.tear_down()


async def _run(*command: str, stdin: str = "") -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise NetworkError(f"{command[0]} is not installed (iproute2, nftables)") from error
    _, stderr = await process.communicate(stdin.encode())
    if process.returncode != 0:
        told = stderr.decode(errors="replace").strip() or f"exit code {process.returncode}"
        raise NetworkError(f"`{' '.join(command)}`: {told}; this needs root")
