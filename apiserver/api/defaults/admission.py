"""Defaults of admission webhooks, admission policies and flow control."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ADMISSION = "admissionregistration.k8s.io"
FLOW = "flowcontrol.apiserver.k8s.io"


def _webhooks(obj: Json) -> None:
    for webhook in obj.get("webhooks", ()):
        webhook.setdefault("failurePolicy", "Fail")
        webhook.setdefault("timeoutSeconds", 10)
        _match(webhook)
        for rule in webhook.get("rules", ()):
            rule.setdefault("scope", "*")
        service = webhook.get("clientConfig", {}).get("service")
        if service is not None:
            service.setdefault("port", 443)


def _mutating_webhooks(obj: Json) -> None:
    _webhooks(obj)
    for webhook in obj.get("webhooks", ()):
        webhook.setdefault("reinvocationPolicy", "Never")


def _match(resources: Json) -> None:
    resources.setdefault("matchPolicy", "Equivalent")
    resources.setdefault("namespaceSelector", {})
    resources.setdefault("objectSelector", {})


def _policy(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    constraints = spec.get("matchConstraints")
    if constraints is None:
        return
    _match(constraints)
    for member in ("resourceRules", "excludeResourceRules"):
        for rule in constraints.get(member, ()):
            rule.setdefault("scope", "*")


def _binding(obj: Json) -> None:
    resources = obj.setdefault("spec", {}).get("matchResources")
    if resources is not None:
        _match(resources)


def _flow_schema(obj: Json) -> None:
    obj.setdefault("spec", {}).setdefault("matchingPrecedence", 1000)


def _priority_level(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    if (exempt := spec.get("exempt")) is not None:
        exempt.setdefault("nominalConcurrencyShares", 0)
        exempt.setdefault("lendablePercent", 0)
    if (limited := spec.get("limited")) is not None:
        limited.setdefault("nominalConcurrencyShares", 30)
        limited.setdefault("lendablePercent", 0)
        queuing = limited.get("limitResponse", {}).get("queuing")
        if queuing is not None:
            queuing.setdefault("queues", 64)
            queuing.setdefault("handSize", 8)
            queuing.setdefault("queueLengthLimit", 50)


DEFAULTS = {
    (ADMISSION, "MutatingAdmissionPolicy"): _policy,
    (ADMISSION, "MutatingAdmissionPolicyBinding"): _binding,
    (ADMISSION, "MutatingWebhookConfiguration"): _mutating_webhooks,
    (ADMISSION, "ValidatingAdmissionPolicy"): _policy,
    (ADMISSION, "ValidatingAdmissionPolicyBinding"): _binding,
    (ADMISSION, "ValidatingWebhookConfiguration"): _webhooks,
    (FLOW, "FlowSchema"): _flow_schema,
    (FLOW, "PriorityLevelConfiguration"): _priority_level,
}
