"""Durations and ranges on the command line."""

import argparse

import pytest

from apiserver.bootstrap import bootstrap_objects, first_service_address
from apiserver.flags import duration_s


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("5m", 300), ("1m30s", 90), ("1.5s", 1.5), ("200ms", 0.2)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "-5s", "5x", "5s!"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration_s(text)


@pytest.mark.parametrize(
    ("cidr", "address"), [("10.96.0.0/12", "10.96.0.1"), ("fd00:10::/108", "fd00:10::1")]
)
def test_the_first_service_address(cidr: str, address: str) -> None:
    assert first_service_address(cidr) == address


def test_what_a_new_cluster_finds_in_place() -> None:
    kinds = [obj["kind"] for obj in bootstrap_objects("10.96.0.0/12", 6443)]
    assert kinds == ["Namespace"] * 4 + ["PriorityClass"] * 2 + ["Service"]
