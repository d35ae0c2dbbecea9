"""A store of one or more real processes: Debian's etcd, or ours from the same flags.

Each member gets free ports on one loopback address. Ends only processes that it started.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from etcdclient.client import EtcdClient
from etcdclient.errors import EtcdError
from etcdclient.pb.rpc_pb2 import PutRequest
from etcdclient.tls import TlsFiles
from pki.issue import ensure_pki
from pki.layout import ClusterNames, Node

HOST = "127.0.24.1"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


@dataclass(slots=True)
class StoreMember:
    """One process: how it is started, where it listens, and the process while it lives."""

    name: str
    client_port: int
    peer_port: int
    data_dir: Path
    log_path: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The client URL."""
        return f"https://{HOST}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        """The peer URL."""
        return f"https://{HOST}:{self.peer_port}"


@dataclass(slots=True)
class StoreCluster:
    """Members of one cluster of `kind` "etcd" or "raftstore", and the certificates they share."""

    kind: str
    root: Path
    members: list[StoreMember]
    extra_flags: tuple[str, ...] = ()
    tls: TlsFiles = field(init=False)

    def __post_init__(self) -> None:
        nodes = tuple(Node(member.name, HOST) for member in self.members)
        names = ClusterNames(nodes=nodes, endpoint_host=HOST)
        ensure_pki(self.root, names, now=datetime.now(UTC))
        etcd = self.root / "pki" / "etcd"
        client = self.root / "pki" / "apiserver-etcd-client"
        self.tls = TlsFiles(
            ca=etcd / "ca.crt", cert=client.with_suffix(".crt"), key=client.with_suffix(".key")
        )

    @property
    def endpoints(self) -> list[str]:
        """Every member's client URL."""
        return [member.endpoint for member in self.members]

    def client(self, *, timeout_s: float = 5.0) -> EtcdClient:
        """A new client of all members; the caller closes it."""
        return EtcdClient(self.endpoints, tls=self.tls, timeout_s=timeout_s)

    def start(self, *places: int) -> None:
        """Start these members (all if none is named) and do not wait for them."""
        for place in places or range(len(self.members)):
            member = self.members[place]
            assert member.process is None, f"{member.name} runs"
            with member.log_path.open("ab") as log:
                member.process = subprocess.Popen(
                    [*_program(self.kind), *self.flags(member)], stdout=log, stderr=log
                )

    def flags(self, member: StoreMember) -> list[str]:
        """Etcd's flags for this member."""
        etcd = self.root / "pki" / "etcd"
        cluster = ",".join(f"{other.name}={other.peer_url}" for other in self.members)
        return [
            f"--name={member.name}",
            f"--data-dir={member.data_dir}",
            f"--initial-cluster={cluster}",
            "--initial-cluster-state=new",
            f"--listen-peer-urls={member.peer_url}",
            f"--initial-advertise-peer-urls={member.peer_url}",
            f"--listen-client-urls={member.endpoint}",
            f"--advertise-client-urls={member.endpoint}",
            f"--cert-file={etcd / 'server.crt'}",
            f"--key-file={etcd / 'server.key'}",
            f"--trusted-ca-file={etcd / 'ca.crt'}",
            "--client-cert-auth",
            f"--peer-cert-file={etcd / 'peer.crt'}",
            f"--peer-key-file={etcd / 'peer.key'}",
            f"--peer-trusted-ca-file={etcd / 'ca.crt'}",
            "--peer-client-cert-auth",
            "--heartbeat-interval=60",
            "--election-timeout=300",
            *self.extra_flags,
        ]

    async def wait_until_serving(self) -> None:
        """Until a write succeeds and every member that runs follows a leader.

        Fails with the logs if a process ends or time runs out.
        """
        async with self.client(timeout_s=1.0) as client, asyncio.timeout(START_TIMEOUT_S):
            while True:
                try:
                    await client.put(PutRequest(key=b"serving"))
                except EtcdError:
                    for member in self.members:
                        ended = member.process is not None and member.process.poll() is not None
                        assert not ended, member.log_path.read_text()
                    await asyncio.sleep(0.02)
                    continue
                break
            for member in self.members:
                if member.process is not None:
                    await _await_leader(client, member.endpoint)

    def send(self, place: int, number: signal.Signals) -> None:
        """Send a signal to a member that runs."""
        process = self.members[place].process
        assert process is not None
        process.send_signal(number)

    def stop(self, place: int, number: signal.Signals = signal.SIGKILL) -> int:
        """End one member and return its exit code."""
        member = self.members[place]
        assert member.process is not None, f"{member.name} does not run"
        member.process.send_signal(number)
        if number == signal.SIGKILL:
            member.process.send_signal(signal.SIGCONT)
        code = member.process.wait(STOP_TIMEOUT_S)
        member.process = None
        return code

    def stop_all(self) -> None:
        """Kill whatever still runs."""
        for place, member in enumerate(self.members):
            if member.process is not None:
                self.stop(place)

    def place_of(self, endpoint: str) -> int:
        """Which member listens there."""
        return self.endpoints.index(endpoint)


def make_store(
    kind: str, root: Path, members: int, extra_flags: Sequence[str] = ()
) -> StoreCluster:
    """A cluster on free ports, not started yet."""
    ports = _free_ports(2 * members)
    return StoreCluster(
        kind=kind,
        root=root,
        members=[
            StoreMember(
                name=f"cp{place + 1}",
                client_port=ports[2 * place],
                peer_port=ports[2 * place + 1],
                data_dir=root / f"cp{place + 1}",
                log_path=root / f"cp{place + 1}.log",
            )
            for place in range(members)
        ],
        extra_flags=tuple(extra_flags),
    )


async def _await_leader(client: EtcdClient, endpoint: str) -> None:
    while True:
        try:
            status = await client.status(endpoint, timeout_s=1.0)
        except EtcdError:
            status = None
        if status is not None and status.leader:
            return
        await asyncio.sleep(0.02)


async def leader_of(client: EtcdClient, endpoints: Sequence[str]) -> str:
    """The endpoint of the member that leads, once all that answer agree on one."""
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            for endpoint in endpoints:
                try:
                    status = await client.status(endpoint, timeout_s=1.0)
                except EtcdError:
                    continue
                if status.leader and status.leader == status.header.member_id:
                    return endpoint
            await asyncio.sleep(0.02)


def _program(kind: str) -> list[str]:
    if kind == "etcd":
        return ["etcd", "--logger=zap", "--log-level=error"]
    assert kind == "raftstore", kind
    return [sys.executable, "-m", "raftstore"]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
