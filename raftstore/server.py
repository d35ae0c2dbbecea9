"""One member as a process serves it: node, state machine, services, gRPC port, an orderly end.

Owns what starts before what, and what stops before what. Every failure to start is a StartError
whose text names cause and remedy.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import socket
from datetime import UTC, datetime

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from raftstore.apply import Applier
from raftstore.collector import keep_settled
from raftstore.engine.identity import RecoveryError
from raftstore.errors import StoreError
from raftstore.flags import Options, split_client_url
from raftstore.lease.lessor import Lessor, ttl_min_of
from raftstore.membership import Membership
from raftstore.mvcc.store import Store
from raftstore.node import Node
from raftstore.raft.types import LostLogError, MemberId
from raftstore.rpc.auth import AuthService
from raftstore.rpc.cluster import ClusterService
from raftstore.rpc.handlers import Router
from raftstore.rpc.headers import Headers
from raftstore.rpc.kv import KvLimits, KvService
from raftstore.rpc.lease import LeaseService
from raftstore.rpc.maintenance import MaintenanceService
from raftstore.rpc.pipe import PipeService
from raftstore.rpc.tls import TlsFilesError, check_files, check_own_ca, server_credentials
from raftstore.rpc.watch import WatchService
from raftstore.transport.network import ListenError
from raftstore.wal.lock import DataDirLockedError
from raftstore.wal.repair import JournalCorruptError
from raftstore.wal.segment import ForeignJournalError

log = logging.getLogger(__name__)

HAND_OVER_TIMEOUT_S = 0.8
STOP_GRACE_S = 0.2
GRPC_OVERHEAD_BYTES = 512 * 1024
"""Etcd's grpcOverheadBytes: what a message may be larger than the request in it."""


class StartError(Exception):
    """This member cannot start. The text is one line with the cause and the remedy."""


async def serve(options: Options, stop: asyncio.Event) -> None:
    """Run one member until `stop` is set, then end in order. Raises StartError."""
    _check_tls(options)
    for url in options.listen_client_urls:
        _check_free(url)
    members = Membership.initial(options.node.initial_cluster, options.node.initial_cluster_token)
    lessor = Lessor(ttl_min_of(options.node.election_ms))
    applier = Applier(Store(), lessor, members)
    async with contextlib.AsyncExitStack() as stack:
        node = await _start_node(options, applier, members, stack)
        services = Services(options, node, applier)
        server = _listen(options, services)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(services.watch.run(), name="watch")
            settling = tasks.create_task(
                keep_settled(lambda: applier.store.revision), name="collector"
            )
            await server.start()
            await services.set_serving(serving=True)
            log.info(
                "ready: clients %s, peers %s, member %x of cluster %x",
                ",".join(options.listen_client_urls),
                ",".join(options.node.listen_peer_urls),
                node.status().member_id,
                node.status().cluster_id,
            )
            await stop.wait()
            await _end(node, services, server)
            watching.cancel()
            settling.cancel()
    log.info("stopped")


class Services:
    """All gRPC services of one member."""

    def __init__(self, options: Options, node: Node, applier: Applier) -> None:
        headers = Headers(node)
        quota = options.quota_backend_bytes
        limits = KvLimits(max_txn_ops=options.max_txn_ops, quota_backend_bytes=quota)
        kv = KvService(node, headers, applier.alarms, limits)
        self.watch = WatchService(
            node,
            headers,
            chance=random.Random(secrets.randbits(64)),
            election_ms=options.node.election_ms,
            progress_interval_s=options.watch_progress_interval_s,
            fragment_bytes=options.node.request_bytes_max,
        )
        self._health = HealthServicer()
        maintenance = MaintenanceService(node, headers, applier.alarms, quota_backend_bytes=quota)
        self.router = Router(
            {
                **kv.handlers(),
                **self.watch.handlers(),
                **LeaseService(node, headers).handlers(),
                **ClusterService(node, headers, lambda: datetime.now(UTC)).handlers(),
                **maintenance.handlers(),
                **AuthService(headers).handlers(),
                **PipeService(kv, headers).handlers(),
            }
        )

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register everything, gRPC's own health service too."""
        server.add_generic_rpc_handlers((self.router,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)

    async def set_serving(self, *, serving: bool) -> None:
        """What the health service says of the whole process, as etcd's does."""
        status = health_pb2.HealthCheckResponse
        await self._health.set("", status.SERVING if serving else status.NOT_SERVING)


async def _start_node(
    options: Options, applier: Applier, members: Membership, stack: contextlib.AsyncExitStack
) -> Node:
    try:
        return await stack.enter_async_context(Node(options.node, applier, members))
    except (DataDirLockedError, RecoveryError, ForeignJournalError, JournalCorruptError) as error:
        raise StartError(str(error)) from error
    except (LostLogError, ListenError) as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(
            f"data directory {options.node.data_dir}: {error}; check its disk and permissions"
        ) from error


def _listen(options: Options, services: Services) -> grpc.aio.Server:
    credentials = server_credentials(options.client_tls)
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 0),
            (
                "grpc.max_receive_message_length",
                options.node.request_bytes_max + GRPC_OVERHEAD_BYTES,
            ),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
        )
    )
    services.add_to(server)
    for url in options.listen_client_urls:
        host, port = split_client_url(url)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise StartError(f"cannot listen for clients on {url}: {error}") from error
    return server


async def _end(node: Node, services: Services, server: grpc.aio.Server) -> None:
    """Hand leadership over, so that nobody has to wait for an election, then close the port."""
    await services.set_serving(serving=False)
    status = node.status()
    if status.leader == status.member_id:
        others = [member for member in node.members.all() if status.member_id != member.ID]
        try:
            async with asyncio.timeout(HAND_OVER_TIMEOUT_S):
                await _hand_over(node, [MemberId(one.ID) for one in others if not one.isLearner])
        except TimeoutError:
            log.warning("no member took over leadership in time")
    await server.stop(STOP_GRACE_S)


async def _hand_over(node: Node, others: list[MemberId]) -> None:
    for member_id in others:
        try:
            await node.transfer_leadership(member_id)
        except StoreError as error:
            log.info("member %x did not take over: %s", member_id, error)
        else:
            return


def _check_tls(options: Options) -> None:
    try:
        check_files(options.client_tls)
        check_files(options.node.peer_tls, side="peer-")
        check_own_ca(options.node.peer_tls, side="peer-")
    except TlsFilesError as error:
        raise StartError(str(error)) from error


def _check_free(url: str) -> None:
    """Say why a port cannot be had, in words that gRPC does not have."""
    host, port = split_client_url(url)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise StartError(
            f"cannot listen for clients on {url}: {error.strerror}; stop what listens there "
            "or change --listen-client-urls"
        ) from error
