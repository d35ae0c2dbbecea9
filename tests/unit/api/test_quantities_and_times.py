"""Quantities and times in canonical form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api import durations, quantity, times


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"), ("0Gi", "0"), ("1000m", "1"), ("1500m", "1500m"), ("0.1", "100m"),
        ("1.5Gi", "1536Mi"), ("1024Ki", "1Mi"), ("0.5Ki", "512"), ("1e5", "100e3"),
        ("12e6", "12e6"), ("1E", "1E"), ("-1.5", "-1500m"), ("+1", "1"), (".5", "500m"),
        ("1.", "1"), ("0.0000000001", "1n"), ("123456789Mi", "123456789Mi"), ("1000k", "1M"),
    ],
)  # fmt: skip
def test_canonical_quantities(text: str, canonical: str) -> None:
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize(
    "text", ["", "a", "1.2.3", "5Kii", "1e", "m", "1 Gi", "--1", "1e99999", "١"]
)
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(quantity.QuantityError, match="quantit"):
        quantity.canonical(text)


@given(
    st.integers(-(10**12), 10**12),
    st.sampled_from(["n", "u", "m", "", "k", "M", "Ki", "Mi", "e3", "e-3"]),
)
def test_canonical_form_is_stable_and_keeps_the_amount(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    canonical = quantity.canonical(text)
    assert quantity.canonical(canonical) == canonical
    assert quantity.nano_units(canonical) == quantity.nano_units(text)


def test_arithmetic_keeps_the_family_of_suffixes() -> None:
    total = quantity.nano_units("512Mi") + quantity.nano_units("1Gi")
    assert quantity.from_nano_units(total, "1Gi") == "1536Mi"


def test_huge_quantities_are_capped() -> None:
    assert quantity.nano_units("1e1000") == quantity.AMOUNT_MAX


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.999Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_times_to_the_second_in_utc(text: str, canonical: str) -> None:
    assert times.canonical_time(text) == canonical


def test_micro_times_keep_six_digits() -> None:
    assert times.canonical_micro_time("2026-01-02T03:04:05.120000+01:00") == (
        "2026-01-02T02:04:05.120000Z"
    )
    with pytest.raises(times.TimeError, match=r'cannot parse "Z" as "\.000000"'):
        times.canonical_micro_time("2026-01-02T03:04:05Z")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("abc", 'cannot parse "abc" as "2006"'),
        ("2026-13-02T03:04:05Z", "month out of range"),
        ("2026-02-30T03:04:05Z", "day out of range"),
        ("2026-01-02T25:04:05Z", "hour out of range"),
        ("2026-01-02 03:04:05Z", 'cannot parse " 03:04:05Z" as "T"'),
        ("2026-01-02T03:04:05Zx", 'extra text: "x"'),
    ],
)
def test_what_is_no_time(text: str, why: str) -> None:
    with pytest.raises(times.TimeError, match=why):
        times.canonical_time(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"),
        (599, "9m59s"), (600, "10m"), (179 * 60, "179m"), (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"), (8 * 3600 + 60, "8h"), (47 * 3600, "47h"), (48 * 3600, "2d"),
        (49 * 3600, "2d1h"), (8 * 86400 + 3600, "8d"), (729 * 86400, "729d"),
        (730 * 86400, "2y"), (731 * 86400, "2y1d"), (8 * 365 * 86400 + 86400, "8y"),
    ],
)  # fmt: skip
def test_durations_as_kubectl_prints_them(seconds: float, text: str) -> None:
    assert durations.human_duration(seconds) == text


def test_ages() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert durations.age(times.render_time(now - timedelta(minutes=3)), now) == "3m"
    assert durations.age(None, now) == "<unknown>"
    assert durations.age("nonsense", now) == "<unknown>"
