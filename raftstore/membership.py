"""Who belongs to the cluster: member ids, names, URLs, voters and learners.

Owns the list that rpc shows and the transport dials. Changed only by applied entries, so that all
members agree on it. Ids are derived as etcd derives them (server/etcdserver/api/membership: first
eight bytes of a SHA-1), so a cluster started twice from the same flags has the same ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from etcdclient.pb.rpc_pb2 import Member
from raftstore import errors
from raftstore.errors import StoreError
from raftstore.pb.command_pb2 import ConfChange, MemberAttributes
from raftstore.raft.types import ConfState, MemberId

LEARNERS_MAX = 1
"""Etcd's default of --max-learners."""


def member_id_of(
    peer_urls: Iterable[str], token: str, *, added_at_s: int | None = None
) -> MemberId:
    """The id of a member with these peer URLs in a cluster with this token (computeMemberID).

    A member added at run time passes the wall-clock second too, so that an address used again gets
    a new id.
    """
    text = "".join(sorted(peer_urls)) + token
    if added_at_s is not None:
        text += str(added_at_s)
    return MemberId(int.from_bytes(hashlib.sha1(text.encode()).digest()[:8], "big"))


def cluster_id_of(member_ids: Iterable[MemberId]) -> int:
    """The id of a cluster that starts with these members (etcd RaftCluster.genID)."""
    packed = b"".join(member_id.to_bytes(8, "big") for member_id in sorted(member_ids))
    return int.from_bytes(hashlib.sha1(packed).digest()[:8], "big")


