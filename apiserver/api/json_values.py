"""Plain operations on decoded JSON."""

from __future__ import annotations

from typing import Any


def clone(value: Any) -> Any:
    """A deep copy of dicts, lists and scalars; several times faster than `copy.deepcopy`."""
    if type(value) is dict:
        return {key: clone(item) for key, item in value.items()}
    if type(value) is list:
        return [clone(item) for item in value]
    return value


def same(left: Any, right: Any) -> bool:
    """JSON equality: as `==`, but a bool is not a number."""
    if type(left) is bool or type(right) is bool:
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
