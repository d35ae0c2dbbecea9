"""Validation of what runs pods."""

from __future__ import annotations

from typing import Any

from apiserver.api import field_errors as fe
from apiserver.api.field_errors import FieldError
from apiserver.api.selectors import SelectorError, from_label_selector
from apiserver.registry.validation.pods import validate_template
from apiserver.registry.validation.rules import Validate, check_one_of

Json = dict[str, Any]

NO_MATCH = "`selector` does not match template `labels`"
STATEFUL_SET_FORBIDDEN = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden"
)
_STATEFUL_SET_MUTABLE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)


def selector_and_template(words: str) -> Validate:
    """The rules of apps/v1: a selector that is not empty and matches the template's labels.

    `words` name the kind in the text about an empty selector.
    """

    def validate(obj: Json) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = _selector(spec, words)
        template = spec.get("template") or {}
        errors.extend(validate_template(template, "spec.template"))
        policy = (template.get("spec") or {}).get("restartPolicy")
        errors.extend(check_one_of(policy, "spec.template.spec.restartPolicy", ("Always",)))
        return errors

    return validate


def _selector(spec: Json, words: str) -> list[FieldError]:
    selector = spec.get("selector")
    if selector is None:
        return [fe.required("spec.selector")]
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        return [fe.invalid("spec.selector", selector, f"empty selector is invalid for {words}")]
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    errors = _expressions(selector.get("matchExpressions") or [], "spec.selector.matchExpressions")
    if errors:
        return errors
    try:
        parsed = from_label_selector(selector)
    except SelectorError as error:
        return [fe.invalid("spec.selector", selector, str(error))]
    if parsed is not None and not parsed.matches_labels(labels):
        return [fe.invalid("spec.template.metadata.labels", labels, NO_MATCH)]
    return []


def _expressions(expressions: list[Json], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, expression in enumerate(expressions):
        at = f"{path}[{index}]"
        match expression.get("operator"):
            case "In" | "NotIn":
                if not expression.get("values"):
                    text = "must be specified when `operator` is 'In' or 'NotIn'"
                    errors.append(fe.required(f"{at}.values", text))
            case "Exists" | "DoesNotExist":
                if expression.get("values"):
                    text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                    errors.append(fe.forbidden(f"{at}.values", text))
            case other:
                text = "not a valid selector operator"
                errors.append(fe.invalid(f"{at}.operator", other or "", text))
    return errors


def validate_deployment_strategy(obj: Json) -> list[FieldError]:
    """Recreate takes no parameters of a rolling update."""
    strategy = (obj.get("spec") or {}).get("strategy") or {}
    if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [fe.forbidden("spec.strategy.rollingUpdate", text)]
    return check_one_of(strategy.get("type"), "spec.strategy.type", ("Recreate", "RollingUpdate"))


def validate_stateful_set_update(new: Json, old: Json) -> list[FieldError]:
    """Identity, storage and service of a StatefulSet stay as they are."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    if changed - _STATEFUL_SET_MUTABLE:
        return [fe.forbidden("spec", STATEFUL_SET_FORBIDDEN)]
    return []


def validate_job(obj: Json) -> list[FieldError]:
    """A Job's template must not restart for ever."""
    return _job_spec(obj.get("spec") or {}, "spec")


def validate_cron_job(obj: Json) -> list[FieldError]:
    """The schedule and the template of a CronJob."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    if not spec.get("schedule"):
        errors.append(fe.required("spec.schedule"))
    errors.extend(
        check_one_of(
            spec.get("concurrencyPolicy"),
            "spec.concurrencyPolicy",
            ("Allow", "Forbid", "Replace"),
        )
    )
    job_spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return errors + _job_spec(job_spec, "spec.jobTemplate.spec")


def _job_spec(spec: Json, path: str) -> list[FieldError]:
    template = spec.get("template") or {}
    errors = validate_template(template, f"{path}.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    supported = ("Never", "OnFailure")
    errors.extend(check_one_of(policy, f"{path}.template.spec.restartPolicy", supported))
    for field in ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds"):
        if (spec.get(field) or 0) < 0:
            text = "must be greater than or equal to 0"
            errors.append(fe.invalid(f"{path}.{field}", spec[field], text))
    return errors


def validate_job_update(new: Json, old: Json) -> list[FieldError]:
    """What a Job's pods are does not change; a suspended Job may still be rescheduled."""
    errors: list[FieldError] = []
    before, after = old.get("spec") or {}, new.get("spec") or {}
    not_started = before.get("suspend") and not (old.get("status") or {}).get("startTime")
    for field in ("completions", "selector", "template", "completionMode"):
        if field == "template" and not_started:
            continue
        if field == "completions" and before.get("completionMode") == "Indexed":
            continue
        if before.get(field) != after.get(field):
            errors.append(fe.invalid(f"spec.{field}", after.get(field), "field is immutable"))
    return errors
