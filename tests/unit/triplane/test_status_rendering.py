"""How `status` words what it found."""

import json
from dataclasses import replace

import pytest

from triplane.status import (
    ApiServerStatus,
    ClusterStatus,
    MemberStatus,
    VipStatus,
    as_json,
    as_text,
)

LEADER = MemberStatus(
    name="cp1",
    endpoint="https://127.0.0.11:2379",
    pid=11,
    member_id=0xAB,
    role="leader",
    term=3,
    revision=40,
    applied_index=57,
    db_size_bytes=20480,
)
DEAD = MemberStatus("cp2", "https://127.0.0.12:2379", pid=None, error="UNAVAILABLE: refused")
STATUS = ClusterStatus(
    data_dir="/data",
    vip=VipStatus("127.0.0.10:6443", error=None, holder="cp2", agents=(("cp1", 31), ("cp2", 32))),
    members=(LEADER, DEAD),
    apiservers=(
        ApiServerStatus("cp1", "https://127.0.0.11:6443", pid=21, error=None),
        ApiServerStatus("cp2", "https://127.0.0.12:6443", pid=None, error="refused"),
    ),
)


def test_the_text_shows_what_is_up_what_is_not_and_why() -> None:
    assert as_text(STATUS) == "\n".join(
        [
            "MEMBER   ENDPOINT                  PID       ROLE     TERM   REVISION   APPLIED"
            "   DB SIZE",
            "cp1      https://127.0.0.11:2379   11        leader   3      40         57"
            "        20 KiB",
            "cp2      https://127.0.0.12:2379   stopped   -        -      -          -"
            "         -         UNAVAILABLE: refused",
            "",
            "API SERVER   ENDPOINT                  PID       STATE",
            "cp1          https://127.0.0.11:6443   21        ready",
            "cp2          https://127.0.0.12:6443   stopped   not ready   refused",
            "",
            "VIP AGENT   PID   127.0.0.10:6443 (ready)",
            "cp1         31    stands by",
            "cp2         32    holds the address",
        ]
    )


def test_the_json_has_every_number_and_null_for_what_is_not_known() -> None:
    document = json.loads(as_json(STATUS))
    assert document["ready"] is True
    assert document["leader"] == "cp1"
    assert document["vip"]["holder"] == "cp2"
    assert document["members"][0] == {
        "name": "cp1",
        "endpoint": "https://127.0.0.11:2379",
        "pid": 11,
        "memberID": "ab",
        "role": "leader",
        "term": 3,
        "revision": 40,
        "appliedIndex": 57,
        "dbSize": 20480,
        "error": None,
    }
    assert document["members"][1]["role"] is None
    assert document["members"][1]["error"] == "UNAVAILABLE: refused"
    assert [server["ready"] for server in document["apiServers"]] == [True, False]


@pytest.mark.parametrize(
    "status",
    [
        replace(STATUS, vip=replace(STATUS.vip, error="refused")),
        replace(STATUS, members=(replace(LEADER, role="follower"), DEAD)),
    ],
)
def test_not_ready_without_an_answering_address_or_a_leader(status: ClusterStatus) -> None:
    assert not status.ready


def test_of_two_that_say_they_lead_the_later_term_does() -> None:
    deposed = replace(LEADER, name="cp3", term=2)
    assert replace(STATUS, members=(deposed, LEADER)).leader == "cp1"
