"""Members whose links swallow bytes: noticed within a second, replaced, and no update lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from raftstore.config import ConfigError
from raftstore.errors import StoreError
from raftstore.raft.types import Role
from tests.support.nodes import Cluster, Member, put, until, value_of
from tests.support.peer_pki import PeerPki


async def new_leader(cluster: Cluster, old: Member) -> Member:
    """Wait until some other member leads."""

    def leading() -> list[Member]:
        others = (member for member in cluster.members.values() if member is not old)
        return [member for member in others if member.up.status().role is Role.LEADER]

    await until(lambda: bool(leading()))
    return leading()[0]


async def test_a_leader_cut_off_is_replaced_and_follows_when_healed(tmp_path: Path) -> None:
    async with Cluster(tmp_path, linked=True) as cluster:
        assert cluster.links is not None
        old = await cluster.leader()
        await old.up.propose(put(b"before", b"1"))
        await cluster.links.cut_off(cluster.hosts[old.config.name])
        lost = asyncio.gather(
            *(old.up.propose(put(b"lost%d" % i, b"x")) for i in range(3)), return_exceptions=True
        )
        successor = await new_leader(cluster, old)
        await successor.up.propose(put(b"during", b"2"))
        with pytest.raises(StoreError, match="no leader") as caught:
            await old.up.read_index()
        assert caught.value.definite
        for outcome in await lost:
            assert isinstance(outcome, StoreError)
            assert not outcome.definite, "it is in the old leader's log, for all it knows"
            assert "possibly due to previous leader failure" in outcome.text
        await cluster.links.heal()
        await until(lambda: value_of(old.up, b"during") == b"2")
        assert value_of(old.up, b"lost0") is None
        await cluster.converged()


async def test_a_proposal_overtaken_by_a_new_term_definitely_did_not_happen(
    tmp_path: Path,
) -> None:
    async with Cluster(tmp_path, linked=True) as cluster:
        assert cluster.links is not None
        old = await cluster.leader()
        await cluster.links.cut_off(cluster.hosts[old.config.name])
        doomed = asyncio.ensure_future(old.up.propose(put(b"doomed", b"x")))
        successor = await new_leader(cluster, old)
        await cluster.links.heal()
        with pytest.raises(StoreError) as caught:
            await doomed
        told = (caught.value.text, caught.value.definite)
        late = "etcdserver: request timed out, possibly due to previous leader failure"
        assert told in {("etcdserver: leader changed", True), (late, False)}
        await until(lambda: old.up.status().leader == successor.up.member_id)
        await successor.up.propose(put(b"after", b"1"))
        await until(lambda: value_of(old.up, b"after") == b"1")
        for member in cluster.members.values():
            assert value_of(member.up, b"doomed") is None


async def test_a_follower_cut_off_does_not_disturb_and_its_links_heal_quickly(
    tmp_path: Path,
) -> None:
    async with Cluster(tmp_path, linked=True) as cluster:
        assert cluster.links is not None
        leader = await cluster.leader()
        term = leader.up.status().term
        follower = await cluster.follower()
        await cluster.links.cut_off(cluster.hosts[follower.config.name])
        await until(lambda: follower.up.status().leader == 0)
        for index in range(50):
            await leader.up.propose(put(b"k%d" % index, b"v"))
        await cluster.links.heal()
        loop = asyncio.get_running_loop()
        healed_at = loop.time()
        await until(lambda: value_of(follower.up, b"k49") == b"v")
        assert loop.time() - healed_at < 3.0
        assert leader.up.status().role is Role.LEADER
        assert leader.up.status().term == term, "PreVote: a returning member deposes nobody"
        await cluster.converged()


async def test_queued_writes_on_a_member_without_leader_fail_definitely(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        await cluster.leader()
        first, second, third = cluster.members.values()
        await second.stop()
        await third.stop()
        await until(lambda: first.up.status().leader == 0)
        with pytest.raises(StoreError, match="etcdserver: no leader") as caught:
            await first.up.propose(put(b"nobody", b"takes it"))
        assert caught.value.definite


async def test_a_peer_of_another_ca_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = Cluster(tmp_path)
    first, second, third = cluster.members.values()
    stranger = PeerPki(tmp_path / "other-pki", "other-ca")
    tls = stranger.issue("peer", cluster.hosts.values())
    object.__setattr__(third.config, "peer_tls", tls)
    async with cluster:
        await until(lambda: first.up.status().leader != 0 and second.up.status().leader != 0)
        await until(lambda: "CERTIFICATE_VERIFY_FAILED" in caplog.text)
        assert third.up.status().leader == 0


async def test_a_certificate_must_cover_the_address_its_member_claims(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = Cluster(tmp_path)
    *_, third = cluster.members.values()
    tls = cluster.pki.issue("wrong-host", ["127.0.22.250", "wrong.example"])
    object.__setattr__(third.config, "peer_tls", tls)
    async with cluster:
        await until(lambda: "issue peer.crt with that subject alternative name" in caplog.text)
        assert third.up.status().leader == 0


async def test_missing_tls_files_are_named_with_their_flag(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, names=("m1",))
    (member,) = cluster.members.values()
    member.config.peer_tls.key.unlink()
    with pytest.raises(ConfigError, match="--peer-key-file"):
        await member.start()


async def test_a_listener_survives_strangers(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        await cluster.leader()
        for noise in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"):
            _, writer = await asyncio.open_connection(cluster.hosts["m1"], cluster.ports["m1"][0])
            writer.write(noise)
            await writer.drain()
            writer.transport.abort()
        await (await cluster.follower()).up.propose(put(b"still", b"here"))
