"""What `kubectl get` shows: columns and cells of each kind, as kube-apiserver computes them.

Source: the Kubernetes API reference (Table) and what `kubectl get` prints on a real cluster.
"""

from __future__ import annotations

from apiserver.api.printers import core, others, pods, workloads
from apiserver.api.printers.columns import DEFAULT, Printer

PRINTERS: dict[tuple[str, str], Printer] = {
    **core.PRINTERS,
    **others.PRINTERS,
    **pods.PRINTERS,
    **workloads.PRINTERS,
}


def printer_for(group: str, kind: str) -> Printer:
    """The printer of a kind; name and creation time where there is none of its own."""
    return PRINTERS.get((group, kind), DEFAULT)
