"""From a request's body to a typed, defaulted object, or to the 400 that kube-apiserver gives.

Owns the order: document → apiVersion and kind → fields and values → defaults. Source: the API
reference ("Server side field validation"), kube-apiserver's handlers for the texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from apiserver.api import codec, documents, errors
from apiserver.api.defaults import apply_defaults
from apiserver.api.errors import ApiError
from apiserver.api.field_errors import not_supported
from apiserver.api.scheme import SCHEME, Resource

Json = dict[str, Any]


class FieldValidation(Enum):
    """The `fieldValidation` parameter: what to do about unknown and duplicate fields."""

    STRICT = "Strict"
    WARN = "Warn"
    IGNORE = "Ignore"

    @classmethod
    def of(cls, text: str, options_kind: str = "CreateOptions") -> FieldValidation:
        """The parameter's value; absent means Warn. Raises ApiError 422."""
        if not text:
            return cls.WARN
        try:
            return cls(text)
        except ValueError:
            finding = not_supported("fieldValidation", text, ["", *(item.value for item in cls)])
            raise errors.invalid("meta.k8s.io", options_kind, "", [finding]) from None


@dataclass(frozen=True, slots=True)
class Decoded:
    """An object of the resource's type, and the texts for `Warning:` headers."""

    obj: Json
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """The type that a body must have: a resource's, or a subresource's."""

    group: str
    version: str
    kind: str
    type_name: str

    @classmethod
    def of(cls, resource: Resource) -> Target:
        """The type of a resource's own objects."""
        return cls(resource.group, resource.version, resource.kind, resource.type_name)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def decode_body(
    target: Target,
    body: bytes,
    *,
    media_type: str = "application/json",
    validation: FieldValidation = FieldValidation.WARN,
) -> Decoded:
    """Parse and decode a body of `application/json` or `application/yaml`.

    Raises ApiError 400.
    """
    try:
        if media_type == "application/yaml":
            document = documents.parse_yaml(body)
        else:
            strict = validation is not FieldValidation.IGNORE
            document = documents.parse_json(body, find_duplicates=strict)
    except documents.DocumentError as error:
        raise unreadable(target.kind, body, str(error)) from None
    if not isinstance(document.value, dict):
        shape = codec.MismatchError(document.value, _META_TYPE).text()
        raise unreadable(target.kind, body, shape)
    findings = list(document.yaml_findings)
    if document.with_duplicates is not None:
        findings += codec.strict_findings(target.type_name, document.with_duplicates)
    return decode(target, document.value, validation=validation, findings=findings)


_META_TYPE = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }'
)


def unreadable(kind: str, body: bytes, why: str) -> ApiError:
    """400 for a body that is no JSON object at all; shows its first 30 bytes."""
    return errors.bad_request(
        f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; "
        f"json parse error: {why} ({_summary(body)})"
    )


def _summary(body: bytes) -> str:
    if not body:
        return "<empty>"
    head = body[:30]
    text = head.decode("utf-8", "replace") if body[:1] == b"{" else head.hex()
    return text + (" ..." if len(body) > 30 else "")


def decode(
    target: Target,
    document: Json,
    *,
    validation: FieldValidation = FieldValidation.WARN,
    findings: Sequence[str] = (),
) -> Decoded:
    """Decode a parsed document in place: check types, drop what is unknown, set defaults.

    `findings` are what strict decoding already objects to. The result always has
    `apiVersion`, `kind` and `metadata`. Raises ApiError 400.
    """
    _check_kind(target, document)
    try:
        obj, unknown = _decode(target, document, validation)
    except codec.DecodeError as error:
        raise _cannot_handle(target, str(error)) from None
    findings = tuple(dict.fromkeys([*findings, *unknown]))
    if findings and validation is FieldValidation.STRICT:
        raise _cannot_handle(target, "strict decoding error: " + ", ".join(findings))
    obj["apiVersion"] = target.api_version
    obj["kind"] = target.kind
    obj.setdefault("metadata", {})
    apply_defaults(target.group, target.kind, obj)
    return Decoded(obj, findings if validation is FieldValidation.WARN else ())


def _decode(target: Target, document: Json, validation: FieldValidation) -> tuple[Json, list[str]]:
    """The object, and the unknown fields in it unless they shall be ignored."""
    unknown: list[str] = []
    strict = validation is not FieldValidation.IGNORE
    try:
        obj: Json = codec.decode_type(target.type_name, document, stop_at_unknown=strict)
    except codec.UnknownFieldError:
        unknown = codec.strict_findings(target.type_name, document)
        obj = codec.decode_type(target.type_name, document, stop_at_unknown=False)
    return obj, unknown


def _check_kind(target: Target, document: Json) -> None:
    """Refuse a body of another kind or version. Raises ApiError 400."""
    api_version = document.get("apiVersion") or target.api_version
    kind = document.get("kind") or target.kind
    if api_version == target.api_version and kind == target.kind:
        return
    for name, value in (("apiVersion", api_version), ("kind", kind)):
        if not isinstance(value, str):
            mismatch = codec.MismatchError(value, "string")
            mismatch.struct, mismatch.path = "", [name]
            raise errors.bad_request(
                f"couldn't get version/kind; json parse error: {mismatch.text()}"
            )
    group, _, version = api_version.rpartition("/")
    subject = f'{kind} in version "{version}" cannot be handled as a {target.kind}: '
    if SCHEME.by_kind(api_version, kind) is None:
        raise errors.bad_request(
            f'{subject}no kind "{kind}" is registered for version "{api_version}" in scheme '
            '"pkg/api/legacyscheme/scheme.go:30"'
        )
    if kind == target.kind and group == target.group:
        raise errors.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({target.api_version})"
        )
    package = target.group.partition(".")[0] or "core"
    raise errors.bad_request(
        f"{subject}converting (v1.{kind}) to ({package}.{target.kind}): unknown conversion"
    )


def _cannot_handle(target: Target, why: str) -> ApiError:
    return errors.bad_request(
        f'{target.kind} in version "{target.version}" cannot be handled as a {target.kind}: {why}'
    )
