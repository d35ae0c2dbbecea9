"""Validators made from data: required, one of, not negative, immutable; by dotted path.

A path names nested fields of structs (`spec.strategy.type`); where a step is missing, only
`required` has something to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from apiserver.api import field_errors as fe
from apiserver.api.field_errors import FieldError

Json = dict[str, Any]
Validate = Callable[[Json], list[FieldError]]
ValidateUpdate = Callable[[Json, Json], list[FieldError]]

IMMUTABLE = "field is immutable"
NON_NEGATIVE = "must be greater than or equal to 0"
PORT_RANGE = "must be between 1 and 65535, inclusive"


def dig(obj: Any, path: str) -> Any:
    """The value at a dotted path, or None."""
    for key in path.split("."):
        if not isinstance(obj, dict):
            return None
        obj = obj.get(key)
    return obj


def required(*paths: str) -> Validate:
    """Each path must have a value that is not empty."""

    def validate(obj: Json) -> list[FieldError]:
        return [fe.required(path) for path in paths if dig(obj, path) in (None, "", [], {})]

    return validate


def one_of(path: str, *supported: str) -> Validate:
    """The value, if given, must be one of the supported ones."""

    def validate(obj: Json) -> list[FieldError]:
        return check_one_of(dig(obj, path), path, supported)

    return validate


def check_one_of(value: Any, path: str, supported: Iterable[str]) -> list[FieldError]:
    """A finding if `value` is given and not one of the supported ones."""
    if value is None or value in supported:
        return []
    return [fe.not_supported(path, value, supported)]


def non_negative(*paths: str) -> Validate:
    """Each value, if given, must not be below zero."""

    def validate(obj: Json) -> list[FieldError]:
        found = ((path, dig(obj, path)) for path in paths)
        return [
            fe.invalid(path, value, NON_NEGATIVE)
            for path, value in found
            if value is not None and value < 0
        ]

    return validate


def positive(*paths: str) -> Validate:
    """Each value, if given, must be above zero."""

    def validate(obj: Json) -> list[FieldError]:
        found = ((path, dig(obj, path)) for path in paths)
        return [
            fe.invalid(path, value, "must be greater than 0")
            for path, value in found
            if value is not None and value <= 0
        ]

    return validate


def immutable(*paths: str) -> ValidateUpdate:
    """No value may change."""

    def validate(new: Json, old: Json) -> list[FieldError]:
        return [
            fe.invalid(path, dig(new, path), IMMUTABLE)
            for path in paths
            if dig(new, path) != dig(old, path)
        ]

    return validate


def forbidden_to_change(path: str, why: str) -> ValidateUpdate:
    """The value may not change; `why` is what the client reads."""

    def validate(new: Json, old: Json) -> list[FieldError]:
        return [fe.forbidden(path, why)] if dig(new, path) != dig(old, path) else []

    return validate


def check_port(value: Any, path: str) -> list[FieldError]:
    """A finding if `value` is no port number."""
    return [] if 1 <= value <= 65535 else [fe.invalid(path, value, PORT_RANGE)]
