"""Status objects: codes, reasons, texts and details as kube-apiserver prints them."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.api import errors
from apiserver.api import field_errors as fe
from apiserver.api.errors import ApiError
from apiserver.api.quoting import quote


def status(error: ApiError) -> dict[str, Any]:
    printed = error.to_status()
    fixed = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    assert {key: printed.pop(key) for key in fixed} == fixed
    assert list(printed)[-1] == "code"
    return printed


def test_not_found() -> None:
    assert status(errors.not_found("apps", "deployments", "web")) == {
        "message": 'deployments.apps "web" not found',
        "reason": "NotFound",
        "details": {"name": "web", "group": "apps", "kind": "deployments"},
        "code": 404,
    }


def test_conflict_of_a_stale_update() -> None:
    assert status(errors.conflict("", "configmaps", "a")) == {
        "message": 'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again",
        "reason": "Conflict",
        "details": {"name": "a", "kind": "configmaps"},
        "code": 409,
    }


def test_invalid_lists_causes() -> None:
    findings = [fe.required("spec.selector"), fe.not_supported("spec.type", "X", ["B", "A"])]
    assert status(errors.invalid("apps", "Deployment", "web", findings)) == {
        "message": 'Deployment.apps "web" is invalid: [spec.selector: Required value, '
        'spec.type: Unsupported value: "X": supported values: "A", "B"]',
        "reason": "Invalid",
        "details": {
            "name": "web",
            "group": "apps",
            "kind": "Deployment",
            "causes": [
                {
                    "reason": "FieldValueRequired",
                    "message": "Required value",
                    "field": "spec.selector",
                },
                {
                    "reason": "FieldValueNotSupported",
                    "message": 'Unsupported value: "X": supported values: "A", "B"',
                    "field": "spec.type",
                },
            ],
        },
        "code": 422,
    }


@pytest.mark.parametrize(
    ("error", "code", "reason", "message"),
    [
        (errors.already_exists("", "pods", "a"), 409, "AlreadyExists", 'pods "a" already exists'),
        (
            errors.generate_name_conflict("", "pods", "a-x"),
            409,
            "AlreadyExists",
            'pods "a-x" already exists, the server was not able to generate a unique name for the '
            "object",
        ),
        (errors.unauthorized(), 401, "Unauthorized", "Unauthorized"),
        (
            errors.forbidden("", "pods", "a", "because"),
            403,
            "Forbidden",
            'pods "a" is forbidden: because',
        ),
        (errors.forbidden("", "pods", "", "no"), 403, "Forbidden", "pods is forbidden: no"),
        (errors.forbidden("", "", "", "no"), 403, "Forbidden", "forbidden: no"),
        (
            errors.method_not_supported("apps", "deployments", "delete"),
            405,
            "MethodNotAllowed",
            'delete is not supported on resources of kind "deployments.apps"',
        ),
        (
            errors.not_acceptable(["application/json"]),
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json",
        ),
        (errors.gone("away"), 410, "Gone", "away"),
        (
            errors.too_old_resource_version("5", "9"),
            410,
            "Expired",
            "too old resource version: 5 (9)",
        ),
        (
            errors.request_entity_too_large("limit is 3145728"),
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3145728",
        ),
        (
            errors.unsupported_media_type(["a/b", "c/d"]),
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
            "a/b, c/d",
        ),
        (errors.internal("boom"), 500, "InternalError", "Internal error occurred: boom"),
        (
            errors.server_timeout("", "pods", "create"),
            500,
            "ServerTimeout",
            "The create operation against pods could not be completed at this time, please try "
            "again.",
        ),
        (errors.timeout("slow"), 504, "Timeout", "Timeout: slow"),
        (
            errors.too_large_resource_version(9, 5),
            504,
            "Timeout",
            "Timeout: Too large resource version: 9, current: 5",
        ),
        (
            errors.unprocessable(),
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
        ),
    ],
)
def test_codes_reasons_and_texts(error: ApiError, code: int, reason: str, message: str) -> None:
    printed = status(error)
    assert (printed["code"], printed["reason"], printed["message"]) == (code, reason, message)


def test_retry_after_is_a_detail() -> None:
    assert status(errors.too_many_requests("busy", retry_after_seconds=3))["details"] == {
        "retryAfterSeconds": 3
    }
    assert "details" not in status(errors.bad_request("what?"))


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (fe.invalid("a", "b", "why"), 'a: Invalid value: "b": why'),
        (fe.invalid("a", 5, "why"), "a: Invalid value: 5: why"),
        (fe.invalid("a", True, "why"), "a: Invalid value: true: why"),
        (fe.invalid("a", None, "why"), "a: Invalid value: null: why"),
        (fe.invalid("a", {"b": 1}, "why"), 'a: Invalid value: {"b":1}: why'),
        (fe.forbidden("a", "why"), "a: Forbidden: why"),
        (fe.duplicate("a", "b"), 'a: Duplicate value: "b"'),
        (fe.not_found("a", "b"), 'a: Not found: "b"'),
        (fe.too_long("a", 9), "a: Too long: may not be more than 9 bytes"),
        (fe.too_many("a", 4, 3), "a: Too many: 4: must have at most 3 items"),
    ],
)
def test_texts_of_findings(finding: fe.FieldError, text: str) -> None:
    assert str(finding) == text


def test_equal_findings_are_told_once() -> None:
    assert fe.aggregate([fe.required("a"), fe.required("a")]) == "a: Required value"


def test_quotes_are_gos() -> None:
    assert quote('a"\\\n\té\x01\x7f\u200b') == '"a\\"\\\\\\n\\té\\x01\\x7f\\u200b"'
