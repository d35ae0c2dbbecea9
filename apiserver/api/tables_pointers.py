"""Optional strings that may be present and empty: pointers in the Go types.

Every other optional string vanishes when it is empty, as from Go's encoder with `omitempty`.
Facts of the public Go API types, keyed by type; required strings are always kept.
"""

from __future__ import annotations

_CORE: dict[str, frozenset[str]] = {
    "CSIVolumeSource": frozenset({"fsType"}),
    "EndpointAddress": frozenset({"nodeName"}),
    "EndpointPort": frozenset({"appProtocol"}),
    "GRPCAction": frozenset({"service"}),
    "HostPathVolumeSource": frozenset({"type"}),
    "ISCSIPersistentVolumeSource": frozenset({"initiatorName"}),
    "ISCSIVolumeSource": frozenset({"initiatorName"}),
    "PersistentVolumeClaimSpec": frozenset({"storageClassName", "volumeAttributesClassName"}),
    "PersistentVolumeClaimStatus": frozenset({"currentVolumeAttributesClassName"}),
    "PersistentVolumeSpec": frozenset({"volumeAttributesClassName"}),
    "PodResourceClaim": frozenset({"resourceClaimName", "resourceClaimTemplateName"}),
    "PodSpec": frozenset({"hostnameOverride", "runtimeClassName"}),
    "SeccompProfile": frozenset({"localhostProfile"}),
    "AppArmorProfile": frozenset({"localhostProfile"}),
    "ServicePort": frozenset({"appProtocol"}),
    "ServiceSpec": frozenset({"loadBalancerClass", "trafficDistribution"}),
    "TypedLocalObjectReference": frozenset({"apiGroup"}),
    "TypedObjectReference": frozenset({"apiGroup", "namespace"}),
    "WindowsSecurityContextOptions": frozenset(
        {"gmsaCredentialSpec", "gmsaCredentialSpecName", "runAsUserName"}
    ),
}

_OTHERS: dict[str, frozenset[str]] = {
    "admissionregistration_v1.ServiceReference": frozenset({"path"}),
    "admissionregistration_v1.WebhookClientConfig": frozenset({"url"}),
    "batch_v1.CronJobSpec": frozenset({"timeZone"}),
    "batch_v1.JobSpec": frozenset({"managedBy"}),
    "batch_v1.JobStatus": frozenset({"failedIndexes"}),
    "batch_v1.SuccessPolicyRule": frozenset({"succeededIndexes"}),
    "coordination_v1.LeaseSpec": frozenset({"holderIdentity", "preferredHolder", "strategy"}),
    "discovery_v1.Endpoint": frozenset({"hostname", "nodeName", "zone"}),
    "discovery_v1.EndpointPort": frozenset({"appProtocol", "name"}),
    "meta_v1.Preconditions": frozenset({"resourceVersion", "uid"}),
    "networking_v1.IngressClassParametersReference": frozenset({"apiGroup", "namespace"}),
    "networking_v1.IngressSpec": frozenset({"ingressClassName"}),
    "resource_v1.DeviceAttribute": frozenset({"string", "version"}),
    "resource_v1.ResourceSliceSpec": frozenset({"nodeName"}),
    "storage_v1.VolumeAttachmentSource": frozenset({"persistentVolumeName"}),
}

KEPT_WHEN_EMPTY: dict[str, frozenset[str]] = {
    **{f"core_v1.{name}": fields for name, fields in _CORE.items()},
    **_OTHERS,
}


def kept_when_empty(type_name: str) -> frozenset[str]:
    """The optional strings of a type that stay though they are empty."""
    return KEPT_WHEN_EMPTY.get(type_name, frozenset())
