"""The first frame in each direction: who speaks, for which cluster, and what the stream is for."""

from __future__ import annotations

import urllib.parse
from typing import Any

from google.protobuf.message import DecodeError

from raftstore.membership import Membership
from raftstore.pb.peer_pb2 import Hello
from raftstore.raft.types import MemberId
from raftstore.transport.identity import certificate_covers
from raftstore.transport.wire import PROTOCOL, Purpose


class HelloRefusedError(Exception):
    """The two sides do not belong together. The text names the cause."""


def parse_hello(body: bytes) -> Hello:
    """Read a HELLO frame. Raises HelloRefusedError."""
    try:
        return Hello.FromString(body)
    except DecodeError as error:
        raise HelloRefusedError(f"the hello cannot be read: {error}") from error


def check_caller(
    hello: Hello, membership: Membership, self_id: MemberId, certificate: dict[str, Any] | None
) -> Purpose:
    """Judge a caller's hello and verified certificate. Raises HelloRefusedError.

    The certificate must cover the host of one of the peer URLs of the member that the caller says
    it is. A member this one has not heard of yet may be newer than our log: it is refused too, and
    calls again.
    """
    _check_cluster(hello, membership)
    if membership.is_removed(hello.member_id):
        raise HelloRefusedError(f"member {hello.member_id:016x} was removed from this cluster")
    if hello.member_id == self_id:
        raise HelloRefusedError(f"the caller says it is this very member, {self_id:016x}")
    member = membership.get(hello.member_id)
    if member is None:
        raise HelloRefusedError(f"member {hello.member_id:016x} is not known here")
    hosts = [urllib.parse.urlsplit(url).hostname or "" for url in member.peerURLs]
    if not certificate_covers(certificate, hosts):
        raise HelloRefusedError(
            f"the certificate does not cover {', '.join(hosts)}, the address of member "
            f"{hello.member_id:016x}; issue peer.crt with that subject alternative name"
        )
    try:
        return Purpose(hello.purpose)
    except ValueError:
        raise HelloRefusedError(f"stream purpose {hello.purpose} is not known here") from None


def check_answer(hello: Hello, membership: Membership, expected: MemberId) -> None:
    """Judge the answer of the member that was called. Raises HelloRefusedError."""
    if hello.error:
        raise HelloRefusedError(f"refused by the peer: {hello.error}")
    _check_cluster(hello, membership)
    if hello.member_id != expected:
        raise HelloRefusedError(
            f"called member {expected:016x}, but {hello.member_id:016x} answered; "
            "check the peer URLs"
        )


def _check_cluster(hello: Hello, membership: Membership) -> None:
    if hello.protocol != PROTOCOL:
        raise HelloRefusedError(f"peer protocol {hello.protocol}, this release speaks {PROTOCOL}")
    if hello.cluster_id != membership.cluster_id:
        raise HelloRefusedError(
            f"cluster id {hello.cluster_id:016x} is not ours, {membership.cluster_id:016x}; "
            "check --initial-cluster and --initial-cluster-token on both members"
        )
