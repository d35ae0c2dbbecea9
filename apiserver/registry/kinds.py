"""What is particular to each kind: `RULES`, keyed by group and kind.

A kind that is not listed is stored as it is, with the rules common to all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from apiserver.api import names
from apiserver.registry import advice, prepare
from apiserver.registry.strategy import Rules
from apiserver.registry.validation import core, pods, policy, workloads
from apiserver.registry.validation.rules import (
    forbidden_to_change,
    immutable,
    non_negative,
    one_of,
    positive,
    required,
)

Json = dict[str, Any]

RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"
FLOW = "flowcontrol.apiserver.k8s.io"

_SPEC = ("spec",)
_TEMPLATE_ADVICE = (advice.about_pod_spec("spec.template.spec"),)
_REPLICAS = non_negative("spec.replicas", "spec.minReadySeconds", "spec.revisionHistoryLimit")

CORE: dict[tuple[str, str], Rules] = {
    ("", "ConfigMap"): Rules(
        validate=(core.validate_config_map,),
        validate_update=(core.validate_immutable_data,),
    ),
    ("", "Endpoints"): Rules(allow_create_on_update=True),
    ("", "Event"): Rules(validate=(core.validate_event,), allow_create_on_update=True),
    ("", "LimitRange"): Rules(allow_create_on_update=True),
    ("", "Namespace"): Rules(
        name_check=names.label_errors,
        status_at_create=lambda obj: {"phase": "Active"},
        prepare_create=(prepare.namespace_identity,),
        prepare_update=(prepare.keep_spec,),
    ),
    ("", "PersistentVolume"): Rules(
        status_at_create=lambda obj: {"phase": "Pending"}, validate=(core.validate_volume,)
    ),
    ("", "PersistentVolumeClaim"): Rules(
        status_at_create=lambda obj: {"phase": "Pending"},
        validate=(core.validate_claim,),
        validate_update=(core.validate_claim_update,),
    ),
    ("", "Pod"): Rules(
        generation_of=_SPEC,
        status_at_create=prepare.pod_status,
        prepare_create=(prepare.pod_admission_defaults,),
        validate=(pods.validate_pod,),
        validate_update=(pods.validate_pod_update,),
        warn=(advice.about_pod_spec("spec"),),
    ),
    ("", "PodTemplate"): Rules(
        generation_of=("template",),
        validate=(lambda obj: pods.validate_template(obj.get("template") or {}, "template"),),
    ),
    ("", "ReplicationController"): Rules(
        generation_of=_SPEC, status_at_create=lambda obj: {"replicas": 0}, validate=(_REPLICAS,)
    ),
    ("", "ResourceQuota"): Rules(status_at_create=prepare.empty_status),
    ("", "Secret"): Rules(
        prepare_update=(prepare.keep_secret_type,),
        validate=(core.validate_secret,),
        validate_update=(core.validate_secret_update, core.validate_immutable_data),
    ),
    ("", "Service"): Rules(
        name_check=names.label_1035_errors,
        status_at_create=prepare.load_balancer_status,
        prepare_create=(prepare.service_addresses,),
        prepare_update=(prepare.keep_service_addresses,),
        validate=(core.validate_service,),
        validate_update=(core.validate_service_update,),
        allow_create_on_update=True,
    ),
    ("events.k8s.io", "Event"): Rules(
        validate=(
            required("eventTime", "reportingController", "reportingInstance", "action", "reason"),
            one_of("type", "Normal", "Warning"),
        ),
        allow_create_on_update=True,
    ),
}

WORKLOADS: dict[tuple[str, str], Rules] = {
    ("apps", "ControllerRevision"): Rules(validate_update=(immutable("data"),)),
    ("apps", "DaemonSet"): Rules(
        generation_of=_SPEC,
        status_at_create=lambda obj: {
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        },
        validate=(workloads.selector_and_template("daemonset"), _REPLICAS),
        validate_update=(immutable("spec.selector"),),
        warn=_TEMPLATE_ADVICE,
    ),
    ("apps", "Deployment"): Rules(
        generation_of=_SPEC,
        status_at_create=prepare.empty_status,
        validate=(
            workloads.selector_and_template("deployment"),
            workloads.validate_deployment_strategy,
            _REPLICAS,
        ),
        validate_update=(immutable("spec.selector"),),
        warn=_TEMPLATE_ADVICE,
    ),
    ("apps", "ReplicaSet"): Rules(
        generation_of=_SPEC,
        status_at_create=lambda obj: {"replicas": 0},
        validate=(workloads.selector_and_template("deployment"), _REPLICAS),
        validate_update=(immutable("spec.selector"),),
        warn=_TEMPLATE_ADVICE,
    ),
    ("apps", "StatefulSet"): Rules(
        generation_of=_SPEC,
        status_at_create=lambda obj: {"replicas": 0, "availableReplicas": 0},
        validate=(
            workloads.selector_and_template("statefulset"),
            one_of("spec.podManagementPolicy", "OrderedReady", "Parallel"),
            one_of("spec.updateStrategy.type", "OnDelete", "RollingUpdate"),
            _REPLICAS,
        ),
        validate_update=(workloads.validate_stateful_set_update,),
        warn=_TEMPLATE_ADVICE,
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): Rules(
        status_at_create=lambda obj: {
            "desiredReplicas": 0,
            **({"currentReplicas": 0} if obj["apiVersion"] == "autoscaling/v1" else {}),
            **({"currentMetrics": None} if obj["apiVersion"] == "autoscaling/v2" else {}),
        },
        validate=(policy.validate_autoscaler,),
    ),
    ("batch", "CronJob"): Rules(
        generation_of=_SPEC,
        status_at_create=prepare.empty_status,
        validate=(workloads.validate_cron_job,),
        warn=(advice.about_pod_spec("spec.jobTemplate.spec.template.spec"),),
    ),
    ("batch", "Job"): Rules(
        generation_of=_SPEC,
        status_at_create=prepare.empty_status,
        prepare_create=(prepare.job_selector,),
        validate=(workloads.validate_job,),
        validate_update=(workloads.validate_job_update,),
        warn=_TEMPLATE_ADVICE,
    ),
    ("policy", "PodDisruptionBudget"): Rules(
        generation_of=_SPEC,
        status_at_create=lambda obj: {
            "disruptionsAllowed": 0,
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "expectedPods": 0,
        },
        validate=(policy.validate_budget,),
        allow_unconditional_update=False,
    ),
}

OTHERS: dict[tuple[str, str], Rules] = {
    **{
        (ADMISSION, kind): Rules(
            generation_of=("webhooks",) if kind.endswith("Configuration") else _SPEC,
            status_at_create=prepare.empty_status if kind == "ValidatingAdmissionPolicy" else None,
            allow_unconditional_update=False,
        )
        for kind in (
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        )
    },
    ("certificates.k8s.io", "CertificateSigningRequest"): Rules(
        status_at_create=prepare.empty_status,
        prepare_update=(prepare.keep_spec,),
        validate=(required("spec.request", "spec.signerName", "spec.usages"),),
    ),
    ("coordination.k8s.io", "Lease"): Rules(
        validate=(
            positive("spec.leaseDurationSeconds"),
            non_negative("spec.leaseTransitions"),
        ),
        allow_unconditional_update=False,
        allow_create_on_update=True,
    ),
    ("discovery.k8s.io", "EndpointSlice"): Rules(
        generation_of=("addressType", "endpoints", "ports"),
        validate=(one_of("addressType", "FQDN", "IPv4", "IPv6"), required("addressType")),
        validate_update=(immutable("addressType"),),
    ),
    (FLOW, "FlowSchema"): Rules(generation_of=_SPEC, status_at_create=prepare.empty_status),
    (FLOW, "PriorityLevelConfiguration"): Rules(
        generation_of=_SPEC,
        status_at_create=prepare.empty_status,
        validate=(one_of("spec.type", "Exempt", "Limited"),),
    ),
    ("networking.k8s.io", "Ingress"): Rules(
        generation_of=_SPEC,
        status_at_create=prepare.load_balancer_status,
        validate=(policy.validate_ingress,),
    ),
    ("networking.k8s.io", "IngressClass"): Rules(
        generation_of=_SPEC, validate_update=(immutable("spec.controller"),)
    ),
    ("networking.k8s.io", "NetworkPolicy"): Rules(generation_of=_SPEC),
    ("networking.k8s.io", "ServiceCIDR"): Rules(status_at_create=prepare.empty_status),
    ("node.k8s.io", "RuntimeClass"): Rules(
        validate=(required("handler"),),
        validate_update=(immutable("handler"),),
        allow_unconditional_update=False,
    ),
    (RBAC, "ClusterRole"): Rules(
        name_check=names.path_segment_errors,
        validate=(policy.validate_rules(namespaced=False),),
        allow_create_on_update=True,
    ),
    (RBAC, "Role"): Rules(
        name_check=names.path_segment_errors,
        validate=(policy.validate_rules(namespaced=True),),
        allow_create_on_update=True,
    ),
    (RBAC, "ClusterRoleBinding"): Rules(
        name_check=names.path_segment_errors,
        validate=(policy.validate_binding("ClusterRole"),),
        validate_update=(policy.validate_binding_update,),
        allow_create_on_update=True,
    ),
    (RBAC, "RoleBinding"): Rules(
        name_check=names.path_segment_errors,
        validate=(policy.validate_binding("ClusterRole", "Role"),),
        validate_update=(policy.validate_binding_update,),
        allow_create_on_update=True,
    ),
    ("resource.k8s.io", "DeviceClass"): Rules(generation_of=_SPEC),
    ("resource.k8s.io", "ResourceClaim"): Rules(
        status_at_create=prepare.empty_status,
        validate_update=(immutable("spec"),),
    ),
    ("resource.k8s.io", "ResourceClaimTemplate"): Rules(validate_update=(immutable("spec"),)),
    ("resource.k8s.io", "ResourceSlice"): Rules(generation_of=_SPEC),
    ("scheduling.k8s.io", "PriorityClass"): Rules(
        generation_of=(),
        validate_update=(
            forbidden_to_change("value", "may not be changed in an update."),
            immutable("preemptionPolicy"),
        ),
    ),
    ("storage.k8s.io", "CSIDriver"): Rules(allow_unconditional_update=False),
    ("storage.k8s.io", "CSINode"): Rules(allow_unconditional_update=False),
    ("storage.k8s.io", "StorageClass"): Rules(
        validate=(
            required("provisioner"),
            one_of("reclaimPolicy", "Delete", "Retain"),
            one_of("volumeBindingMode", "Immediate", "WaitForFirstConsumer"),
        ),
        validate_update=(
            forbidden_to_change("parameters", "updates to parameters are forbidden."),
            forbidden_to_change("provisioner", "updates to provisioner are forbidden."),
            immutable("reclaimPolicy", "volumeBindingMode"),
        ),
    ),
    ("storage.k8s.io", "VolumeAttachment"): Rules(
        status_at_create=lambda obj: {"attached": False}, allow_unconditional_update=False
    ),
}

NOT_ENFORCED: frozenset[tuple[str, str]] = frozenset(
    {
        ("", "LimitRange"),
        ("", "ResourceQuota"),
        *((RBAC, kind) for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")),
        *((FLOW, kind) for kind in ("FlowSchema", "PriorityLevelConfiguration")),
        *(
            (ADMISSION, f"{phase}{what}")
            for phase in ("Mutating", "Validating")
            for what in ("AdmissionPolicy", "AdmissionPolicyBinding", "WebhookConfiguration")
        ),
    }
)
"""Kinds that other requests should obey, and do not yet: whoever writes one is warned."""

_PARTICULAR: dict[tuple[str, str], Rules] = {**CORE, **WORKLOADS, **OTHERS}

RULES: dict[tuple[str, str], Rules] = _PARTICULAR | {
    kind: replace(
        _PARTICULAR.get(kind, Rules()),
        warn=(*_PARTICULAR.get(kind, Rules()).warn, advice.not_enforced(kind[1])),
    )
    for kind in NOT_ENFORCED
}
