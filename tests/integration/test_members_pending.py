"""Membership changes that meet: each is answered, made or definitely refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

from raftstore.errors import StoreError
from raftstore.pb.command_pb2 import ConfChange
from raftstore.reconfiguration import HEALTHY_S
from tests.support.nodes import Cluster, put, until


def learner(number: int) -> ConfChange:
    change = ConfChange(type=ConfChange.ADD_LEARNER)
    change.member.ID = number
    change.member.peerURLs.append(f"https://127.0.30.3:{20_000 + number}")
    return change


def update(member_id: int, url: str) -> ConfChange:
    change = ConfChange(type=ConfChange.UPDATE)
    change.member.ID = member_id
    change.member.peerURLs.append(url)
    return change


async def test_changes_forwarded_at_once_are_each_answered(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        leader = await cluster.leader()
        followers = [member for member in cluster.members.values() if member is not leader]
        voters = leader.up.members.conf_state().voters
        await until(
            lambda: all(
                voter == leader.up.member_id or leader.up.connected_s(voter) > HEALTHY_S
                for voter in voters
            )
        )
        answers = await asyncio.gather(
            *(
                followers[number % 2].up.propose_conf_change(learner(number))
                for number in range(1, 7)
            ),
            return_exceptions=True,
        )
        refused = [answer for answer in answers if isinstance(answer, StoreError)]
        made = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert len(made) == 1
        assert len(refused) == 5
        for error in refused:
            assert error.text == "etcdserver: too many learner members in cluster"
            assert error.definite
        assert len(leader.up.members.conf_state().learners) == 1
        moved = await asyncio.gather(
            *(
                follower.up.propose_conf_change(
                    update(leader.up.members.conf_state().learners[0], f"https://127.0.30.4:{port}")
                )
                for port, follower in enumerate(followers * 3, start=21_000)
            )
        )
        assert len(moved) == 6, "none waits for another for ever"
        await leader.up.propose(put(b"and on", b"it goes"))
        await cluster.converged()
