"""Three members with real files and TLS: what is acknowledged stays, whoever stops."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from raftstore.config import Limits
from raftstore.engine.identity import RecoveryError
from raftstore.errors import StoreError
from raftstore.pb.command_pb2 import Command, ConfChange
from raftstore.pb.peer_pb2 import LeaderQuestion
from raftstore.raft.types import MemberId, Role
from raftstore.transport.network import ListenError
from raftstore.wal.lock import DataDirLockedError
from raftstore.wal.repair import JournalCorruptError
from tests.support.nodes import Cluster, Member, put, until, value_of

SMALL = Limits(
    segment_bytes=64 * 1024, snapshot_journal_bytes=128 * 1024, snapshot_catch_up_entries=5
)


async def put_many(member: Member, prefix: bytes, count: int, size: int = 100) -> None:
    await asyncio.gather(
        *(member.up.propose(put(prefix + b"%d" % i, b"v" * size)) for i in range(count))
    )


async def test_every_member_takes_writes_and_reads_what_others_wrote(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        await cluster.leader()
        for name, member in cluster.members.items():
            result = await member.up.propose(put(name.encode(), b"by " + name.encode()))
            assert result.error is None
            for reader in cluster.members.values():
                await reader.up.read_index()
                assert value_of(reader.up, name.encode()) == b"by " + name.encode()
        await cluster.converged()


async def test_members_publish_their_client_urls(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        for member in cluster.members.values():
            members = member.up.members
            await until(lambda members=members: all(m.clientURLs for m in members.all()))  # type: ignore[misc]
            assert sorted(m.name for m in members.all()) == ["m1", "m2", "m3"]


async def test_the_others_go_on_when_the_leader_stops_and_it_catches_up(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        leader = await cluster.leader()
        await leader.up.propose(put(b"before", b"1"))
        await leader.stop()
        successor = await cluster.leader()
        await successor.up.propose(put(b"after", b"2"))
        node = await leader.start()
        await until(lambda: value_of(node, b"after") == b"2")
        assert value_of(node, b"before") == b"1"
        await cluster.converged()


async def test_all_members_stopped_and_started_have_everything(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        await put_many(await cluster.leader(), b"key", 200)
        for member in cluster.members.values():
            await member.stop()
        for member in cluster.members.values():
            await member.start()
        await cluster.leader()
        for member in cluster.members.values():
            await member.up.read_index()
            assert all(value_of(member.up, b"key%d" % i) == b"v" * 100 for i in range(200))
        await cluster.converged()


async def test_a_member_that_lags_behind_the_log_gets_a_snapshot(tmp_path: Path) -> None:
    async with Cluster(tmp_path, limits=SMALL) as cluster:
        lagging = await cluster.follower()
        await lagging.stop()
        leader = await cluster.leader()
        for index in range(20):
            await leader.up.propose(put(b"one by one %d" % index, b"x"))
        for round_ in range(3):
            await put_many(leader, b"round%d-" % round_, 40, size=1_000)
            for member in cluster.members.values():
                if member is not lagging:
                    await member.up.snapshot()
        for member in cluster.members.values():
            if member is not lagging:
                wal = member.config.data_dir / "member" / "wal"
                await until(lambda wal=wal: len(list(wal.glob("*.wal"))) < 3)  # type: ignore[misc]
        node = await lagging.start()
        await until(lambda: value_of(node, b"round2-39") is not None)
        assert list((lagging.config.data_dir / "member" / "snap").glob("*.snap"))
        await cluster.converged()
        await leader.up.propose(put(b"and on", b"it goes"))
        await until(lambda: value_of(node, b"and on") == b"it goes")
        for member in cluster.members.values():
            await member.stop()
        for member in cluster.members.values():
            await member.start()
        await cluster.leader()
        await lagging.up.read_index()
        assert value_of(lagging.up, b"and on") == b"it goes"
        await cluster.converged()


async def test_a_damaged_newest_snapshot_falls_back_to_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Cluster(tmp_path, names=("m1",), limits=SMALL) as cluster:
        (member,) = cluster.members.values()
        await cluster.leader()
        for round_ in range(3):
            await put_many(member, b"round%d-" % round_, 20)
            index = await member.up.snapshot()
            await until(lambda index=index: member.up.status().applied_index >= index)  # type: ignore[misc]
            await put_many(member, b"after%d-" % round_, 20)
        await member.stop()
        files = sorted((member.config.data_dir / "member" / "snap").glob("*.snap"))
        assert len(files) == 2
        data = bytearray(files[-1].read_bytes())
        data[len(data) // 2] ^= 0xFF
        files[-1].write_bytes(data)
        node = await member.start()
        assert "trying an older one" in caplog.text
        await node.read_index()
        for round_ in range(3):
            assert value_of(node, b"after%d-19" % round_) == b"v" * 100


async def test_a_journal_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    async with Cluster(tmp_path, names=("m1",)) as cluster:
        (member,) = cluster.members.values()
        for index in range(10):
            await member.up.propose(put(b"k%d" % index, b"precious"))
        await member.stop()
        (path,) = (member.config.data_dir / "member" / "wal").glob("*.wal")
        data = bytearray(path.read_bytes())
        data[data.index(b"precious")] ^= 0x20
        path.write_bytes(data)
        with pytest.raises(JournalCorruptError, match=r"corrupt journal: .* at offset \d+: "):
            await member.start()
        data[data.index(b"Precious")] ^= 0x20
        path.write_bytes(data)
        node = await member.start()
        await node.read_index()
        assert value_of(node, b"k0") == b"precious"


async def test_two_processes_cannot_share_a_data_dir(tmp_path: Path) -> None:
    async with Cluster(tmp_path, names=("m1",)) as cluster:
        (member,) = cluster.members.values()
        with pytest.raises(DataDirLockedError, match="own --data-dir"):
            await Member(member.config).start()
        await member.up.propose(put(b"still", b"alive"))


async def test_a_data_dir_of_another_member_or_cluster_is_refused(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        await cluster.leader()
        first, second, _ = cluster.members.values()
        await first.stop()
        stolen = dataclasses.replace(second.config, data_dir=first.config.data_dir)
        with pytest.raises(RecoveryError, match="belongs to member"):
            await Member(stolen).start()
        other = dataclasses.replace(first.config, initial_cluster_token="another")
        with pytest.raises(RecoveryError, match="--initial-cluster-token"):
            await Member(other).start()


async def test_a_lost_journal_is_refused(tmp_path: Path) -> None:
    async with Cluster(tmp_path, names=("m1",)) as cluster:
        (member,) = cluster.members.values()
        await member.up.propose(put(b"k", b"v"))
        await member.stop()
        for path in (member.config.data_dir / "member" / "wal").glob("*.wal"):
            path.unlink()
        with pytest.raises(RecoveryError, match=r"journal .* is missing"):
            await member.start()


async def test_leadership_can_be_handed_over(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        follower = await cluster.follower()
        await follower.up.transfer_leadership(follower.up.member_id)
        assert (await cluster.leader()) is follower
        with pytest.raises(StoreError, match="bad leader transferee"):
            await follower.up.transfer_leadership(MemberId(1))


async def test_leases_are_kept_alive_through_followers_and_expire(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        follower = await cluster.follower()
        grant = Command()
        grant.lease_grant.ID, grant.lease_grant.TTL = 77, 1
        assert (await follower.up.propose(grant)).error is None
        attached = put(b"ephemeral", b"v")
        attached.put.lease = 77
        assert (await follower.up.propose(attached)).error is None
        answer = await follower.up.ask_leader(LeaderQuestion(lease_keep_alive=77))
        assert (answer.error, answer.ttl) == ("", 1)
        times = await follower.up.ask_leader(LeaderQuestion(lease_time_to_live=77))
        assert times.granted_ttl == 1
        await until(lambda: value_of(follower.up, b"ephemeral") is None)
        gone = await follower.up.ask_leader(LeaderQuestion(lease_keep_alive=77))
        assert gone.error == "etcdserver: requested lease not found"


async def test_a_single_member_leads_at_once(tmp_path: Path) -> None:
    async with Cluster(tmp_path, names=("m1",)) as cluster:
        (member,) = cluster.members.values()
        await member.up.propose(put(b"k", b"v"))
        assert member.up.status().role is Role.LEADER


async def test_too_large_a_request_is_refused(tmp_path: Path) -> None:
    async with Cluster(tmp_path, names=("m1",)) as cluster:
        (member,) = cluster.members.values()
        with pytest.raises(StoreError, match="request is too large") as caught:
            await member.up.propose(put(b"k", b"v" * 2_000_000))
        assert caught.value.definite


async def test_a_member_is_removed_and_the_rest_goes_on(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        leader = await cluster.leader()
        asked = await cluster.follower()
        (gone,) = (m for m in cluster.members.values() if m not in (leader, asked))
        change = ConfChange(type=ConfChange.REMOVE)
        change.member.ID = gone.up.member_id
        left = await asked.up.propose_conf_change(change)
        assert {member.ID for member in left} == {leader.up.member_id, asked.up.member_id}
        with pytest.raises(StoreError, match="etcdserver: member not found") as caught:
            await asked.up.propose_conf_change(change)
        assert caught.value.definite
        await gone.stop()
        await asked.up.propose(put(b"two", b"are enough"))
        await leader.stop()
        await leader.start()
        await cluster.leader()
        assert len(leader.up.members.all()) == 2, "the change survives a restart"


async def test_proposals_of_a_stopped_member_are_refused(tmp_path: Path) -> None:
    async with Cluster(tmp_path, names=("m1",)) as cluster:
        (member,) = cluster.members.values()
        node = member.up
        await member.stop()
        with pytest.raises(StoreError, match="server stopped") as caught:
            await node.propose(put(b"k", b"v"))
        assert caught.value.definite


async def test_a_taken_peer_port_is_named_and_nothing_stays_locked(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, names=("m1",))
    (member,) = cluster.members.values()
    squatter = await asyncio.start_server(
        lambda _r, w: w.close(), cluster.hosts["m1"], cluster.ports["m1"][0]
    )
    with pytest.raises(ListenError, match="change --listen-peer-urls"):
        await member.start()
    squatter.close()
    await squatter.wait_closed()
    await member.start()
    await member.up.propose(put(b"k", b"v"))
    await member.stop()


async def test_a_data_dir_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, names=("m1",))
    (member,) = cluster.members.values()
    member.config.data_dir.write_text("a file where the directory should be")
    with pytest.raises(RecoveryError, match="change --data-dir"):
        await member.start()
