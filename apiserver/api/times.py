"""Times as Kubernetes writes them: RFC 3339 in UTC, to the second (`Time`) or microsecond.

PURE: the current time comes in as an argument. Parsing raises `TimeError` with Go's texts.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from apiserver.api.quoting import quote

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)\Z", re.ASCII
)
_SECONDS_LAYOUT = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"


class TimeError(ValueError):
    """The text is not a time."""


def render_time(moment: datetime) -> str:
    """A `Time`: `2006-01-02T15:04:05Z`, fractions cut off. `moment` must know its zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def render_micro_time(moment: datetime) -> str:
    """A `MicroTime`: `2006-01-02T15:04:05.000000Z`. `moment` must know its zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime:
    """Any RFC 3339 time. Raises TimeError."""
    return _parse(text, _SECONDS_LAYOUT)


@lru_cache(maxsize=4096)
def canonical_time(text: str) -> str:
    """A `Time` in canonical form. Raises TimeError."""
    return render_time(_parse(text, _SECONDS_LAYOUT))


@lru_cache(maxsize=4096)
def canonical_micro_time(text: str) -> str:
    """A `MicroTime` in canonical form; it must have six digits of fraction. Raises TimeError."""
    match = _RFC3339.match(text)
    fraction = match[3] if match else "000000"
    if match and len(fraction or "") != 6:
        rest = text[19:]
        raise TimeError(
            f"parsing time {quote(text)} as {quote(_MICRO_LAYOUT)}: "
            f'cannot parse {quote(rest)} as ".000000"'
        )
    return render_micro_time(_parse(text, _MICRO_LAYOUT))


def _parse(text: str, layout: str) -> datetime:
    match = _RFC3339.match(text)
    if match is None:
        raise TimeError(f"parsing time {quote(text)} as {quote(layout)}: {_first_mismatch(text)}")
    date, clock, fraction, zone = match.groups()
    micros = (fraction or "").ljust(6, "0")[:6]
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}.{micros}+00:00")
        return moment - _offset(zone)
    except (ValueError, OverflowError) as error:
        raise TimeError(f"parsing time {quote(text)}: {_out_of_range(date, clock)}") from error


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 24 or minutes >= 60:
        raise ValueError("time zone offset")
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if zone[0] == "-" else offset


def _out_of_range(date: str, clock: str) -> str:
    hour, minute, second = (int(part) for part in clock.split(":"))
    _, month, _ = (int(part) for part in date.split("-"))
    if not 1 <= month <= 12:
        return "month out of range"
    if hour > 23:
        return "hour out of range"
    if minute > 59:
        return "minute out of range"
    return "second out of range" if second > 59 else "day out of range"


_PIECES = (
    (r"\d{4}", "2006"),
    (r"-", "-"),
    (r"\d\d", "01"),
    (r"-", "-"),
    (r"\d\d", "02"),
    (r"T", "T"),
    (r"\d\d", "15"),
    (r":", ":"),
    (r"\d\d", "04"),
    (r":", ":"),
    (r"\d\d(?:[.,]\d+)?", "05"),
    (r"Z|[+-]\d\d:\d\d", "Z07:00"),
)


def _first_mismatch(text: str) -> str:
    """Go's account of where a text leaves the layout."""
    rest = text
    for pattern, layout in _PIECES:
        match = re.match(pattern, rest, re.ASCII)
        if match is None:
            return f"cannot parse {quote(rest)} as {quote(layout)}"
        rest = rest[match.end() :]
    return f"extra text: {quote(rest)}"
