"""A member's files as this release writes them, kept so that later releases go on reading them.

`python -m tests.support.golden DIR` writes them anew; do so only for a new format, beside the old.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from etcdclient.pb.rpc_pb2 import NOSPACE, AlarmRequest
from raftstore.apply import Applier
from raftstore.config import Limits, NodeConfig, PeerTls
from raftstore.engine.recovery import Recovered, recover
from raftstore.lease import Lessor
from raftstore.membership import Membership
from raftstore.mvcc import Store
from raftstore.node import Node
from raftstore.pb.command_pb2 import Command, CommandBatch
from raftstore.raft.types import EntryKind
from tests.support.nodes import put, until
from tests.support.peer_pki import PeerPki

LEASE = 7_007
SEGMENT_BYTES = 4_096


def golden_config(data_dir: Path, tls: PeerTls) -> NodeConfig:
    """The one member whose files these are."""
    url = "https://127.0.30.1:23801"
    return NodeConfig(
        name="golden",
        data_dir=data_dir,
        initial_cluster={"golden": (url,)},
        listen_peer_urls=(url,),
        advertise_client_urls=("https://127.0.30.1:23791",),
        peer_tls=tls,
        limits=Limits(segment_bytes=SEGMENT_BYTES),
    )


async def write_files(directory: Path, pki: Path) -> None:
    """Run the member: keys before and behind a snapshot, a lease, a delete, an alarm."""
    config = golden_config(directory, PeerPki(pki).issue("peer", ["127.0.30.1"]))
    members = Membership.initial(config.initial_cluster, config.initial_cluster_token)
    async with Node(config, Applier(Store(), Lessor(1), members), members) as node:
        granted = Command()
        granted.lease_grant.ID, granted.lease_grant.TTL = LEASE, 600
        await node.propose(granted)
        leased = put(b"leased", b"value")
        leased.put.lease = LEASE
        await node.propose(leased)
        for number in range(20):
            await node.propose(put(b"before-%d" % number, b"x" * 60))
        alarm = Command()
        alarm.alarm.action, alarm.alarm.alarm = AlarmRequest.ACTIVATE, NOSPACE
        alarm.alarm.memberID = 5
        await node.propose(alarm)
        index = await node.snapshot()
        alarm.alarm.action = AlarmRequest.DEACTIVATE
        await node.propose(alarm)
        await until(lambda: node.status().applied_index > index)
        for number in range(20):
            await node.propose(put(b"behind-%d" % number, b"y" * 60))
        deleted = Command()
        deleted.delete_range.key = b"before-0"
        await node.propose(deleted)


def state_of(recovered: Recovered) -> Applier:
    """What a member applies from these files if all entries in them are committed."""
    applier = Applier(Store(), Lessor(1), recovered.membership)
    if recovered.chunks:
        applier.restore(recovered.chunks)
    log = recovered.log
    for entry in log.slice(log.first_index, log.last_index, 1 << 40):
        if entry.kind == EntryKind.NORMAL and entry.data:
            for command in CommandBatch.FromString(entry.data).commands:
                applier.apply(entry.index, command)
    return applier


def read_files(data_dir: Path) -> tuple[Recovered, Applier]:
    """Recover the member, as at its start; the caller closes `.lock`."""
    tls = PeerTls(ca=data_dir, cert=data_dir, key=data_dir)
    recovered = recover(golden_config(data_dir, tls))
    return recovered, state_of(recovered)


if __name__ == "__main__":
    asyncio.run(write_files(Path(sys.argv[1]), Path(sys.argv[2])))
