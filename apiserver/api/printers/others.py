"""The smaller kinds: networking, storage, rights, admission, scheduling, flow control, devices."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apiserver.api import durations
from apiserver.api.printers.columns import (
    AGE,
    NAME,
    NONE,
    Json,
    Printer,
    age_of,
    boolean,
    count,
    dig,
    integer,
    name_of,
    selector_text,
    simple,
    text,
    wide,
)


def _role_binding(obj: Json, now: datetime) -> list[Any]:
    role = obj.get("roleRef") or {}
    subjects = obj.get("subjects") or []
    return [
        name_of(obj),
        f"{role.get('kind', '')}/{role.get('name', '')}",
        age_of(obj, now),
        ", ".join(s.get("name", "") for s in subjects if s.get("kind") == "User"),
        ", ".join(s.get("name", "") for s in subjects if s.get("kind") == "Group"),
        ", ".join(
            f"{s.get('namespace', '')}/{s.get('name', '')}"
            for s in subjects
            if s.get("kind") == "ServiceAccount"
        ),
    ]


def _signing_request(obj: Json, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    seconds = spec.get("expirationSeconds")
    return [
        name_of(obj),
        age_of(obj, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        NONE if seconds is None else durations.human_duration(seconds),
        _signing_status(status),
    ]


def _signing_status(status: Json) -> str:
    found = {condition.get("type") for condition in status.get("conditions") or []}
    text_ = "Denied" if "Denied" in found else "Approved" if "Approved" in found else "Pending"
    if "Failed" in found:
        text_ += ",Failed"
    return text_ + (",Issued" if status.get("certificate") else "")


def _with_default(obj: Json, annotation: str) -> str:
    annotations = obj["metadata"].get("annotations") or {}
    return name_of(obj) + (" (default)" if annotations.get(annotation) == "true" else "")


def _storage_class(obj: Json, now: datetime) -> list[Any]:
    return [
        _with_default(obj, "storageclass.kubernetes.io/is-default-class"),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        obj.get("allowVolumeExpansion", False),
        age_of(obj, now),
    ]


def _attributes_class(obj: Json, now: datetime) -> list[Any]:
    name = _with_default(obj, "volumeattributesclass.kubernetes.io/is-default-class")
    return [name, obj.get("driverName", ""), age_of(obj, now)]


def _priority_class(obj: Json, now: datetime) -> list[Any]:
    return [
        name_of(obj),
        obj.get("value", 0),
        obj.get("globalDefault", False),
        age_of(obj, now),
        obj.get("preemptionPolicy", ""),
    ]


def _csi_driver(obj: Json) -> list[Any]:
    spec = obj.get("spec") or {}
    tokens = [request.get("audience", "") for request in spec.get("tokenRequests") or []]
    return [
        spec.get("attachRequired", True),
        spec.get("podInfoOnMount", False),
        spec.get("storageCapacity", False),
        ",".join(tokens) or "<unset>",
        spec.get("requiresRepublish", False),
        ",".join(spec.get("volumeLifecycleModes") or []) or NONE,
    ]


def _capacity(obj: Json, now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("storageClassName", ""), obj.get("capacity", "<unset>")]


def _ingress_class(obj: Json) -> list[Any]:
    parameters = dig(obj, "spec", "parameters")
    controller = dig(obj, "spec", "controller", default="")
    if parameters is None:
        return [controller, NONE]
    group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
    return [controller, f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"]


def _address(obj: Json) -> list[Any]:
    parent = dig(obj, "spec", "parentRef", default={})
    group = f".{parent['group']}" if parent.get("group") else ""
    place = f"{parent['namespace']}/" if parent.get("namespace") else ""
    return [f"{parent.get('resource', '')}{group}/{place}{parent.get('name', '')}"]


def _policy(of: str) -> Printer:
    def middle(obj: Json) -> list[Any]:
        kind = dig(obj, "spec", "paramKind", default={})
        shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else "<unset>"
        return [count(dig(obj, "spec", of)), shown]

    columns = (
        integer(of.capitalize(), f"The number of {of} of the policy."),
        text("ParamKind", "The kind of the parameters."),
    )
    return simple(columns, middle)


def _policy_binding(obj: Json) -> list[Any]:
    reference = dig(obj, "spec", "paramRef", default={})
    shown = "<unset>"
    if reference.get("name"):
        place = f"{reference['namespace']}/" if reference.get("namespace") else "*/"
        shown = place + reference["name"]
    elif reference.get("selector") is not None:
        shown = selector_text(reference["selector"])
    return [dig(obj, "spec", "policyName", default=""), shown]


def _flow_schema(obj: Json, now: datetime) -> list[Any]:
    conditions = dig(obj, "status", "conditions", default=[])
    dangling = next((c.get("status") for c in conditions if c.get("type") == "Dangling"), "?")
    return [
        name_of(obj),
        dig(obj, "spec", "priorityLevelConfiguration", "name", default=""),
        dig(obj, "spec", "matchingPrecedence", default=0),
        dig(obj, "spec", "distinguisherMethod", "type", default=NONE),
        age_of(obj, now),
        dangling,
    ]


def _priority_level(obj: Json) -> list[Any]:
    spec = obj.get("spec") or {}
    limited = spec.get("limited") or {}
    queuing = dig(limited, "limitResponse", "queuing", default={})
    shares = dig(spec, "exempt", "nominalConcurrencyShares", default=NONE)
    return [
        spec.get("type", ""),
        limited.get("nominalConcurrencyShares", shares),
        queuing.get("queues", NONE),
        queuing.get("handSize", NONE),
        queuing.get("queueLengthLimit", NONE),
    ]


def _claim_state(obj: Json) -> list[Any]:
    states = []
    if obj["metadata"].get("deletionTimestamp"):
        states.append("deleted")
    if dig(obj, "status", "allocation") is None:
        states.append("pending")
    else:
        states.append("allocated")
        if dig(obj, "status", "reservedFor"):
            states.append("reserved")
    return [",".join(states)]


def _slice(obj: Json) -> list[Any]:
    spec = obj.get("spec") or {}
    return [
        spec.get("nodeName", ""),
        spec.get("driver", ""),
        dig(spec, "pool", "name", default=""),
    ]


_ROLE_BINDING = Printer(
    (
        NAME,
        text("Role", "The role that is granted."),
        AGE,
        wide("Users", "Users in the role binding."),
        wide("Groups", "Groups in the role binding."),
        wide("ServiceAccounts", "ServiceAccounts in the role binding."),
    ),
    _role_binding,
)
_WEBHOOKS = simple(
    (integer("Webhooks", "Webhooks indicates the number of webhooks defined."),),
    lambda obj: [count(obj.get("webhooks"))],
)
_BINDING = simple(
    (
        text("PolicyName", "The policy that is bound."),
        text("ParamRef", "The parameters that it is bound with."),
    ),
    _policy_binding,
)
_NAME_AND_AGE = simple((), lambda obj: [])
_ADMISSION = "admissionregistration.k8s.io"
_STORAGE = "storage.k8s.io"
_DEVICES = "resource.k8s.io"
_FLOW = "flowcontrol.apiserver.k8s.io"

PRINTERS: dict[tuple[str, str], Printer] = {
    ("rbac.authorization.k8s.io", "RoleBinding"): _ROLE_BINDING,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _ROLE_BINDING,
    ("certificates.k8s.io", "CertificateSigningRequest"): Printer(
        (
            NAME,
            AGE,
            text("SignerName", "Indicates the requested signer."),
            text("Requestor", "The user that created the request."),
            text("RequestedDuration", "How long the certificate shall be valid."),
            text("Condition", "The current status of the request."),
        ),
        _signing_request,
    ),
    ("coordination.k8s.io", "Lease"): simple(
        (text("Holder", "The identity of the holder of a current lease."),),
        lambda obj: [dig(obj, "spec", "holderIdentity", default="")],
    ),
    ("networking.k8s.io", "NetworkPolicy"): simple(
        (text("Pod-Selector", "The pods to which the policy applies."),),
        lambda obj: [selector_text(dig(obj, "spec", "podSelector"))],
    ),
    ("networking.k8s.io", "IngressClass"): simple(
        (text("Controller", "The controller of the class."), text("Parameters")), _ingress_class
    ),
    ("networking.k8s.io", "IPAddress"): simple(
        (text("ParentRef", "The object that the address belongs to."),), _address
    ),
    ("networking.k8s.io", "ServiceCIDR"): simple(
        (text("CIDRs", "The ranges from which addresses are taken."),),
        lambda obj: [",".join(dig(obj, "spec", "cidrs", default=[]))],
    ),
    ("node.k8s.io", "RuntimeClass"): simple(
        (text("Handler", "The configuration that the runtime uses."),),
        lambda obj: [obj.get("handler", "")],
    ),
    ("scheduling.k8s.io", "PriorityClass"): Printer(
        (
            NAME,
            integer("Value", "The integer value of this priority class."),
            boolean("Global-Default", "Whether pods without a class take this one."),
            AGE,
            text("PreemptionPolicy", "The policy for preempting pods with lower priority."),
        ),
        _priority_class,
    ),
    (_STORAGE, "StorageClass"): Printer(
        (
            NAME,
            text("Provisioner", "The type of the provisioner."),
            text("ReclaimPolicy", "What happens to released volumes."),
            text("VolumeBindingMode", "When volumes are bound and provisioned."),
            boolean("AllowVolumeExpansion", "Whether volumes may be expanded."),
            AGE,
        ),
        _storage_class,
    ),
    (_STORAGE, "VolumeAttributesClass"): Printer(
        (NAME, text("DriverName", "Name of the CSI driver"), AGE), _attributes_class
    ),
    (_STORAGE, "VolumeAttachment"): simple(
        (
            text("Attacher", "The driver that handles the attachment."),
            text("PV", "The volume that is attached."),
            text("Node", "The node that it is attached to."),
            boolean("Attached", "Whether it is attached."),
        ),
        lambda obj: [
            dig(obj, "spec", "attacher", default=""),
            dig(obj, "spec", "source", "persistentVolumeName", default=""),
            dig(obj, "spec", "nodeName", default=""),
            dig(obj, "status", "attached", default=False),
        ],
    ),
    (_STORAGE, "CSINode"): simple(
        (integer("Drivers", "Number of drivers on the node."),),
        lambda obj: [count(dig(obj, "spec", "drivers"))],
    ),
    (_STORAGE, "CSIDriver"): simple(
        (
            boolean("AttachRequired", "Whether volumes must be attached."),
            boolean("PodInfoOnMount", "Whether the driver wants to know the pod."),
            boolean("StorageCapacity", "Whether capacity matters to scheduling."),
            text("TokenRequests", "Audiences of tokens that the driver needs."),
            boolean("RequiresRepublish", "Whether volumes are published again and again."),
            text("Modes", "Volume modes that the driver supports."),
        ),
        _csi_driver,
    ),
    (_STORAGE, "CSIStorageCapacity"): Printer(
        (NAME, text("StorageClassName", "The class."), text("Capacity", "The capacity.")),
        _capacity,
    ),
    (_ADMISSION, "MutatingWebhookConfiguration"): _WEBHOOKS,
    (_ADMISSION, "ValidatingWebhookConfiguration"): _WEBHOOKS,
    (_ADMISSION, "ValidatingAdmissionPolicy"): _policy("validations"),
    (_ADMISSION, "MutatingAdmissionPolicy"): _policy("mutations"),
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): _BINDING,
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): _BINDING,
    (_FLOW, "FlowSchema"): Printer(
        (
            NAME,
            text("PriorityLevel", "The priority level of matching requests."),
            integer("MatchingPrecedence", "The lowest number matches first."),
            text("DistinguisherMethod", "How flows are told apart."),
            AGE,
            text("MissingPL", "Whether the priority level is missing."),
        ),
        _flow_schema,
    ),
    (_FLOW, "PriorityLevelConfiguration"): simple(
        (
            text("Type", "Whether requests are limited."),
            text("NominalConcurrencyShares", "The share of the server's concurrency."),
            text("Queues", "The number of queues."),
            text("HandSize", "The number of queues that a flow is dealt."),
            text("QueueLengthLimit", "How many requests may wait in a queue."),
        ),
        _priority_level,
    ),
    (_DEVICES, "ResourceClaim"): simple((text("State", "A summary of its state."),), _claim_state),
    (_DEVICES, "ResourceClaimTemplate"): _NAME_AND_AGE,
    (_DEVICES, "DeviceClass"): _NAME_AND_AGE,
    (_DEVICES, "ResourceSlice"): simple(
        (
            text("Node", "The node that offers the devices."),
            text("Driver", "The driver of the devices."),
            text("Pool", "The pool that they belong to."),
        ),
        _slice,
    ),
}