class Membership:
    """The members of one cluster, by id. Ids of removed members are kept: they may never return."""

    def __init__(self, cluster_id: int, members: Iterable[Member] = ()) -> None:
        self.cluster_id = cluster_id
        self._members: dict[MemberId, Member] = {}
        self._removed: set[MemberId] = set()
        self._incarnations: dict[MemberId, int] = {}
        for member in members:
            self._members[MemberId(member.ID)] = _copy(member)

    @classmethod
    def initial(cls, cluster: Mapping[str, tuple[str, ...]], token: str) -> Membership:
        """The membership that `--initial-cluster` describes: all voters, names and URLs known."""
        members = [
            Member(ID=member_id_of(urls, token), name=name, peerURLs=sorted(urls))
            for name, urls in cluster.items()
        ]
        return cls(cluster_id_of(MemberId(member.ID) for member in members), members)

    def get(self, member_id: int) -> Member | None:
        """The member with this id, or None. Not to be altered."""
        return self._members.get(MemberId(member_id))

    def all(self) -> list[Member]:
        """All members, sorted by id. Not to be altered."""
        return [self._members[member_id] for member_id in sorted(self._members)]

    def is_removed(self, member_id: int) -> bool:
        """Whether that member once belonged here and was removed."""
        return member_id in self._removed

    def incarnation_of(self, member_id: int) -> int:
        """Which data directory that member published itself from; 0 if it has not yet."""
        return self._incarnations.get(MemberId(member_id), 0)

    def conf_state(self) -> ConfState:
        """The same membership as Raft sees it."""
        voters = (member_id for member_id, member in self._members.items() if not member.isLearner)
        learners = (member_id for member_id, member in self._members.items() if member.isLearner)
        return ConfState(voters=tuple(sorted(voters)), learners=tuple(sorted(learners)))

    def check(self, change: ConfChange) -> StoreError | None:
        """Why this change cannot be made to this membership, in etcd's words, or None if it can."""
        member_id = MemberId(change.member.ID)
        known = self._members.get(member_id)
        kind = change.type
        if kind in (ConfChange.ADD_VOTER, ConfChange.ADD_LEARNER):
            return self._check_add(change, known)
        if known is None:
            return errors.member_not_found()
        if kind == ConfChange.PROMOTE and not known.isLearner:
            return errors.member_not_learner()
        if kind == ConfChange.REMOVE and self.conf_state().voters == (member_id,):
            return errors.not_enough_started_members()
        if kind == ConfChange.UPDATE and self._urls_taken(change.member.peerURLs, but_by=member_id):
            return errors.peer_urls_exist()
        return None

    def _check_add(self, change: ConfChange, known: Member | None) -> StoreError | None:
        if known is not None or change.member.ID in self._removed:
            return errors.member_exists()
        if self._urls_taken(change.member.peerURLs, but_by=None):
            return errors.peer_urls_exist()
        learners = len(self.conf_state().learners)
        if change.type == ConfChange.ADD_LEARNER and learners >= LEARNERS_MAX:
            return errors.too_many_learners()
        return None

    def _urls_taken(self, urls: Iterable[str], *, but_by: MemberId | None) -> bool:
        wanted = set(urls)
        return any(
            wanted & set(member.peerURLs)
            for member_id, member in self._members.items()
            if member_id != but_by
        )

    def apply(self, change: ConfChange) -> None:
        """Make a change that `check` found possible. Called only for committed entries."""
        assert self.check(change) is None, change
        member_id = MemberId(change.member.ID)
        match change.type:
            case ConfChange.ADD_VOTER | ConfChange.ADD_LEARNER:
                added = _copy(change.member)
                added.isLearner = change.type == ConfChange.ADD_LEARNER
                self._members[member_id] = added
            case ConfChange.PROMOTE:
                promoted = _copy(self._members[member_id])
                promoted.isLearner = False
                self._members[member_id] = promoted
            case ConfChange.REMOVE:
                del self._members[member_id]
                self._incarnations.pop(member_id, None)
                self._removed.add(member_id)
            case ConfChange.UPDATE:
                updated = _copy(self._members[member_id])
                del updated.peerURLs[:]
                updated.peerURLs.extend(change.member.peerURLs)
                self._members[member_id] = updated

    def apply_attributes(self, attributes: MemberAttributes) -> None:
        """Take over the name and client URLs that a member published; ignore strangers.

        The first data directory that a member publishes itself from is its only one.
        """
        known = self._members.get(MemberId(attributes.member_id))
        if known is None:
            return
        named = _copy(known)
        named.name = attributes.name
        del named.clientURLs[:]
        named.clientURLs.extend(attributes.client_urls)
        self._members[MemberId(attributes.member_id)] = named
        if attributes.incarnation:
            self._incarnations.setdefault(MemberId(attributes.member_id), attributes.incarnation)

    def replace_by(self, other: Membership) -> None:
        """Become `other`, as a snapshot or the data directory has it."""
        self.cluster_id = other.cluster_id
        self._members = dict(other._members)
        self._removed = set(other._removed)
        self._incarnations = dict(other._incarnations)

    def copy(self) -> Membership:
        """The membership as of now, whatever is applied later."""
        fresh = Membership(self.cluster_id)
        fresh.replace_by(self)
        return fresh

    def to_json(self) -> bytes:
        """One stable rendering, for the identity file and for snapshots."""
        members = [
            {
                "id": f"{member.ID:016x}",
                "name": member.name,
                "peer_urls": list(member.peerURLs),
                "client_urls": list(member.clientURLs),
                "learner": member.isLearner,
                "incarnation": f"{self.incarnation_of(member.ID):016x}",
            }
            for member in self.all()
        ]
        removed = [f"{member_id:016x}" for member_id in sorted(self._removed)]
        document = {"cluster_id": f"{self.cluster_id:016x}", "members": members, "removed": removed}
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Membership:
        """The membership that `to_json` rendered. Raises ValueError or KeyError otherwise."""
        document = json.loads(data)
        members = [
            Member(
                ID=int(member["id"], 16),
                name=member["name"],
                peerURLs=member["peer_urls"],
                clientURLs=member["client_urls"],
                isLearner=member["learner"],
            )
            for member in document["members"]
        ]
        membership = cls(int(document["cluster_id"], 16), members)
        membership._incarnations = {
            MemberId(int(member["id"], 16)): int(member["incarnation"], 16)
            for member in document["members"]
            if int(member.get("incarnation", "0"), 16)
        }
        membership._removed = {MemberId(int(member_id, 16)) for member_id in document["removed"]}
        return membership


def _copy(member: Member) -> Member:
    fresh = Member()
    fresh.CopyFrom(member)
    return fresh
