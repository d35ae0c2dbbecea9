"""What a lease was promised holds whatever becomes of the leader that counts its time."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from raftstore.pb.command_pb2 import Command
from raftstore.pb.peer_pb2 import LeaderQuestion
from tests.support.nodes import Cluster, put, until

LEASE = 77


def grant(lease_id: int, ttl_s: int) -> Command:
    command = Command()
    command.lease_grant.ID, command.lease_grant.TTL = lease_id, ttl_s
    return command


async def test_a_leader_whose_disk_stalls_ends_no_lease_that_the_next_one_renews(
    tmp_path: Path,
) -> None:
    """It does not know yet that it leads no more, and counts on; what it finds expired is not."""
    async with Cluster(tmp_path) as cluster:
        stalled = await cluster.leader()
        await stalled.up.propose(grant(LEASE, 2))
        disk_works = threading.Event()
        stalled.up._parts.journal_worker.submit(lambda: assert_set(disk_works), lambda: None)
        written = asyncio.ensure_future(stalled.up.propose(put(b"k", b"v")))
        others = [member for member in cluster.members.values() if member is not stalled]
        old = stalled.up.member_id
        await until(lambda: all(m.up.status().leader not in (0, old) for m in others))
        loop = asyncio.get_running_loop()
        renew_until = loop.time() + 3.0
        while loop.time() < renew_until:
            answer = await others[0].up.ask_leader(LeaderQuestion(lease_keep_alive=LEASE))
            assert answer.ttl == 2, answer.error
            await asyncio.sleep(0.05)
        disk_works.set()
        await written
        await stalled.up.propose(put(b"behind", b"whatever it sent before"))
        await others[0].up.read_index()
        assert others[0].up.lessor.leases() == [LEASE]


def assert_set(event: threading.Event) -> None:
    assert event.wait(30)


async def test_a_lease_lives_its_whole_time_wherever_between_two_ticks_it_begins(
    tmp_path: Path,
) -> None:
    async with Cluster(tmp_path, names=("m1",)) as cluster:
        node = (await cluster.leader()).up
        loop = asyncio.get_running_loop()
        granted_at: dict[int, float] = {}
        lived_s: dict[int, float] = {}

        def note_ends(_batch: object) -> None:
            for lease_id in granted_at.keys() - lived_s.keys() - set(node.lessor.leases()):
                lived_s[lease_id] = loop.time() - granted_at[lease_id]

        node.on_applied(note_ends)
        step_s = node.config.heartbeat_ms / 1_000 / 6
        for lease_id in range(1, 8):
            await node.propose(grant(lease_id, 1))
            granted_at[lease_id] = loop.time()
            await asyncio.sleep(step_s)
        await until(lambda: len(lived_s) == len(granted_at))
        assert min(lived_s.values()) >= 0.995, lived_s
