"""What is wrong with one field: apimachinery's `field.Error`, its kinds and its texts.

Paths are rendered as the original's (`spec.containers[0].name`, `metadata.labels[a.b/c]`); they are
plain strings here, built by the validators as they descend.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from apiserver.api.quoting import quote


class FieldErrorType(Enum):
    """A kind of error: the reason of a Status cause, and the words its text begins with."""

    NOT_FOUND = ("FieldValueNotFound", "Not found")
    REQUIRED = ("FieldValueRequired", "Required value")
    DUPLICATE = ("FieldValueDuplicate", "Duplicate value")
    INVALID = ("FieldValueInvalid", "Invalid value")
    NOT_SUPPORTED = ("FieldValueNotSupported", "Unsupported value")
    FORBIDDEN = ("FieldValueForbidden", "Forbidden")
    TOO_LONG = ("FieldValueTooLong", "Too long")
    TOO_MANY = ("FieldValueTooMany", "Too many")
    TYPE_INVALID = ("FieldValueTypeInvalid", "Invalid value")
    INTERNAL = ("InternalError", "Internal error")

    @property
    def reason(self) -> str:
        return self.value[0]

    @property
    def words(self) -> str:
        return self.value[1]


_WITHOUT_VALUE = frozenset(
    {
        FieldErrorType.REQUIRED,
        FieldErrorType.FORBIDDEN,
        FieldErrorType.TOO_LONG,
        FieldErrorType.INTERNAL,
    }
)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One finding of a validator. `bad_value` is any JSON value; `detail` may be empty."""

    type: FieldErrorType
    field: str
    bad_value: Any = None
    detail: str = ""

    @property
    def body(self) -> str:
        """The text without the field's path: `Invalid value: "A_b": must …`."""
        text = self.type.words
        if self.type not in _WITHOUT_VALUE:
            text += ": " + _render_value(self.bad_value)
        return f"{text}: {self.detail}" if self.detail else text

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"

    def to_cause(self) -> dict[str, str]:
        """The entry of `details.causes` of a Status."""
        return {"reason": self.type.reason, "message": self.body, "field": self.field}


def _render_value(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return orjson.dumps(value).decode()


def required(field: str, detail: str = "") -> FieldError:
    """The field must be given."""
    return FieldError(FieldErrorType.REQUIRED, field, "", detail)


def invalid(field: str, value: Any, detail: str) -> FieldError:
    """The value breaks a rule."""
    return FieldError(FieldErrorType.INVALID, field, value, detail)


def not_supported(field: str, value: Any, supported: Iterable[str]) -> FieldError:
    """The value is none of an enumeration; `supported` is listed in sorted order."""
    detail = "supported values: " + ", ".join(quote(item) for item in sorted(supported))
    return FieldError(FieldErrorType.NOT_SUPPORTED, field, value, detail)


def not_found(field: str, value: Any) -> FieldError:
    """The value refers to something that is not there."""
    return FieldError(FieldErrorType.NOT_FOUND, field, value)


def forbidden(field: str, detail: str) -> FieldError:
    """The field must not be given, or not now."""
    return FieldError(FieldErrorType.FORBIDDEN, field, "", detail)


def duplicate(field: str, value: Any) -> FieldError:
    """The value must be unique among its neighbours."""
    return FieldError(FieldErrorType.DUPLICATE, field, value)


def too_long(field: str, bytes_max: int) -> FieldError:
    """The value has more than `bytes_max` bytes."""
    return FieldError(FieldErrorType.TOO_LONG, field, "", f"may not be more than {bytes_max} bytes")


def too_many(field: str, count: int, items_max: int) -> FieldError:
    """The list has more than `items_max` items."""
    detail = f"must have at most {items_max} item{'' if items_max == 1 else 's'}"
    return FieldError(FieldErrorType.TOO_MANY, field, count, detail)


def aggregate(errors: Iterable[FieldError]) -> str:
    """All findings as one text, as apimachinery's `Aggregate` prints them: no repetitions."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    return texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
