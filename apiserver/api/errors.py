"""Errors as clients see them: `Status` objects with kube-apiserver's codes, reasons and texts.

`ApiError` is what every layer of the API server raises; `to_status()` is what the edge sends.
Source: Kubernetes API reference (Status), apimachinery `api/errors`. Texts are contract: clients
match on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.api.field_errors import FieldError, aggregate
from apiserver.api.quoting import quote

MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)
"""Why an update with a stale resourceVersion conflicts."""


@dataclass(frozen=True, slots=True)
class Details:
    """`Status.details`; empty fields are not printed."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[Mapping[str, str], ...] = ()
    retry_after_seconds: int = 0

    def to_dict(self) -> dict[str, Any]:
        fields = {
            "name": self.name,
            "group": self.group,
            "kind": self.kind,
            "uid": self.uid,
            "causes": [dict(cause) for cause in self.causes],
            "retryAfterSeconds": self.retry_after_seconds,
        }
        return {key: value for key, value in fields.items() if value}


class ApiError(Exception):
    """A failure with the HTTP status code, the reason and the message that a client shall see."""

    def __init__(
        self, status_code: int, reason: str, message: str, details: Details | None = None
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.reason = reason
        self.message = message
        self.details = details

    def to_status(self) -> dict[str, Any]:
        """The `Status` object, its keys in kube-apiserver's order."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details.to_dict()
        status["code"] = self.status_code
        return status

    def __repr__(self) -> str:
        return f"ApiError({self.status_code} {self.reason}: {self.message})"


def _qualified(name: str, group: str) -> str:
    return f"{name}.{group}" if group else name


def not_found(group: str, plural: str, name: str) -> ApiError:
    """404: there is no object of that name."""
    message = f"{_qualified(plural, group)} {quote(name)} not found"
    return ApiError(404, "NotFound", message, Details(name=name, group=group, kind=plural))


def no_such_resource() -> ApiError:
    """404: the group, version or resource itself is not served."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", Details())


def already_exists(group: str, plural: str, name: str) -> ApiError:
    """409: an object of that name exists."""
    message = f"{_qualified(plural, group)} {quote(name)} already exists"
    return ApiError(409, "AlreadyExists", message, Details(name=name, group=group, kind=plural))


def generate_name_conflict(
    group: str, plural: str, name: str, *, retry_after_seconds: int = 1
) -> ApiError:
    """409: every name tried for `generateName` was taken."""
    message = (
        f"{_qualified(plural, group)} {quote(name)} already exists, "
        "the server was not able to generate a unique name for the object"
    )
    details = Details(name=name, group=group, kind=plural, retry_after_seconds=retry_after_seconds)
    return ApiError(409, "AlreadyExists", message, details)


def conflict(group: str, plural: str, name: str, why: str = MODIFIED) -> ApiError:
    """409: the update is based on a version, or a precondition, that no longer holds."""
    message = f"Operation cannot be fulfilled on {_qualified(plural, group)} {quote(name)}: {why}"
    return ApiError(409, "Conflict", message, Details(name=name, group=group, kind=plural))


def invalid(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> ApiError:
    """422: the object breaks rules; each finding becomes a cause."""
    message = f"{_qualified(kind, group)} {quote(name)} is invalid"
    if errors:
        message += ": " + aggregate(errors)
    causes = tuple(error.to_cause() for error in errors)
    return ApiError(
        422, "Invalid", message, Details(name=name, group=group, kind=kind, causes=causes)
    )


def bad_request(message: str) -> ApiError:
    """400: the request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> ApiError:
    """401: nobody known is asking."""
    return ApiError(401, "Unauthorized", message)


def forbidden(group: str, plural: str, name: str, why: str) -> ApiError:
    """403: the one who asks may not, or not now (namespaces that end, quota)."""
    details = Details(name=name, group=group, kind=plural)
    if not plural:
        return ApiError(403, "Forbidden", f"forbidden: {why}", details)
    subject = _qualified(plural, group)
    if name:
        subject += " " + quote(name)
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {why}", details)


def method_not_supported(group: str, plural: str, action: str) -> ApiError:
    """405: the resource does not take that verb (`action` in the verb's words: `delete`, …)."""
    message = f"{action} is not supported on resources of kind {quote(_qualified(plural, group))}"
    return ApiError(405, "MethodNotAllowed", message, Details(group=group, kind=plural))


def method_not_allowed() -> ApiError:
    """405: the path takes no such HTTP method."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, Details())


def not_acceptable(accepted: Sequence[str]) -> ApiError:
    """406: none of the media types in `Accept` can be produced."""
    message = "only the following media types are accepted: " + ", ".join(accepted)
    return ApiError(406, "NotAcceptable", message)


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """415: the body's `Content-Type` is not understood."""
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted)
    )
    return ApiError(415, "UnsupportedMediaType", message)


def expired(
    message: str = "The resourceVersion for the provided list is too old.",
) -> ApiError:
    """410 Expired: a continue token or resourceVersion points before the compaction."""
    return ApiError(410, "Expired", message)


def too_old_resource_version(wanted: str, oldest: str) -> ApiError:
    """410 Expired: a watch from a version whose events are gone."""
    return ApiError(410, "Expired", f"too old resource version: {wanted} ({oldest})")


def gone(message: str) -> ApiError:
    """410 Gone: it was there and will not come back."""
    return ApiError(410, "Gone", message)


def request_entity_too_large(message: str) -> ApiError:
    """413: the body is over the limit."""
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: {message}")


def too_many_requests(message: str, *, retry_after_seconds: int = 1) -> ApiError:
    """429: ask again later."""
    details = Details(retry_after_seconds=retry_after_seconds)
    return ApiError(429, "TooManyRequests", message, details)


def internal(why: str) -> ApiError:
    """500: our own mistake, or one that we cannot explain."""
    details = Details(causes=({"message": why},))
    return ApiError(500, "InternalError", f"Internal error occurred: {why}", details)


def server_timeout(
    group: str, plural: str, operation: str, *, retry_after_seconds: int = 1
) -> ApiError:
    """500 ServerTimeout: not done; the client may ask again after the given seconds."""
    message = (
        f"The {operation} operation against {_qualified(plural, group)} could not be completed "
        "at this time, please try again."
    )
    details = Details(
        name=operation, group=group, kind=plural, retry_after_seconds=retry_after_seconds
    )
    return ApiError(500, "ServerTimeout", message, details)


def service_unavailable(message: str) -> ApiError:
    """503: nobody can answer now."""
    return ApiError(503, "ServiceUnavailable", message)


def timeout(why: str, *, retry_after_seconds: int = 0) -> ApiError:
    """504: no answer within the time; whether it was done is unknown."""
    details = Details(retry_after_seconds=retry_after_seconds)
    return ApiError(504, "Timeout", f"Timeout: {why}", details)


def too_large_resource_version(wanted: int, current: int) -> ApiError:
    """504: the wanted resourceVersion lies in the future; retried by clients after a second."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = Details(causes=(cause,), retry_after_seconds=1)
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return ApiError(504, "Timeout", message, details)


def unprocessable() -> ApiError:
    """422 for a JSON patch that does not apply; the original says no more than this."""
    message = "the server rejected our request due to an error in our request"
    return ApiError(422, "Invalid", message, Details())
