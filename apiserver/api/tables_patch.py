"""How lists and maps of built-in types merge under a strategic merge patch.

Facts of the public API reference (`x-kubernetes-patch-strategy`, `x-kubernetes-patch-merge-key`),
keyed by type and field. Fields that are not listed: maps merge by key, lists are replaced.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PatchMeta:
    """A field's strategies, and the key by which items of a list are told apart.

    A list that merges without a key is a set of scalars.
    """

    merge_key: str = ""
    merge: bool = True
    replace: bool = False
    retain_keys: bool = False


_NAME = PatchMeta("name")
_NAME_RETAIN = PatchMeta("name", retain_keys=True)
_TYPE = PatchMeta("type")
_SET = PatchMeta()
_IP = PatchMeta("ip")

PATCH_META: dict[tuple[str, str], PatchMeta] = {
    ("admissionregistration_v1.MutatingAdmissionPolicySpec", "matchConditions"): _NAME,
    ("admissionregistration_v1.MutatingAdmissionPolicySpec", "variables"): _NAME,
    ("admissionregistration_v1.MutatingWebhook", "matchConditions"): _NAME,
    ("admissionregistration_v1.MutatingWebhookConfiguration", "webhooks"): _NAME,
    ("admissionregistration_v1.ValidatingAdmissionPolicySpec", "matchConditions"): _NAME,
    ("admissionregistration_v1.ValidatingAdmissionPolicySpec", "variables"): _NAME,
    ("admissionregistration_v1.ValidatingWebhook", "matchConditions"): _NAME,
    ("admissionregistration_v1.ValidatingWebhookConfiguration", "webhooks"): _NAME,
    ("apiregistration_v1.APIServiceStatus", "conditions"): _TYPE,
    ("apps_v1.DaemonSetStatus", "conditions"): _TYPE,
    ("apps_v1.DeploymentSpec", "strategy"): PatchMeta(merge=False, retain_keys=True),
    ("apps_v1.DeploymentStatus", "conditions"): _TYPE,
    ("apps_v1.ReplicaSetStatus", "conditions"): _TYPE,
    ("apps_v1.StatefulSetStatus", "conditions"): _TYPE,
    ("autoscaling_v2.HorizontalPodAutoscalerStatus", "conditions"): _TYPE,
    ("batch_v1.JobStatus", "conditions"): _TYPE,
    ("core_v1.ComponentStatus", "conditions"): _TYPE,
    ("core_v1.Container", "env"): _NAME,
    ("core_v1.Container", "ports"): PatchMeta("containerPort"),
    ("core_v1.Container", "volumeDevices"): PatchMeta("devicePath"),
    ("core_v1.Container", "volumeMounts"): PatchMeta("mountPath"),
    ("core_v1.ContainerStatus", "allocatedResourcesStatus"): _NAME,
    ("core_v1.ContainerStatus", "volumeMounts"): PatchMeta("mountPath"),
    ("core_v1.EphemeralContainer", "env"): _NAME,
    ("core_v1.EphemeralContainer", "ports"): PatchMeta("containerPort"),
    ("core_v1.EphemeralContainer", "volumeDevices"): PatchMeta("devicePath"),
    ("core_v1.EphemeralContainer", "volumeMounts"): PatchMeta("mountPath"),
    ("core_v1.NamespaceStatus", "conditions"): _TYPE,
    ("core_v1.NodeSpec", "podCIDRs"): _SET,
    ("core_v1.NodeStatus", "addresses"): _TYPE,
    ("core_v1.NodeStatus", "conditions"): _TYPE,
    ("core_v1.PersistentVolumeClaimStatus", "conditions"): _TYPE,
    ("core_v1.PodSpec", "containers"): _NAME,
    ("core_v1.PodSpec", "ephemeralContainers"): _NAME,
    ("core_v1.PodSpec", "hostAliases"): _IP,
    ("core_v1.PodSpec", "imagePullSecrets"): _NAME,
    ("core_v1.PodSpec", "initContainers"): _NAME,
    ("core_v1.PodSpec", "resourceClaims"): _NAME_RETAIN,
    ("core_v1.PodSpec", "schedulingGates"): _NAME,
    ("core_v1.PodSpec", "topologySpreadConstraints"): PatchMeta("topologyKey"),
    ("core_v1.PodSpec", "volumes"): _NAME_RETAIN,
    ("core_v1.PodStatus", "conditions"): _TYPE,
    ("core_v1.PodStatus", "hostIPs"): _IP,
    ("core_v1.PodStatus", "podIPs"): _IP,
    ("core_v1.PodStatus", "resourceClaimStatuses"): _NAME_RETAIN,
    ("core_v1.ReplicationControllerStatus", "conditions"): _TYPE,
    ("core_v1.ServiceAccount", "secrets"): _NAME,
    ("core_v1.ServiceSpec", "ports"): PatchMeta("port"),
    ("core_v1.ServiceStatus", "conditions"): _TYPE,
    ("flowcontrol_v1.FlowSchemaStatus", "conditions"): _TYPE,
    ("flowcontrol_v1.PriorityLevelConfigurationStatus", "conditions"): _TYPE,
    ("meta_v1.ObjectMeta", "finalizers"): _SET,
    ("meta_v1.ObjectMeta", "ownerReferences"): PatchMeta("uid"),
    ("networking_v1.ServiceCIDRStatus", "conditions"): _TYPE,
    ("policy_v1.PodDisruptionBudgetSpec", "selector"): PatchMeta(merge=False, replace=True),
    ("policy_v1.PodDisruptionBudgetStatus", "conditions"): _TYPE,
    ("resource_v1.ResourceClaimStatus", "reservedFor"): PatchMeta("uid"),
    ("storage_v1.CSINodeSpec", "drivers"): _NAME,
}

PLAIN = PatchMeta(merge=False)
"""What holds for every other field."""


def patch_meta(type_name: str, field: str) -> PatchMeta:
    """How one field of a type merges."""
    return PATCH_META.get((type_name, field), PLAIN)
