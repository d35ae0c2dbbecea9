"""Ids as etcd derives them, and membership changes in etcd's words."""

from __future__ import annotations

import pytest

from raftstore.membership import Membership, cluster_id_of, member_id_of
from raftstore.pb.command_pb2 import ConfChange, MemberAttributes
from raftstore.raft.types import MemberId

CLUSTER = {name: (f"https://{name}:2380",) for name in ("a", "b", "c")}


def fresh() -> Membership:
    return Membership.initial(CLUSTER, "token")


def id_of(name: str) -> MemberId:
    return member_id_of(CLUSTER[name], "token")


def change(kind: ConfChange.Type, member_id: int, *urls: str) -> ConfChange:
    made = ConfChange(type=kind)
    made.member.ID = member_id
    made.member.peerURLs.extend(urls)
    return made


def refusal(membership: Membership, wanted: ConfChange) -> str | None:
    error = membership.check(wanted)
    return None if error is None else error.text


def test_ids_are_the_ones_etcd_gives() -> None:
    # The ids that every `etcd` started without flags logs.
    assert f"{member_id_of(['http://localhost:2380'], 'etcd-cluster'):x}" == "8e9e05c52164694d"
    assert f"{cluster_id_of([MemberId(0x8E9E05C52164694D)]):x}" == "cdf818194e3a8c32"


def test_ids_do_not_depend_on_order() -> None:
    turned = dict(reversed(CLUSTER.items()))
    assert Membership.initial(turned, "token").to_json() == fresh().to_json()
    assert member_id_of(["u2", "u1"], "t") == member_id_of(["u1", "u2"], "t")
    assert member_id_of(["u1"], "t", added_at_s=5) != member_id_of(["u1"], "t")


def test_a_learner_is_added_and_promoted_and_removed() -> None:
    members = fresh()
    members.apply(change(ConfChange.ADD_LEARNER, 9, "https://d:2380"))
    assert members.conf_state().learners == (9,)
    members.apply(change(ConfChange.PROMOTE, 9))
    assert 9 in members.conf_state().voters
    members.apply(change(ConfChange.REMOVE, 9))
    assert members.get(9) is None
    assert members.is_removed(9)
    assert (
        refusal(members, change(ConfChange.ADD_VOTER, 9, "https://d:2380"))
        == "etcdserver: member ID already exist"
    )


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (
            change(ConfChange.ADD_VOTER, 9, "https://a:2380"),
            "etcdserver: Peer URLs already exists",
        ),
        (
            change(ConfChange.ADD_VOTER, id_of("a"), "https://x:1"),
            "etcdserver: member ID already exist",
        ),
        (change(ConfChange.REMOVE, 9), "etcdserver: member not found"),
        (
            change(ConfChange.PROMOTE, id_of("a")),
            "etcdserver: can only promote a learner member",
        ),
        (
            change(ConfChange.UPDATE, id_of("a"), "https://b:2380"),
            "etcdserver: Peer URLs already exists",
        ),
        (change(ConfChange.UPDATE, id_of("a"), "https://a:2380"), None),
    ],
)
def test_changes_that_do_not_fit_are_refused_in_etcds_words(
    wanted: ConfChange, text: str | None
) -> None:
    assert refusal(fresh(), wanted) == text


def test_a_second_learner_is_refused() -> None:
    members = fresh()
    members.apply(change(ConfChange.ADD_LEARNER, 9, "https://d:2380"))
    wanted = change(ConfChange.ADD_LEARNER, 10, "https://e:2380")
    assert refusal(members, wanted) == "etcdserver: too many learner members in cluster"


def test_the_last_voter_cannot_be_removed() -> None:
    members = Membership.initial({"a": CLUSTER["a"]}, "token")
    text = "etcdserver: re-configuration failed due to not enough started members"
    assert refusal(members, change(ConfChange.REMOVE, id_of("a"))) == text


def test_json_keeps_everything() -> None:
    members = fresh()
    members.apply(change(ConfChange.REMOVE, id_of("c")))
    members.apply(change(ConfChange.UPDATE, id_of("b"), "https://moved:2380"))
    members.apply_attributes(
        MemberAttributes(member_id=id_of("a"), name="alpha", client_urls=["https://a:2379"])
    )
    members.apply_attributes(MemberAttributes(member_id=1, name="stranger"))
    back = Membership.from_json(members.to_json())
    assert back.to_json() == members.to_json()
    assert back.all() == members.all()
    assert back.is_removed(id_of("c"))


def test_a_copy_does_not_change_with_its_original() -> None:
    members = fresh()
    kept = members.copy()
    members.apply(change(ConfChange.REMOVE, id_of("c")))
    assert len(kept.all()) == 3
    assert kept.cluster_id == members.cluster_id
