"""Spans of time as people read them, the way kubectl prints ages."""

from __future__ import annotations

from datetime import datetime

from apiserver.api.times import TimeError, parse_time

UNKNOWN = "<unknown>"


def human_duration(seconds: float) -> str:
    """About two significant units: `5s`, `119s`, `2m5s`, `47h`, `3d4h`, `2y30d`."""
    whole = int(seconds)
    if whole < 0:
        return "0s" if whole >= -1 else "<invalid>"
    if whole < 120:
        return f"{whole}s"
    minutes, hours = whole // 60, whole // 3600
    if minutes < 10:
        return _pair(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _pair(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return _pair(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _pair(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def age(timestamp: str | None, now: datetime) -> str:
    """How long ago a Time or MicroTime was; `<unknown>` if it is not set."""
    if not timestamp:
        return UNKNOWN
    try:
        return human_duration((now - parse_time(timestamp)).total_seconds())
    except TimeError:
        return UNKNOWN


def between(start: str, end: str) -> str:
    """The span between two Times."""
    return human_duration((parse_time(end) - parse_time(start)).total_seconds())
