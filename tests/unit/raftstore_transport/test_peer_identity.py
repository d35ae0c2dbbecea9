"""Who may speak for whom: hellos, and the names in a verified certificate."""

from __future__ import annotations

from typing import Any

import pytest

from raftstore.membership import Membership
from raftstore.pb.command_pb2 import ConfChange, MemberAttributes
from raftstore.pb.peer_pb2 import Hello
from raftstore.raft.types import MemberId
from raftstore.transport.hello import (
    HelloRefusedError,
    Refusal,
    RefusedForGoodError,
    check_answer,
    check_caller,
    parse_hello,
)
from raftstore.transport.identity import certificate_covers
from raftstore.transport.wire import PROTOCOL, Purpose

CLUSTER = {
    "a": ("https://10.0.0.1:2380",),
    "b": ("https://b.example:2380",),
    "c": ("https://10.0.0.3:2380",),
}
MEMBERS = Membership.initial(CLUSTER, "token")
IDS = {member.name: MemberId(member.ID) for member in MEMBERS.all()}


def certificate(*names: tuple[str, str]) -> dict[str, Any]:
    return {"subjectAltName": names}


def hello(name: str, **changes: Any) -> Hello:
    fields: dict[str, Any] = {
        "cluster_id": MEMBERS.cluster_id,
        "member_id": IDS[name],
        "protocol": PROTOCOL,
        "purpose": Purpose.RAFT,
    }
    return Hello(**{**fields, **changes})


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        ([("IP Address", "10.0.0.1")], "10.0.0.1", True),
        ([("IP Address", "10.0.0.2")], "10.0.0.1", False),
        ([("IP Address", "0:0:0:0:0:0:0:1")], "::1", True),
        ([("DNS", "10.0.0.1")], "10.0.0.1", True),
        ([("DNS", "B.example")], "b.example", True),
        ([("DNS", "*.example")], "b.example", True),
        ([("DNS", "*.example")], "x.b.example", False),
        ([("DNS", "*.example")], "example", False),
        ([("URI", "b.example")], "b.example", False),
        ([("DNS", "x"), ("IP Address", "10.0.0.1")], "10.0.0.1", True),
        ([], "b.example", False),
    ],
)
def test_which_hosts_a_certificate_covers(
    names: list[tuple[str, str]], host: str, covered: bool
) -> None:
    assert certificate_covers(certificate(*names), [host]) is covered


def test_no_certificate_covers_nothing() -> None:
    assert not certificate_covers(None, ["a"])
    assert not certificate_covers({}, ["a"])


def test_a_member_with_its_own_certificate_is_let_in() -> None:
    own = certificate(("DNS", "b.example"))
    assert check_caller(hello("b"), MEMBERS, IDS["a"], own, {}) is Purpose.RAFT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cluster_id": 1}, "cluster id 0000000000000001 is not ours"),
        ({"member_id": 5}, "member 0000000000000005 is not known"),
        ({"protocol": 9}, "peer protocol 9"),
        ({"purpose": 8}, "purpose 8"),
        ({"member_id": IDS["a"]}, "this very member"),
    ],
)
def test_strangers_are_refused_with_the_reason(changes: dict[str, int], reason: str) -> None:
    own = certificate(("DNS", "b.example"), ("IP Address", "10.0.0.1"))
    with pytest.raises(HelloRefusedError, match=reason):
        check_caller(hello("b", **changes), MEMBERS, IDS["a"], own, {})


def test_a_certificate_of_another_host_does_not_speak_for_a_member() -> None:
    with pytest.raises(HelloRefusedError, match=r"does not cover b\.example"):
        check_caller(hello("b"), MEMBERS, IDS["a"], certificate(("IP Address", "10.0.0.3")), {})


def test_a_removed_member_is_told_so() -> None:
    members = MEMBERS.copy()
    change = ConfChange(type=ConfChange.REMOVE)
    change.member.ID = IDS["c"]
    members.apply(change)
    with pytest.raises(HelloRefusedError, match="was removed"):
        check_caller(hello("c"), members, IDS["a"], certificate(("IP Address", "10.0.0.3")), {})


def test_a_member_that_our_log_does_not_name_yet_speaks_for_itself() -> None:
    stranger = hello("b", member_id=5, peer_urls=["https://10.0.0.9:2380"])
    assert (
        check_caller(stranger, MEMBERS, IDS["a"], certificate(("IP Address", "10.0.0.9")), {})
        is Purpose.RAFT
    )
    with pytest.raises(HelloRefusedError, match=r"does not cover 10\.0\.0\.9"):
        check_caller(stranger, MEMBERS, IDS["a"], certificate(("IP Address", "10.0.0.8")), {})


def test_a_member_with_another_disk_is_refused_for_good() -> None:
    own = certificate(("DNS", "b.example"))
    members = MEMBERS.copy()
    members.apply_attributes(MemberAttributes(member_id=IDS["b"], name="b", incarnation=7))
    members.apply_attributes(MemberAttributes(member_id=IDS["b"], name="b", incarnation=8))
    assert members.incarnation_of(IDS["b"]) == 7
    check_caller(hello("b", incarnation=7), members, IDS["a"], own, {})
    for known, heard in ((members, {}), (MEMBERS, {IDS["b"]: 7})):
        with pytest.raises(HelloRefusedError, match="already been bootstrapped") as refused:
            check_caller(hello("b", incarnation=8), known, IDS["a"], own, heard)
        assert refused.value.refusal is Refusal.OTHER_DISK
    with pytest.raises(HelloRefusedError, match="already been bootstrapped"):
        check_answer(hello("b", incarnation=8), members, IDS["b"])
    answer = hello("b", error="you were removed", refusal=Refusal.REMOVED)
    with pytest.raises(RefusedForGoodError):
        check_answer(answer, members, IDS["b"])


def test_whoever_has_no_identity_yet_may_ask_who_belongs_here() -> None:
    question = Hello(protocol=PROTOCOL, purpose=Purpose.MEMBERS)
    assert check_caller(question, MEMBERS, IDS["a"], certificate(), {}) is Purpose.MEMBERS


def test_an_answer_must_come_from_the_member_that_was_called() -> None:
    check_answer(hello("b"), MEMBERS, IDS["b"])
    with pytest.raises(HelloRefusedError, match="check the peer URLs"):
        check_answer(hello("c"), MEMBERS, IDS["b"])
    with pytest.raises(HelloRefusedError, match="refused by the peer: go away"):
        check_answer(hello("b", error="go away"), MEMBERS, IDS["b"])


def test_a_hello_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(HelloRefusedError, match="cannot be read"):
        parse_hello(b"\xff")
