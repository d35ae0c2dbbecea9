"""What a client may conclude from a response, or from the lack of one."""

import pytest

from chaos.workload.client import Outcome, judge_failure, judge_response


@pytest.mark.parametrize(
    ("status", "sendings", "outcome"),
    [
        (200, 1, Outcome.DONE),
        (201, 1, Outcome.DONE),
        (200, 2, Outcome.DONE),  # guarded by its resourceVersion, it was done once
        (409, 1, Outcome.FAILED),
        (409, 2, Outcome.UNKNOWN),  # the conflict may be with its own first sending
        (403, 1, Outcome.FAILED),
        (429, 1, Outcome.FAILED),
        (408, 1, Outcome.UNKNOWN),
        (500, 1, Outcome.UNKNOWN),
        (503, 1, Outcome.UNKNOWN),
        (504, 1, Outcome.UNKNOWN),
    ],
)
def test_response(status: int, sendings: int, outcome: Outcome) -> None:
    answer = judge_response(status, b'{"message": "why"}', sendings=sendings)
    assert answer.outcome is outcome
    assert (answer.error is None) == (outcome is Outcome.DONE)


def test_body_that_is_no_json_is_told_as_it_is() -> None:
    answer = judge_response(502, b"<html>bad gateway", sendings=1)
    assert answer.error == "HTTP 502: <html>bad gateway"


def test_failure_before_anything_was_sent_is_definite() -> None:
    assert judge_failure("refused", sendings=0).outcome is Outcome.FAILED
    assert judge_failure("reset", sendings=1).outcome is Outcome.UNKNOWN
