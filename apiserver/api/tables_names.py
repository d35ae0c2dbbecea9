"""Names that clients may type: short names, singulars and categories of the built-in resources.

Facts of the public API reference (`kubectl api-resources` on a v1.36 cluster); keyed by resource
plural, and by `plural.group` where two groups share a plural.
"""

from __future__ import annotations

SHORT_NAMES: dict[str, tuple[str, ...]] = {
    "certificatesigningrequests": ("csr",),
    "componentstatuses": ("cs",),
    "configmaps": ("cm",),
    "cronjobs": ("cj",),
    "customresourcedefinitions": ("crd", "crds"),
    "daemonsets": ("ds",),
    "deployments": ("deploy",),
    "endpoints": ("ep",),
    "events": ("ev",),
    "horizontalpodautoscalers": ("hpa",),
    "ingresses": ("ing",),
    "ipaddresses": ("ip",),
    "limitranges": ("limits",),
    "namespaces": ("ns",),
    "networkpolicies": ("netpol",),
    "nodes": ("no",),
    "persistentvolumeclaims": ("pvc",),
    "persistentvolumes": ("pv",),
    "poddisruptionbudgets": ("pdb",),
    "pods": ("po",),
    "priorityclasses": ("pc",),
    "replicasets": ("rs",),
    "replicationcontrollers": ("rc",),
    "resourcequotas": ("quota",),
    "serviceaccounts": ("sa",),
    "services": ("svc",),
    "statefulsets": ("sts",),
    "storageclasses": ("sc",),
    "volumeattributesclasses": ("vac",),
}

ALL = frozenset(
    {
        "cronjobs",
        "daemonsets",
        "deployments",
        "horizontalpodautoscalers",
        "jobs",
        "pods",
        "replicasets",
        "replicationcontrollers",
        "services",
        "statefulsets",
    }
)
"""Resources that `kubectl get all` lists."""

API_EXTENSIONS = frozenset(
    {
        "apiservices",
        "customresourcedefinitions",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    }
)
"""Resources in the category `api-extensions`."""

STORAGE_PREFIXES: dict[str, str] = {
    "apiservices.apiregistration.k8s.io": "apiregistration.k8s.io/apiservices",
    "customresourcedefinitions.apiextensions.k8s.io": (
        "apiextensions.k8s.io/customresourcedefinitions"
    ),
    "endpoints": "services/endpoints",
    "ingresses.networking.k8s.io": "ingress",
    "nodes": "minions",
    "replicationcontrollers": "controllers",
    "services": "services/specs",
}
"""Paths under /registry that differ from the plural, as kube-apiserver lays its keys out."""

STORAGE_VERSIONS: dict[tuple[str, str, str], str] = {
    ("autoscaling", "v1", "horizontalpodautoscalers"): "autoscaling/v2",
    ("events.k8s.io", "v1", "events"): "v1",
}
"""API versions in which an object is stored, where it is not the one it is served in."""


def categories_of(plural: str) -> tuple[str, ...]:
    """The categories of a resource, in the order that discovery prints them."""
    if plural in ALL:
        return ("all",)
    return ("api-extensions",) if plural in API_EXTENSIONS else ()
