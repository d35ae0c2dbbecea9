"""Defaults: what kube-apiserver fills in where a client left a field out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

DEFAULTS: dict[tuple[str, str], Callable[[Json], None]] = {}


def apply_defaults(group: str, version: str, kind: str, obj: Json) -> None:
    """Fill in the defaults of one kind, in place."""
    apply = DEFAULTS.get((group, kind))
    if apply is not None:
        apply(obj)
