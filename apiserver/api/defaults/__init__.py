"""Defaults: what kube-apiserver fills in where a client left a field out.

Only what depends on the object alone. What depends on the request or on other objects is the
registry's or admission's matter. Source: the API reference's descriptions of the fields, and what
`kubectl get -o yaml` shows on a v1.36 cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver.api.defaults import admission, core, services, storage, workloads

Json = dict[str, Any]

DEFAULTS: dict[tuple[str, str], Callable[[Json], None]] = {
    **admission.DEFAULTS,
    **core.DEFAULTS,
    **services.DEFAULTS,
    **storage.DEFAULTS,
    **workloads.DEFAULTS,
}


def apply_defaults(group: str, kind: str, obj: Json) -> None:
    """Fill in the defaults of one kind, in place. Applying them twice changes nothing."""
    apply = DEFAULTS.get((group, kind))
    if apply is not None:
        apply(obj)
