"""What an answer without success means: definite or unknown, worth another endpoint or not."""

from __future__ import annotations

import grpc
import pytest

from etcdclient import errors
from etcdclient.errors import CompactedError, EtcdError, Kind

CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (CODE.UNAVAILABLE, "etcdserver: leader changed"),
        (CODE.UNAVAILABLE, "etcdserver: request timed out"),
        (
            CODE.UNAVAILABLE,
            "etcdserver: request timed out, possibly due to previous leader failure",
        ),
        (CODE.UNAVAILABLE, "etcdserver: server stopped"),
        (CODE.UNAVAILABLE, "Socket closed"),
        (CODE.UNAVAILABLE, "recvmsg:Connection reset by peer"),
        (CODE.DEADLINE_EXCEEDED, "Deadline Exceeded"),
        (CODE.CANCELLED, ""),
        (CODE.INTERNAL, "anything"),
        (CODE.UNKNOWN, "anything"),
        (CODE.RESOURCE_EXHAUSTED, "anything"),
    ],
)
def test_a_write_that_may_have_reached_a_log_is_unknown(code: CODE, text: str) -> None:
    assert not errors.from_status(code, text, Kind.WRITE, "here").definite
    assert errors.from_status(code, text, Kind.READ, "here").definite


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (CODE.UNAVAILABLE, "etcdserver: no leader"),
        (CODE.UNAVAILABLE, "failed to connect to all addresses; last error: UNKNOWN: refused"),
        (CODE.UNKNOWN, "raft proposal dropped"),
        (CODE.RESOURCE_EXHAUSTED, "etcdserver: too many requests"),
        (CODE.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"),
        (CODE.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (9 vs. 8)"),
        (CODE.RESOURCE_EXHAUSTED, "grpc: received message larger than max (9 vs. 8)"),
        (CODE.RESOURCE_EXHAUSTED, "Sent message larger than max (9 vs. 8)"),
        (CODE.INVALID_ARGUMENT, "etcdserver: request is too large"),
        (CODE.FAILED_PRECONDITION, "etcdserver: not leader"),
        (CODE.NOT_FOUND, "etcdserver: requested lease not found"),
        (CODE.UNIMPLEMENTED, "unknown service"),
    ],
)
def test_a_write_refused_before_any_log_is_definite(code: CODE, text: str) -> None:
    assert errors.from_status(code, text, Kind.WRITE, "here").definite


def test_our_store_may_say_that_nothing_happened() -> None:
    text = "etcdserver: leader changed"
    told = errors.from_status(CODE.UNAVAILABLE, text, Kind.WRITE, "here", told_definite=True)
    assert told.definite


def test_compaction_is_an_error_of_its_own() -> None:
    text = "etcdserver: mvcc: required revision has been compacted"
    error = errors.from_status(CODE.OUT_OF_RANGE, text, Kind.READ, "here")
    assert isinstance(error, CompactedError)
    assert not errors.is_elsewhere_worthwhile(error)


@pytest.mark.parametrize("code", [CODE.INVALID_ARGUMENT, CODE.OUT_OF_RANGE, CODE.NOT_FOUND])
def test_a_judgement_is_the_same_everywhere(code: CODE) -> None:
    assert not errors.is_elsewhere_worthwhile(EtcdError(code, "", definite=True))


def test_an_error_renders_on_one_line() -> None:
    error = EtcdError(CODE.UNAVAILABLE, "Socket closed", definite=False, endpoint="https://a:1")
    assert str(error) == "UNAVAILABLE from https://a:1: Socket closed (outcome unknown)"
