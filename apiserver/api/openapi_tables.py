"""What OpenAPI documents say of built-in types beyond the type tables. PURE.

Owns the published names of types, the schemas of those that are no structs, how lists and structs
merge under server-side apply, and the defaults written into schemas. All are facts of the public
API reference (the OpenAPI documents of Kubernetes v1.36).
"""

from __future__ import annotations

from typing import Any, Final

from apiserver.api.tables_patch import PLAIN, patch_meta

Json = dict[str, Any]

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
_EXTENSIONS: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"

_PACKAGES: Final = {
    "apiextensions_v1": _EXTENSIONS,
    "apiregistration_v1": "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1",
    "meta_v1": _META,
}

QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
TIME: Final = f"{_META}.Time"
MICRO_TIME: Final = f"{_META}.MicroTime"
INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
RAW_EXTENSION: Final = "io.k8s.apimachinery.pkg.runtime.RawExtension"
PATCH: Final = f"{_META}.Patch"

LEAF_NAMES: Final = {
    "q": QUANTITY,
    "t": TIME,
    "u": MICRO_TIME,
    "o": INT_OR_STRING,
    "*": RAW_EXTENSION,
}
"""Published names by the letter of a kind; `*` by field where `FREE_FORM` knows better."""

FREE_FORM: Final = {
    ("apiextensions_v1.CustomResourceSubresources", "status"): (
        f"{_EXTENSIONS}.CustomResourceSubresourceStatus"
    ),
    ("apiextensions_v1.JSONSchemaProps", "additionalItems"): f"{_EXTENSIONS}.JSONSchemaPropsOrBool",
    ("apiextensions_v1.JSONSchemaProps", "additionalProperties"): (
        f"{_EXTENSIONS}.JSONSchemaPropsOrBool"
    ),
    ("apiextensions_v1.JSONSchemaProps", "default"): f"{_EXTENSIONS}.JSON",
    ("apiextensions_v1.JSONSchemaProps", "dependencies"): (
        f"{_EXTENSIONS}.JSONSchemaPropsOrStringArray"
    ),
    ("apiextensions_v1.JSONSchemaProps", "enum"): f"{_EXTENSIONS}.JSON",
    ("apiextensions_v1.JSONSchemaProps", "example"): f"{_EXTENSIONS}.JSON",
    ("apiextensions_v1.JSONSchemaProps", "items"): f"{_EXTENSIONS}.JSONSchemaPropsOrArray",
    ("meta_v1.ManagedFieldsEntry", "fieldsV1"): f"{_META}.FieldsV1",
}
"""Which of the free-form types a field has."""

_ANYTHING: Final = frozenset(
    f"{_EXTENSIONS}.{name}"
    for name in (
        "JSON",
        "JSONSchemaPropsOrArray",
        "JSONSchemaPropsOrBool",
        "JSONSchemaPropsOrStringArray",
    )
)

_DATE_TIME: Final = {"type": "string", "format": "date-time"}


def leaf_schema(name: str, openapi_version: int) -> Json:
    """The schema of a published type that is no struct; version 2 has no `oneOf`."""
    if name in (TIME, MICRO_TIME):
        return dict(_DATE_TIME)
    if name == QUANTITY:
        if openapi_version == 2:
            return {"type": "string"}
        return {"oneOf": [{"type": "string"}, {"type": "number"}]}
    if name == INT_OR_STRING:
        if openapi_version == 2:
            return {"type": "string", "format": "int-or-string"}
        return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    return {} if name in _ANYTHING else {"type": "object"}


def published_name(type_name: str) -> str:
    """`io.k8s.api.apps.v1.Deployment` for `apps_v1.Deployment`."""
    module, _, name = type_name.partition(".")
    package = _PACKAGES.get(module)
    if package is None:
        group, _, version = module.rpartition("_")
        package = f"io.k8s.api.{group}.{version}"
    return f"{package}.{name}"


_KEYED_LISTS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("apiextensions_v1.JSONSchemaProps", "x-kubernetes-validations"): ("rule",),
    ("core_v1.Container", "ports"): ("containerPort", "protocol"),
    ("core_v1.EphemeralContainer", "ports"): ("containerPort", "protocol"),
    ("core_v1.PodSpec", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("core_v1.ResourceRequirements", "claims"): ("name",),
    ("core_v1.ServiceSpec", "ports"): ("port", "protocol"),
    ("resource_v1.ResourceClaimStatus", "devices"): ("driver", "device", "pool", "shareID"),
}
"""Keys of lists where they are not the key of the strategic merge patch."""

