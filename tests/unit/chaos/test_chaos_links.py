"""Which links are cut, and how the proxy's flags are read."""

import pytest

from chaos.live.links import LinkError, Links
from chaos.live.network import links_between
from chaos.live.proxy import Stand, parse_members

NODES = frozenset({"cp1", "cp2", "cp3"})


def test_partition_cuts_both_ways_between_groups_only() -> None:
    assert links_between([["cp1"], ["cp2", "cp3"]]) == [
        ("cp1", "cp2"),
        ("cp1", "cp3"),
        ("cp2", "cp1"),
        ("cp3", "cp1"),
    ]


def test_cut_is_one_way_and_heal_ends_all() -> None:
    links = Links(NODES)
    links.cut([("cp1", "cp2")])
    links.delay(("cp2", "cp3"), 20)
    assert links.is_cut(("cp1", "cp2"))
    assert not links.is_cut(("cp2", "cp1"))
    assert links.delay_s(("cp2", "cp3")) == 0.02
    assert links.describe() == {"cut": ["cp1->cp2"], "delay_ms": {"cp2->cp3": 20}}
    links.heal()
    assert links.describe() == {"cut": [], "delay_ms": {}}


@pytest.mark.parametrize("link", [("cp1", "cp9"), ("cp1", "cp1")])
def test_links_that_are_not_there_are_refused_and_nothing_is_cut(link: tuple[str, str]) -> None:
    links = Links(NODES)
    with pytest.raises(LinkError):
        links.cut([("cp1", "cp2"), link])
    assert not links.is_cut(("cp1", "cp2"))


@pytest.mark.parametrize("delay_ms", [-1, 60_001])
def test_delays_are_bounded(delay_ms: int) -> None:
    with pytest.raises(LinkError, match="ms is not between"):
        Links(NODES).delay(("cp1", "cp2"), delay_ms)


def test_members_flag() -> None:
    stands = parse_members(
        "cp1=127.0.0.11:2380>127.0.0.11:2390,cp2=127.0.0.12:2380>127.0.0.12:2390"
    )
    assert stands[0] == Stand("cp1", "127.0.0.11", 2380, "127.0.0.11", 2390)
    assert [stand.node for stand in stands] == ["cp1", "cp2"]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "is not NODE="),
        ("cp1=127.0.0.11:2380", "is not NODE="),
        ("cp1=127.0.0.11>127.0.0.11:1", "is not HOST:PORT"),
        ("cp1=127.0.0.11:70000>127.0.0.11:1", "is not HOST:PORT"),
        ("a=127.0.0.1:1>127.0.0.1:2,a=127.0.0.2:1>127.0.0.2:2", "the same node"),
        ("a=127.0.0.1:1>127.0.0.1:2,b=127.0.0.1:3>127.0.0.1:4", "the same host"),
    ],
)
def test_wrong_members_flags_say_why(text: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        parse_members(text)
