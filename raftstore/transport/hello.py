"""The first frame in each direction: who speaks, for which cluster, and what the stream is for."""

from __future__ import annotations

import enum
import urllib.parse
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError

from raftstore.membership import Membership
from raftstore.pb.peer_pb2 import Hello
from raftstore.raft.types import MemberId
from raftstore.transport.identity import certificate_covers
from raftstore.transport.wire import PROTOCOL, Purpose


class Refusal(enum.IntEnum):
    """Whether a caller need not call again (Hello.refusal). Part of the wire format."""

    FOR_NOW = 0
    REMOVED = 1
    OTHER_DISK = 2


class HelloRefusedError(Exception):
    """The two sides do not belong together. The text names the cause."""

    def __init__(self, text: str, refusal: Refusal = Refusal.FOR_NOW) -> None:
        super().__init__(text)
        self.refusal = refusal


class RefusedForGoodError(HelloRefusedError):
    """The member that was called says that this one must never call again, and why."""


def parse_hello(body: bytes) -> Hello:
    """Read a HELLO frame. Raises HelloRefusedError."""
    try:
        return Hello.FromString(body)
    except DecodeError as error:
        raise HelloRefusedError(f"the hello cannot be read: {error}") from error


def check_caller(
    hello: Hello,
    membership: Membership,
    self_id: MemberId,
    certificate: dict[str, Any] | None,
    heard: Mapping[MemberId, int],
) -> Purpose:
    """Judge a caller's hello and verified certificate. Raises HelloRefusedError.

    The certificate must cover the host of one of the peer URLs of the member that the caller says
    it is. For a member this one has not heard of yet, which may be newer than our log, its own word
    counts (as in etcd's rafthttp): the peer CA vouches for it. `heard` has the incarnations of
    members that called before.
    """
    if hello.purpose == Purpose.MEMBERS and hello.protocol == PROTOCOL:
        return Purpose.MEMBERS
    _check_cluster(hello, membership)
    caller = MemberId(hello.member_id)
    if membership.is_removed(caller):
        raise HelloRefusedError(
            f"member {caller:016x} was removed from this cluster: add it under a new id, and start "
            "it with an empty data directory and --initial-cluster-state=existing",
            Refusal.REMOVED,
        )
    if caller == self_id:
        raise HelloRefusedError(f"the caller says it is this very member, {self_id:016x}")
    member = membership.get(caller)
    urls = hello.peer_urls if member is None else member.peerURLs
    if not urls:
        raise HelloRefusedError(f"member {caller:016x} is not known here")
    hosts = [urllib.parse.urlsplit(url).hostname or "" for url in urls]
    if not certificate_covers(certificate, hosts):
        raise HelloRefusedError(
            f"the certificate does not cover {', '.join(hosts)}, the address of member "
            f"{caller:016x}; issue peer.crt with that subject alternative name"
        )
    _check_disk(hello, membership.incarnation_of(caller) or heard.get(caller, 0))
    try:
        return Purpose(hello.purpose)
    except ValueError:
        raise HelloRefusedError(f"stream purpose {hello.purpose} is not known here") from None


def check_answer(hello: Hello, membership: Membership, expected: MemberId) -> None:
    """Judge the answer of the member that was called. Raises HelloRefusedError."""
    if hello.error:
        text = f"refused by the peer: {hello.error}"
        if hello.refusal:
            raise RefusedForGoodError(text)
        raise HelloRefusedError(text)
    _check_cluster(hello, membership)
    if hello.member_id != expected:
        raise HelloRefusedError(
            f"called member {expected:016x}, but {hello.member_id:016x} answered; "
            "check the peer URLs"
        )
    _check_disk(hello, membership.incarnation_of(expected))


def _check_disk(hello: Hello, known: int) -> None:
    """A member that lost its disk has forgotten votes and acknowledgements: never listen to it."""
    if known and hello.incarnation and hello.incarnation != known:
        raise HelloRefusedError(
            f"member {hello.member_id:016x} has already been bootstrapped from another data "
            "directory, and has forgotten what it promised: remove it from the cluster "
            f"(etcdctl member remove {hello.member_id:x}), add it anew with an empty directory "
            "and start it with --initial-cluster-state=existing",
            Refusal.OTHER_DISK,
        )


def _check_cluster(hello: Hello, membership: Membership) -> None:
    if hello.protocol != PROTOCOL:
        raise HelloRefusedError(f"peer protocol {hello.protocol}, this release speaks {PROTOCOL}")
    if hello.cluster_id != membership.cluster_id:
        raise HelloRefusedError(
            f"cluster id {hello.cluster_id:016x} is not ours, {membership.cluster_id:016x}; "
            "check --initial-cluster and --initial-cluster-token on both members"
        )