_SETS: Final = frozenset(
    {
        ("admissionregistration_v1.ValidatingAdmissionPolicyBindingSpec", "validationActions"),
        ("batch_v1.PodFailurePolicyOnExitCodesRequirement", "values"),
        ("batch_v1.UncountedTerminatedPods", "failed"),
        ("batch_v1.UncountedTerminatedPods", "succeeded"),
        ("core_v1.ContainerRestartRuleOnExitCodes", "values"),
        ("discovery_v1.Endpoint", "addresses"),
        ("flowcontrol_v1.NonResourcePolicyRule", "nonResourceURLs"),
        ("flowcontrol_v1.NonResourcePolicyRule", "verbs"),
        ("flowcontrol_v1.ResourcePolicyRule", "apiGroups"),
        ("flowcontrol_v1.ResourcePolicyRule", "namespaces"),
        ("flowcontrol_v1.ResourcePolicyRule", "resources"),
        ("flowcontrol_v1.ResourcePolicyRule", "verbs"),
        ("resource_v1.NetworkDeviceData", "ips"),
        ("storage_v1.CSIDriverSpec", "volumeLifecycleModes"),
    }
)

_ATOMIC_LISTS: Final = frozenset(
    {("batch_v1.JobStatus", "conditions"), ("core_v1.PodStatus", "hostIPs")}
)
"""Lists that server-side apply replaces although a strategic merge patch merges them."""


def list_keys(type_name: str, field: str) -> tuple[str, ...] | None:
    """The keys of a list of type `map`; an empty tuple for a `set`, None for an `atomic` list."""
    at = (type_name, field)
    if at in _KEYED_LISTS:
        return _KEYED_LISTS[at]
    if at in _ATOMIC_LISTS:
        return None
    meta = patch_meta(type_name, field)
    if at in _SETS or (meta.merge and not meta.merge_key):
        return ()
    if meta.merge:
        return (meta.merge_key,)
    return ("type",) if field == "conditions" else None


def list_extensions(type_name: str, field: str) -> Json:
    """`x-kubernetes-list-type` and its keys, for a field that holds a list."""
    if field == "items" and type_name.endswith("List"):
        return {}
    keys = list_keys(type_name, field)
    if keys is None:
        return {"x-kubernetes-list-type": "atomic"}
    if not keys:
        return {"x-kubernetes-list-type": "set"}
    return {"x-kubernetes-list-map-keys": list(keys), "x-kubernetes-list-type": "map"}


def patch_extensions(type_name: str, field: str) -> Json:
    """`x-kubernetes-patch-strategy` and `-merge-key` of a field that has any."""
    meta = patch_meta(type_name, field)
    if meta == PLAIN:
        return {}
    found: Json = {"x-kubernetes-patch-merge-key": meta.merge_key} if meta.merge_key else {}
    marks = (("merge", meta.merge), ("replace", meta.replace), ("retainKeys", meta.retain_keys))
    return {**found, "x-kubernetes-patch-strategy": ",".join(name for name, on in marks if on)}


ATOMIC_STRUCTS: Final = frozenset(
    {
        "admissionregistration_v1.MatchResources",
        "admissionregistration_v1.NamedRuleWithOperations",
        "admissionregistration_v1.ParamKind",
        "admissionregistration_v1.ParamRef",
        "admissionregistration_v1.Variable",
        "autoscaling_v1.CrossVersionObjectReference",
        "core_v1.ConfigMapKeySelector",
        "core_v1.EndpointAddress",
        "core_v1.EndpointPort",
        "core_v1.FileKeySelector",
        "core_v1.LocalObjectReference",
        "core_v1.NodeSelector",
        "core_v1.NodeSelectorTerm",
        "core_v1.ObjectFieldSelector",
        "core_v1.ObjectReference",
        "core_v1.ResourceFieldSelector",
        "core_v1.ScopeSelector",
        "core_v1.SecretKeySelector",
        "core_v1.SecretReference",
        "core_v1.TopologySelectorTerm",
        "core_v1.TypedLocalObjectReference",
        "discovery_v1.EndpointPort",
        "meta_v1.LabelSelector",
        "networking_v1.ServiceBackendPort",
        "rbac_v1.RoleRef",
        "rbac_v1.Subject",
    }
)
"""Structs that server-side apply replaces whole."""

ATOMIC_MAPS: Final = frozenset(
    {
        ("core_v1.PodSpec", "nodeSelector"),
        ("core_v1.ReplicationControllerSpec", "selector"),
        ("core_v1.ServiceSpec", "selector"),
    }
)

_CEPH_RBD: Final = {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"}
_AZURE_DISK: Final = {
    "cachingMode": "ReadWrite",
    "fsType": "ext4",
    "kind": "Shared",
    "readOnly": False,
}

DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "core_v1.AzureDiskVolumeSource": _AZURE_DISK,
    "core_v1.ContainerPort": {"protocol": "TCP"},
    "core_v1.GRPCAction": {"service": ""},
    "core_v1.ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    "core_v1.ISCSIVolumeSource": {"iscsiInterface": "default"},
    "core_v1.RBDPersistentVolumeSource": _CEPH_RBD,
    "core_v1.RBDVolumeSource": _CEPH_RBD,
    "core_v1.ScaleIOPersistentVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "core_v1.ScaleIOVolumeSource": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "core_v1.ServicePort": {"protocol": "TCP"},
}
"""Defaults written into schemas, by type and field."""
