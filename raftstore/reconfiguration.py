"""Membership changes: asked for anywhere, judged and made by the leader, one at a time.

Owns etcd's rules about when a change would put the quorum at risk (--strict-reconfig-check, always
on here) and when a learner is ready. Source: etcd server/etcdserver/server.go (mayAddMember,
mayRemoveMember, isLearnerReady) and api/membership/cluster.go (IsReadyTo…).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from etcdclient.pb.rpc_pb2 import Member
from raftstore import errors
from raftstore.errors import Code, StoreError
from raftstore.membership import Membership
from raftstore.pb.command_pb2 import ConfChange
from raftstore.pb.peer_pb2 import LeaderAnswer, LeaderQuestion
from raftstore.raft.leader import Leader
from raftstore.raft.progress import ProgressState
from raftstore.raft.types import MemberId

log = logging.getLogger(__name__)

HEALTHY_S = 1.0
"""For so long every voter must have been connected before another may join. Etcd waits 5 s; here a
dead link is noticed in less than one."""
READY_PERCENT = 90
"""How much of the leader's log a learner must hold (etcd readyPercent)."""
WAITING_MAX = 16
LEADERS_MAX = 3
"""How many members are asked in turn, while each says that it leads no more."""


class Asker(Protocol):
    """What is needed of the member on which this runs."""

    member_id: MemberId

    @property
    def members(self) -> Membership: ...
    @property
    def leader(self) -> MemberId: ...
    @property
    def leadership(self) -> Leader | None: ...
    async def read_index(self) -> None: ...
    async def ask_leader(self, question: LeaderQuestion) -> LeaderAnswer: ...
    async def transfer_leadership(self, to: MemberId) -> None: ...
    async def replicate_change(self, change: ConfChange) -> list[Member]: ...
    def connected_s(self, member_id: MemberId) -> float: ...


class Reconfiguration:
    """The membership changes of one member: those its clients ask for, and those it leads."""

    def __init__(self, node: Asker) -> None:
        self._node = node
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    async def change(self, change: ConfChange) -> list[Member]:
        """Have the leader make this change; returns the membership once it is in force here.

        Raises StoreError: definite when the change was refused.
        """
        member_id = MemberId(change.member.ID)
        removal = change.type == ConfChange.REMOVE
        if removal and self._node.leader == member_id:
            await self._give_up_leadership(member_id)
        for _ in range(LEADERS_MAX):
            answer = await self._node.ask_leader(LeaderQuestion(conf_change=change))
            if answer.error != errors.not_leader().text:
                break
        if answer.error:
            code = Code(answer.code) if answer.code else Code.UNAVAILABLE
            raise StoreError(code, answer.error, definite=answer.definite)
        if removal and member_id == self._node.member_id:
            return [member for member in self._node.members.all() if member_id != member.ID]
        await self._node.read_index()
        return self._node.members.all()

    async def _give_up_leadership(self, leader: MemberId) -> None:
        """A leader that leaves hands over first: no election, no gap (thesis §4.2.2)."""
        for voter in self._node.members.conf_state().voters:
            if voter == leader:
                continue
            try:
                await self._node.transfer_leadership(voter)
            except StoreError as error:
                log.info("member %016x did not take over: %s", voter, error.text)
            else:
                return

    async def make(self, change: ConfChange) -> None:
        """As the leader, judge a change and carry it out. Raises StoreError.

        Whoever comes while another change is under way waits for it, and is refused, definitely,
        when the time is up or too many wait.
        """
        if self._waiting >= WAITING_MAX:
            raise errors.too_many_requests()
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                self._judge(change)
                await self._node.replicate_change(change)
        finally:
            self._waiting -= 1

    def _judge(self, change: ConfChange) -> None:
        """Refuse what does not fit the membership, and what would put the quorum at risk."""
        node = self._node
        leadership = node.leadership
        if leadership is None:
            raise errors.not_leader()
        refusal = node.members.check(change)
        if refusal is not None:
            raise refusal
        match change.type:
            case ConfChange.ADD_VOTER:
                self._check_started(joining=True)
                if self._connected(HEALTHY_S) < len(node.members.conf_state().voters):
                    raise errors.unhealthy_cluster()
            case ConfChange.ADD_LEARNER:
                if self._connected(HEALTHY_S) < len(node.members.conf_state().voters):
                    raise errors.unhealthy_cluster()
            case ConfChange.PROMOTE:
                _check_in_sync(leadership, MemberId(change.member.ID))
            case ConfChange.REMOVE:
                self._check_removal(MemberId(change.member.ID))
            case _:
                pass

    def _connected(self, for_s: float) -> int:
        """How many voters there is a stream to, for so long; this one counts."""
        node = self._node
        return sum(
            voter == node.member_id or node.connected_s(voter) > for_s
            for voter in node.members.conf_state().voters
        )

    def _check_started(self, *, joining: bool = False, without: MemberId | None = None) -> None:
        """The started voters must be a quorum of those to be (IsReadyToAddVotingMember, …)."""
        voters = [
            member
            for member in self._node.members.all()
            if not member.isLearner and without != member.ID
        ]
        started = sum(bool(member.name) for member in voters)
        count = len(voters) + joining
        if joining and started == 1 and count == 2:  # how a cluster of one grows
            return
        if started < count // 2 + 1:
            raise errors.not_enough_started_members()

    def _check_removal(self, member_id: MemberId) -> None:
        """A voter may go if those left and reachable are a quorum, or if it is down itself."""
        node = self._node
        conf = node.members.conf_state()
        if member_id not in conf.voters:
            return
        self._check_started(without=member_id)
        if member_id != node.member_id and not node.connected_s(member_id):
            return
        if self._connected(0.0) - 1 < 1 + (len(conf.voters) - 1) // 2:
            raise errors.unhealthy_cluster()


def _check_in_sync(leadership: Leader, learner: MemberId) -> None:
    progress = leadership.progress.get(learner)
    own = leadership.progress[leadership.raft.id].match
    if (
        progress is None
        or progress.state is not ProgressState.REPLICATE
        or progress.match * 100 < own * READY_PERCENT
    ):
        raise errors.learner_not_ready()
