"""What is particular to each kind: `RULES`, keyed by group and kind.

A kind that is not listed is stored as it is, with the rules common to all.
"""

from __future__ import annotations

from typing import Any

from apiserver.api import names
from apiserver.registry.strategy import Rules

Json = dict[str, Any]


def _empty_status(obj: Json) -> Json:
    return {}


def _phase(phase: str) -> Any:
    def status(obj: Json) -> Json:
        return {"phase": phase}

    return status


_SPEC = ("spec",)
_WORKLOAD = Rules(generation_of=_SPEC, status_at_create=_empty_status)

RULES: dict[tuple[str, str], Rules] = {
    ("", "Namespace"): Rules(name_check=names.label_errors, status_at_create=_phase("Active")),
    ("", "Pod"): Rules(generation_of=_SPEC, status_at_create=_phase("Pending")),
    ("apps", "Deployment"): _WORKLOAD,
    ("apps", "ReplicaSet"): _WORKLOAD,
    ("apps", "StatefulSet"): _WORKLOAD,
    ("apps", "DaemonSet"): _WORKLOAD,
}
