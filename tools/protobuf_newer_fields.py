"""Protobuf fields newer than the programs that `generate_protobuf_facts` reads, by hand.

Numbers, and what is a pointer, are those of the public `generated.proto` and `types.go` files of
Kubernetes v1.34 to v1.36. A field of v1.36 that is neither here nor in the programs is named in
`UNKNOWN_NUMBERS`: its protobuf form is passed over, as by a server that is older.
"""

COPIED_MODULES = {
    "admissionregistration_v1": "admissionregistration_v1alpha1",
    "resource_v1": "resource_v1beta2",
    "storage_v1": "storage_v1beta1",
}
"""Versions whose types became stable after the programs were made, with the same numbers."""

NEWER_FIELDS: dict[str, list[tuple[int, str, str]]] = {
    "apiextensions_v1.CustomResourceDefinitionVersion": [
        (9, "selectableFields", "[@apiextensions_v1.SelectableField"),
    ],
    "apiextensions_v1.SelectableField": [(1, "jsonPath", "s")],
    "apiextensions_v1.ValidationRule": [
        (3, "messageExpression", "?s"),
        (4, "reason", "s"),
        (5, "fieldPath", "?s"),
        (6, "optionalOldSelf", "b"),
    ],
    "core_v1.Container": [(25, "restartPolicyRules", "[@core_v1.ContainerRestartRule")],
    "core_v1.ContainerRestartRule": [
        (1, "action", "?s"),
        (2, "exitCodes", "@core_v1.ContainerRestartRuleOnExitCodes"),
    ],
    "core_v1.ContainerRestartRuleOnExitCodes": [(1, "operator", "?s"), (2, "values", "[i")],
    "core_v1.EphemeralContainerCommon": [
        (25, "restartPolicyRules", "[@core_v1.ContainerRestartRule"),
    ],
    "core_v1.EnvVarSource": [(5, "fileKeyRef", "@core_v1.FileKeySelector")],
    "core_v1.FileKeySelector": [
        (1, "volumeName", "s"),
        (2, "path", "s"),
        (3, "key", "s"),
        (4, "optional", "b"),
    ],
    "core_v1.PodCertificateProjection": [
        (1, "signerName", "?s"),
        (2, "keyType", "?s"),
        (3, "maxExpirationSeconds", "i"),
        (4, "credentialBundlePath", "?s"),
        (5, "keyPath", "?s"),
        (6, "certificateChainPath", "?s"),
        (7, "userAnnotations", "{s"),
    ],
    "core_v1.PodSpec": [(41, "hostnameOverride", "s")],
    "core_v1.VolumeProjection": [(6, "podCertificate", "@core_v1.PodCertificateProjection")],
    "resource_v1.AllocatedDeviceStatus": [(7, "shareID", "s")],
    "resource_v1.AllocationResult": [(5, "allocationTimestamp", "t")],
    "resource_v1.CapacityRequestPolicy": [
        (1, "default", "q"),
        (3, "validValues", "[q"),
        (4, "validRange", "@resource_v1.CapacityRequestPolicyRange"),
    ],
    "resource_v1.CapacityRequestPolicyRange": [(1, "min", "q"), (2, "max", "q"), (3, "step", "q")],
    "resource_v1.CapacityRequirements": [(1, "requests", "{q")],
    "resource_v1.Device": [
        (9, "bindsToNode", "b"),
        (10, "bindingConditions", "[s"),
        (11, "bindingFailureConditions", "[s"),
        (12, "allowMultipleAllocations", "b"),
    ],
    "resource_v1.DeviceCapacity": [(2, "requestPolicy", "@resource_v1.CapacityRequestPolicy")],
    "resource_v1.DeviceClassSpec": [(4, "extendedResourceName", "s")],
    "resource_v1.DeviceConstraint": [(3, "distinctAttribute", "s")],
    "resource_v1.DeviceRequestAllocationResult": [
        (7, "bindingConditions", "[s"),
        (8, "bindingFailureConditions", "[s"),
        (9, "shareID", "s"),
        (10, "consumedCapacity", "{q"),
    ],
    "resource_v1.DeviceSubRequest": [(7, "capacity", "@resource_v1.CapacityRequirements")],
    "resource_v1.ExactDeviceRequest": [(7, "capacity", "@resource_v1.CapacityRequirements")],
    "storage_v1.CSIDriverSpec": [(10, "serviceAccountTokenInSecrets", "b")],
}

UNKNOWN_NUMBERS = frozenset(
    {
        "apiextensions_v1.CustomResourceDefinitionCondition.observedGeneration",
        "apiextensions_v1.CustomResourceDefinitionStatus.observedGeneration",
        "core_v1.NodeStatus.declaredFeatures",
        "core_v1.PodSpec.schedulingGroup",
        "core_v1.PodStatus.allocatedResources",
        "core_v1.PodStatus.extendedResourceClaimStatus",
        "core_v1.PodStatus.nodeAllocatableResourceClaimStatuses",
        "core_v1.PodStatus.resources",
        "core_v1.ResourceHealth.message",
        "core_v1.VolumeMountStatus.volumeStatus",
        "meta_v1.ListMeta.shardInfo",
        "resource_v1.Device.nodeAllocatableResourceMappings",
        "resource_v1.DeviceAttribute.bools",
        "resource_v1.DeviceAttribute.ints",
        "resource_v1.DeviceAttribute.strings",
        "resource_v1.DeviceAttribute.versions",
        "storage_v1.CSIDriverSpec.preventPodSchedulingIfMissing",
    }
)
"""Fields of v1.36 whose public number is not established yet: behind feature gates, or statuses."""
