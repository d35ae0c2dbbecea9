"""Members in one process: real files, real TLS on loopback addresses, the real state machine.

Addresses are 127.0.22.x, ports are free ones. A member that is stopped says no farewell:
its files are all that is left of it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Self

from etcdclient.pb.rpc_pb2 import RangeRequest
from raftstore.apply import Applier
from raftstore.config import Limits, NodeConfig
from raftstore.lease import Lessor
from raftstore.lease.lessor import ttl_min_of
from raftstore.membership import Membership
from raftstore.mvcc import Store
from raftstore.node import Node
from raftstore.pb.command_pb2 import Command
from raftstore.raft.types import Role
from tests.support.links import Links
from tests.support.peer_pki import PeerPki

NAMES = ("m1", "m2", "m3")


def put(key: bytes, value: bytes) -> Command:
    """A command that puts one key."""
    command = Command()
    command.put.key, command.put.value = key, value
    return command


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait for a condition, looking again every few milliseconds; fail after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


class Member:
    """One member that can be started, stopped and started again on the same files."""

    def __init__(self, config: NodeConfig) -> None:
        self.config = config
        self.node: Node | None = None
        self.failures: list[BaseException] = []

    @property
    def up(self) -> Node:
        """The running node."""
        assert self.node is not None, f"{self.config.name} is not running"
        return self.node

    async def start(self) -> Node:
        members = Membership.initial(self.config.initial_cluster, self.config.initial_cluster_token)
        machine = Applier(Store(), Lessor(ttl_min_of(self.config.election_ms)), members)
        node = Node(self.config, machine, members, on_fatal=self.failures.append)
        await node.__aenter__()
        self.node = node
        return node

    async def stop(self) -> None:
        node, self.node = self.node, None
        if node is not None:
            await node.__aexit__(None, None, None)


class Cluster:
    """Three members (or as many as `names`) that share one peer CA."""

    def __init__(
        self,
        directory: Path,
        *,
        names: tuple[str, ...] = NAMES,
        limits: Limits | None = None,
        snapshot_count: int = 100_000,
        linked: bool = False,
    ) -> None:
        """With `linked`, peers reach each other through `links`, which can be cut."""
        self.pki = PeerPki(directory / "pki")
        hosts = {name: f"127.0.22.{10 + position}" for position, name in enumerate(names)}
        self.ports = {name: _free_ports(host, 2) for name, host in hosts.items()}
        tls = self.pki.issue("peer", [*hosts.values(), "127.0.0.1"])
        urls = {name: (f"https://{host}:{self.ports[name][0]}",) for name, host in hosts.items()}
        behind = 1 if linked else 0
        self.hosts = hosts
        self.links = (
            Links({hosts[name]: (front, back) for name, (front, back) in self.ports.items()})
            if linked
            else None
        )
        self.members = {
            name: Member(
                NodeConfig(
                    name=name,
                    data_dir=directory / name,
                    initial_cluster=urls,
                    listen_peer_urls=(f"https://{hosts[name]}:{self.ports[name][behind]}",),
                    set_member_localaddr=linked,
                    advertise_client_urls=(f"https://{hosts[name]}:2379",),
                    peer_tls=tls,
                    snapshot_count=snapshot_count,
                    limits=limits or Limits(),
                )
            )
            for name in names
        }

    async def __aenter__(self) -> Self:
        if self.links is not None:
            await self.links.start()
        for member in self.members.values():
            await member.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for member in self.members.values():
            await member.stop()
        if self.links is not None:
            await self.links.stop()
        for name, member in self.members.items():
            assert not member.failures, (name, member.failures)

    async def leader(self) -> Member:
        """Wait until all running members agree on a leader among them."""

        def agreed() -> bool:
            return self._leader() is not None

        await until(agreed)
        leader = self._leader()
        assert leader is not None
        return leader

    def _leader(self) -> Member | None:
        running = [member for member in self.members.values() if member.node is not None]
        told = {member.up.status().leader for member in running}
        leaders = [member for member in running if member.up.status().role is Role.LEADER]
        if len(told) == 1 and len(leaders) == 1:
            return leaders[0] if leaders[0].up.member_id in told else None
        return None

    async def follower(self) -> Member:
        """Some member that does not lead."""
        leader = await self.leader()
        return next(m for m in self.members.values() if m is not leader and m.node is not None)

    async def converged(self) -> None:
        """Wait until all running members have applied the same and agree on every key."""
        running = [member.up for member in self.members.values() if member.node is not None]
        await until(lambda: len({node.status().applied_index for node in running}) == 1)
        hashes = {node.store.hash_kv().hash for node in running}
        assert len(hashes) == 1, hashes


def _free_ports(host: str, count: int) -> list[int]:
    """Ports that nobody uses on this address now; several runs may go on side by side."""
    sockets = [socket.create_server((host, 0)) for _ in range(count)]
    ports = [int(listening.getsockname()[1]) for listening in sockets]
    for listening in sockets:
        listening.close()
    return ports


def value_of(node: Node, key: bytes) -> bytes | None:
    """What this member has under `key`, without asking anybody."""
    found = node.store.range(RangeRequest(key=key)).kvs
    return found[0].value if found else None
