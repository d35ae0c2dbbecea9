"""Asks every part of a cluster how it is: members, API servers, the virtual IP and its holder."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from triplane.components import Kind
from triplane.launcher import Launcher
from triplane.probe import tls_context, why_not_ready
from triplane.text import table
from triplane.topology import NodePlan

if TYPE_CHECKING:
    from etcdclient.client import EtcdClient

STORE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One store member. If it does not answer, `error` says why and the numbers are None."""

    name: str
    endpoint: str
    pid: int | None
    member_id: int | None = None
    role: str | None = None
    term: int | None = None
    revision: int | None = None
    applied_index: int | None = None
    db_size_bytes: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ApiServerStatus:
    """One API server; `error` says why its /readyz does not answer 200, None if it does."""

    name: str
    endpoint: str
    pid: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class VipStatus:
    """The virtual IP: whether /readyz answers there, which node holds it, who stands by."""

    address: str
    error: str | None
    holder: str | None
    agents: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """All of it. `ready` is what an outside client would say."""

    data_dir: str
    vip: VipStatus
    members: tuple[MemberStatus, ...]
    apiservers: tuple[ApiServerStatus, ...]

    @property
    def leader(self) -> str | None:
        """The member that says it leads; the one of the highest term if two do."""
        leaders = [member for member in self.members if member.role == "leader"]
        return max(leaders, key=lambda member: member.term or 0).name if leaders else None

    @property
    def ready(self) -> bool:
        return self.vip.error is None and self.leader is not None


def collect_status(launcher: Launcher) -> ClusterStatus:
    """Ask everything at once; takes as long as the slowest answer, at most a few seconds."""
    return asyncio.run(_collect(launcher))


def as_json(status: ClusterStatus) -> str:
    """One JSON object, keys as the Kubernetes API would spell them; sizes in bytes."""
    document: dict[str, Any] = {
        "dataDir": status.data_dir,
        "ready": status.ready,
        "leader": status.leader,
        "vip": {
            "address": status.vip.address,
            "ready": status.vip.error is None,
            "error": status.vip.error,
            "holder": status.vip.holder,
            "agents": [{"name": name, "pid": pid} for name, pid in status.vip.agents],
        },
        "members": [
            {
                "name": member.name,
                "endpoint": member.endpoint,
                "pid": member.pid,
                "memberID": None if member.member_id is None else f"{member.member_id:x}",
                "role": member.role,
                "term": member.term,
                "revision": member.revision,
                "appliedIndex": member.applied_index,
                "dbSize": member.db_size_bytes,
                "error": member.error,
            }
            for member in status.members
        ],
        "apiServers": [
            {
                "name": server.name,
                "endpoint": server.endpoint,
                "pid": server.pid,
                "ready": server.error is None,
                "error": server.error,
            }
            for server in status.apiservers
        ],
    }
    return json.dumps(document, indent=2)


def as_text(status: ClusterStatus) -> str:
    """Three tables for people."""
    return "\n\n".join(
        (_members_text(status), _apiservers_text(status.apiservers), _vip_text(status.vip))
    )


async def _collect(launcher: Launcher) -> ClusterStatus:
    topology = launcher.topology
    context = tls_context(launcher.data.pki / "ca.crt")

    async def readiness(host: str, port: int) -> str | None:
        return await asyncio.to_thread(why_not_ready, host, port, context)

    async with asyncio.TaskGroup() as group:
        vip = group.create_task(readiness(topology.vip_host, topology.vip_port), name="vip")
        apiservers = [
            group.create_task(readiness(node.address, node.apiserver_port), name=node.name)
            for node in topology.apiserver_nodes
        ]
        store = group.create_task(_ask_store(launcher), name="store")
    members, holder = store.result()
    return ClusterStatus(
        data_dir=str(launcher.data.root),
        vip=VipStatus(
            address=topology.vip_address,
            error=vip.result(),
            holder=holder,
            agents=tuple((node.name, _pid(launcher, Kind.VIP, node)) for node in topology.nodes),
        ),
        members=members,
        apiservers=tuple(
            ApiServerStatus(
                name=node.name,
                endpoint=f"https://{node.apiserver_address}",
                pid=_pid(launcher, Kind.APISERVER, node),
                error=task.result(),
            )
            for node, task in zip(topology.apiserver_nodes, apiservers, strict=True)
        ),
    )


