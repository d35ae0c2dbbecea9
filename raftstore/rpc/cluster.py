"""etcd's Cluster service: who belongs to the cluster, and changing that one member at a time.

Source: etcd server/etcdserver/api/v3rpc/member.go. Its headers carry no revision, as in etcd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from etcdclient.pb import rpc_pb2 as pb
from raftstore import errors
from raftstore.config import ConfigError, split_peer_url
from raftstore.errors import Code, StoreError
from raftstore.membership import member_id_of
from raftstore.node import Node
from raftstore.pb.command_pb2 import ConfChange
from raftstore.rpc.handlers import Handler, unary
from raftstore.rpc.headers import Headers


class ClusterService:
    """MemberList, MemberAdd, MemberRemove, MemberUpdate and MemberPromote on one member.

    `now` gives the wall clock: it goes into the ids of members added at run time.
    """

    def __init__(self, node: Node, headers: Headers, now: Callable[[], datetime]) -> None:
        self._node = node
        self._headers = headers
        self._now = now

    def handlers(self) -> dict[str, Handler]:
        """By full path."""
        path = "/etcdserverpb.Cluster/Member"
        return {
            path + "List": unary(
                self.member_list, pb.MemberListRequest.FromString, pb.MemberListResponse
            ),
            path + "Add": unary(
                self.member_add, pb.MemberAddRequest.FromString, pb.MemberAddResponse
            ),
            path + "Remove": unary(
                self.member_remove, pb.MemberRemoveRequest.FromString, pb.MemberRemoveResponse
            ),
            path + "Update": unary(
                self.member_update, pb.MemberUpdateRequest.FromString, pb.MemberUpdateResponse
            ),
            path + "Promote": unary(
                self.member_promote, pb.MemberPromoteRequest.FromString, pb.MemberPromoteResponse
            ),
        }

    async def member_list(self, request: pb.MemberListRequest) -> pb.MemberListResponse:
        """All members, as known here, or confirmed by ReadIndex if `linearizable`."""
        if request.linearizable:
            await self._node.read_index()
        response = pb.MemberListResponse(members=self._node.members.all())
        self._headers.fill_member(response.header)
        return response

    async def member_add(self, request: pb.MemberAddRequest) -> pb.MemberAddResponse:
        """A new voter or learner, known by its peer URLs until it has started."""
        _check_urls(request.peerURLs)
        change = ConfChange(
            type=ConfChange.ADD_LEARNER if request.isLearner else ConfChange.ADD_VOTER
        )
        change.member.ID = member_id_of(
            request.peerURLs,
            self._node.config.initial_cluster_token,
            added_at_s=int(self._now().timestamp()),
        )
        change.member.peerURLs.extend(request.peerURLs)
        change.member.isLearner = request.isLearner
        members = await self._node.propose_conf_change(change)
        response = pb.MemberAddResponse(member=change.member, members=members)
        self._headers.fill_member(response.header)
        return response

    async def member_remove(self, request: pb.MemberRemoveRequest) -> pb.MemberRemoveResponse:
        """A member leaves for good: its id never returns."""
        response = pb.MemberRemoveResponse()
        response.members.extend(await self._change(ConfChange.REMOVE, request.ID))
        self._headers.fill_member(response.header)
        return response

    async def member_update(self, request: pb.MemberUpdateRequest) -> pb.MemberUpdateResponse:
        """Other peer URLs for a member."""
        _check_urls(request.peerURLs)
        members = await self._change(ConfChange.UPDATE, request.ID, *request.peerURLs)
        response = pb.MemberUpdateResponse(members=members)
        self._headers.fill_member(response.header)
        return response

    async def member_promote(self, request: pb.MemberPromoteRequest) -> pb.MemberPromoteResponse:
        """A learner becomes a voter."""
        response = pb.MemberPromoteResponse()
        response.members.extend(await self._change(ConfChange.PROMOTE, request.ID))
        self._headers.fill_member(response.header)
        return response

    async def _change(
        self, kind: ConfChange.Type, member_id: int, *peer_urls: str
    ) -> list[pb.Member]:
        if self._node.members.get(member_id) is None:
            raise errors.member_not_found()
        change = ConfChange(type=kind)
        change.member.ID = member_id
        change.member.peerURLs.extend(peer_urls)
        return await self._node.propose_conf_change(change)


def _check_urls(urls: Sequence[str]) -> None:
    """Raise unless there are peer URLs and all are such (etcd ErrMemberBadURLs)."""
    try:
        for url in urls:
            split_peer_url(url)
    except ConfigError:
        urls = ()
    if not urls:
        text = "etcdserver: given member URLs are invalid"
        raise StoreError(Code.INVALID_ARGUMENT, text, definite=True)
