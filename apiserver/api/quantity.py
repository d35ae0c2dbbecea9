"""Quantities: fixed-point numbers with a suffix, such as `100m`, `1.5Gi`, `12e6`.

Source: Kubernetes API reference (Quantity). A quantity keeps its family of suffixes and is printed
in canonical form: no precision lost, no fraction digits, the largest possible suffix.
"""

from __future__ import annotations

import re
from functools import lru_cache

NANO = 10**9
"""Amounts are counted in nano units; finer ones are rounded up, away from zero."""

AMOUNT_MAX = (2**63 - 1) * NANO
"""Larger amounts are capped, as the original caps them."""

FORMAT_MESSAGE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
SUFFIX_MESSAGE = "unable to parse quantity's suffix"
NUMERIC_MESSAGE = "unable to parse numeric part of quantity"

_SHAPE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([a-zA-Z]*)([+-]?[0-9]*)\Z", re.ASCII)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = {power: suffix for suffix, power in _BINARY.items()}
_EXPONENT_MAX = 10_000
_LENGTH_MAX = 1_000


class QuantityError(ValueError):
    """The text is not a quantity."""


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The canonical form of a quantity. Raises QuantityError."""
    amount, family = _parse(text)
    return _render(amount, family)


@lru_cache(maxsize=4096)
def nano_units(text: str) -> int:
    """The amount in nano units, for comparison and arithmetic. Raises QuantityError."""
    return _parse(text)[0]


def from_nano_units(amount: int, like: str) -> str:
    """An amount in canonical form, in the family of suffixes of the quantity `like`."""
    return _render(amount, _parse(like)[1])


def _parse(text: str) -> tuple[int, str]:
    """The amount in nano units and the family: decimal, binary or exponent."""
    match = _SHAPE.match(text) if len(text) <= _LENGTH_MAX else None
    if match is None:
        raise QuantityError(FORMAT_MESSAGE)
    sign, whole, fraction, suffix, power = match.groups()
    digits = whole + (fraction or "")
    if not digits:
        raise QuantityError(FORMAT_MESSAGE)
    numerator, denominator, family = _scale(suffix, power)
    numerator *= int(digits) * NANO
    denominator *= 10 ** len(fraction or "")
    amount = min(-(-numerator // denominator), AMOUNT_MAX)
    return (-amount if sign == "-" else amount), family


def _scale(suffix: str, power: str) -> tuple[int, int, str]:
    if suffix in ("e", "E") and power:
        exponent = int(power) if power.lstrip("+-") else _EXPONENT_MAX + 1
        if abs(exponent) > _EXPONENT_MAX:
            raise QuantityError(SUFFIX_MESSAGE)
        family = "exponent"
    elif power:
        raise QuantityError(SUFFIX_MESSAGE)
    elif suffix in _BINARY:
        return 2 ** _BINARY[suffix], 1, "binary"
    elif suffix in _DECIMAL:
        exponent = _DECIMAL[suffix]
        family = "decimal"
    else:
        raise QuantityError(SUFFIX_MESSAGE)
    return (10**exponent, 1, family) if exponent >= 0 else (1, 10**-exponent, family)


def _render(amount: int, family: str) -> str:
    if amount == 0:
        return "0"
    if family == "binary":
        if abs(amount) >= 1024 * NANO:
            return _render_binary(amount)
        family = "decimal"
    exponent = -9
    exponent_max = 18 if family == "decimal" else _EXPONENT_MAX
    while exponent < exponent_max and amount % 1000 == 0:
        amount //= 1000
        exponent += 3
    if family == "decimal":
        return f"{amount}{_DECIMAL_SUFFIX[exponent]}"
    return f"{amount}e{exponent}" if exponent else str(amount)


def _render_binary(amount: int) -> str:
    sign = -1 if amount < 0 else 1
    units = -(-abs(amount) // NANO)
    power = 0
    while power < 60 and units % 1024 == 0:
        units //= 1024
        power += 10
    return f"{sign * units}{_BINARY_SUFFIX.get(power, '')}"