async def _ask_store(launcher: Launcher) -> tuple[tuple[MemberStatus, ...], str | None]:
    from etcdclient.client import EtcdClient
    from etcdclient.tls import TlsFiles

    pki = launcher.data.pki / "etcd"
    tls = TlsFiles(
        ca=pki / "ca.crt",
        cert=pki / "healthcheck-client.crt",
        key=pki / "healthcheck-client.key",
    )
    members = launcher.topology.members
    client = EtcdClient(
        [member.client_url for member in members], tls=tls, timeout_s=STORE_TIMEOUT_S
    )
    try:
        async with asyncio.TaskGroup() as group:
            answers = [
                group.create_task(_ask_member(client, launcher, member), name=member.name)
                for member in members
            ]
            holder = group.create_task(
                _ask_holder(client, launcher.topology.vip_address), name="vip-holder"
            )
    finally:
        await client.close()
    return tuple(answer.result() for answer in answers), holder.result()


async def _ask_member(client: "EtcdClient", launcher: Launcher, node: NodePlan) -> MemberStatus:
    from etcdclient.errors import EtcdError

    pid = _pid(launcher, Kind.RAFTSTORE, node)
    if pid is None:  # asking would only cost the timeout
        return MemberStatus(node.name, node.client_url, pid, error="does not run")
    try:
        answer = await client.status(node.client_url)
    except EtcdError as error:
        return MemberStatus(node.name, node.client_url, pid, error=str(error))
    return MemberStatus(
        name=node.name,
        endpoint=node.client_url,
        pid=pid,
        member_id=answer.header.member_id,
        role=_role(answer.header.member_id, answer.leader, is_learner=answer.isLearner),
        term=answer.raftTerm,
        revision=answer.header.revision,
        applied_index=answer.raftAppliedIndex,
        db_size_bytes=answer.dbSize,
    )


async def _ask_holder(client: "EtcdClient", vip_address: str) -> str | None:
    from etcdclient.errors import EtcdError
    from etcdclient.pb.rpc_pb2 import RangeRequest
    from vip.record import parse_record, record_key

    try:
        answer = await client.range(RangeRequest(key=record_key(vip_address)))
        return parse_record(answer.kvs[0].value).node if answer.kvs else None
    except (EtcdError, ValueError):
        return None  # no quorum, or a record that is none: nobody can be said to hold it


def _role(member_id: int, leader: int, *, is_learner: bool) -> str:
    if is_learner:
        return "learner"
    return "leader" if member_id == leader else "follower"


def _pid(launcher: Launcher, kind: Kind, node: NodePlan) -> int | None:
    running = launcher.find(f"{kind}-{node.name}")
    return None if running is None else running.pid


def _members_text(status: ClusterStatus) -> str:
    rows = [
        (
            member.name,
            member.endpoint,
            _pid_text(member.pid),
            member.role or "-",
            _number(member.term),
            _number(member.revision),
            _number(member.applied_index),
            _size(member.db_size_bytes),
            member.error or "",
        )
        for member in status.members
    ]
    heading = ("MEMBER", "ENDPOINT", "PID", "ROLE", "TERM", "REVISION", "APPLIED", "DB SIZE", "")
    return table(heading, rows)


def _apiservers_text(servers: Sequence[ApiServerStatus]) -> str:
    rows = [
        (
            server.name,
            server.endpoint,
            _pid_text(server.pid),
            "ready" if server.error is None else "not ready",
            server.error or "",
        )
        for server in servers
    ]
    return table(("API SERVER", "ENDPOINT", "PID", "STATE", ""), rows)


def _vip_text(vip: VipStatus) -> str:
    rows = [(name, _pid_text(pid), _agent_text(name, pid, vip)) for name, pid in vip.agents]
    state = "ready" if vip.error is None else f"not ready: {vip.error}"
    return table(("VIP AGENT", "PID", f"{vip.address} ({state})"), rows)


def _agent_text(name: str, pid: int | None, vip: VipStatus) -> str:
    if name == vip.holder:
        return "holds the address"
    return "-" if pid is None else "stands by"


def _pid_text(pid: int | None) -> str:
    return "stopped" if pid is None else str(pid)


def _number(number: int | None) -> str:
    return "-" if number is None else str(number)


def _size(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else f"{size_bytes / 1024:.0f} KiB"
