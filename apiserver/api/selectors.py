"""Label and field selectors: parsed once per request, then matched against each object.

Source: Kubernetes documentation "Labels and Selectors" and "Field Selectors"; apimachinery's
`labels` and `fields` for error texts. Parsing raises `SelectorError` (answer 400).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apiserver.api import names
from apiserver.api.quoting import quote
from apiserver.api.scheme import Resource

SELECTOR_LENGTH_MAX = 64 * 1024
"""Characters of one selector; longer ones are refused before they are parsed."""

_TOKEN = re.compile(r"\s*(==|!=|[=!,()<>]|[^\s=!,()<>]+)")
_OPERATORS = frozenset({"=", "==", "!=", "in", "notin", "<", ">"})
_PUNCTUATION = frozenset({"=", "==", "!=", "!", ",", "(", ")", "<", ">"})


class SelectorError(ValueError):
    """A selector that cannot be parsed, or names a field that is not selectable."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a label selector. `operator` is one of in, notin, exists, !, gt, lt."""

    key: str
    operator: str
    values: frozenset[str]
    bound: int = 0

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        if value is None or not re.fullmatch(r"[+-]?\d+", value):
            return False
        return int(value) > self.bound if self.operator == "gt" else int(value) < self.bound


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; an empty selector matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def matches_labels(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether an object's `metadata.labels` match."""
        if not self.requirements:
            return True
        return self.matches_labels(obj["metadata"].get("labels") or {})


def parse_labels(text: str) -> LabelSelector:
    """Parse `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`. Raises SelectorError."""
    if len(text) > SELECTOR_LENGTH_MAX:
        raise SelectorError(f"selector is longer than {SELECTOR_LENGTH_MAX} characters")
    return LabelSelector(tuple(_LabelParser(text).parse()))


class _LabelParser:
    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        while self._peek():
            found.append(self._requirement())
            following = self._next()
            if following not in ("", ","):
                raise SelectorError(f"found '{following}', expected: ',' or 'end of string'")
            if following == "," and not self._peek():
                raise SelectorError("found '', expected: identifier after ','")
        return found

    def _requirement(self) -> Requirement:
        token = self._next()
        if token == "!":
            return Requirement(self._key(self._next()), "!", frozenset())
        key = self._key(token)
        operator = self._peek()
        if operator in ("", ","):
            return Requirement(key, "exists", frozenset())
        if operator not in _OPERATORS:
            expected = "in, notin, =, ==, !=, gt, lt"
            raise SelectorError(
                f"unable to parse requirement: found '{operator}', expected: {expected}"
            )
        self._next()
        return self._with_values(key, operator)

    def _with_values(self, key: str, operator: str) -> Requirement:
        if operator in ("in", "notin"):
            values = self._value_set()
            return Requirement(key, operator, values)
        value = "" if self._peek() in ("", ",") else self._next()
        if value in _PUNCTUATION:
            raise SelectorError(
                f"unable to parse requirement: found '{value}', expected: identifier"
            )
        if operator in ("<", ">"):
            return _comparison(key, operator, value)
        _check_value(key, value)
        return Requirement(key, "notin" if operator == "!=" else "in", frozenset({value}))

    def _value_set(self) -> frozenset[str]:
        opening = self._next()
        if opening != "(":
            raise SelectorError(f"unable to parse requirement: found '{opening}', expected: '('")
        values: set[str] = set()
        value = ""
        while True:
            token = self._next()
            if token in (",", ")"):
                _check_value("", value)
                values.add(value)
                value = ""
                if token == ")":
                    return frozenset(values)
            elif not token or token in _PUNCTUATION or value:
                raise SelectorError(
                    f"unable to parse requirement: found '{token}', "
                    "expected: ',', ')' or identifier"
                )
            else:
                value = token

    @staticmethod
    def _key(token: str) -> str:
        if not token or token in _PUNCTUATION:
            raise SelectorError(
                f"unable to parse requirement: found '{token}', expected: !, identifier, or "
                "'end of string'"
            )
        if errors := names.qualified_name_errors(token):
            raise SelectorError(
                f"unable to parse requirement: <nil>: Invalid value: {quote(token)}: "
                + "; ".join(errors)
            )
        return token


def _check_value(key: str, value: str) -> None:
    if errors := names.label_value_errors(value):
        path = f"values[0][{key}]" if key else "values[0]"
        raise SelectorError(
            f"unable to parse requirement: {path}: Invalid value: {quote(value)}: "
            + "; ".join(errors)
        )


def _comparison(key: str, operator: str, value: str) -> Requirement:
    if not re.fullmatch(r"[+-]?\d{1,19}", value):
        raise SelectorError(
            f"unable to parse requirement: values[0]: Invalid value: {quote(value)}: "
            "for 'Gt', 'Lt' operators, the value must be an integer"
        )
    return Requirement(key, "gt" if operator == ">" else "lt", frozenset(), int(value))


def from_label_selector(selector: Mapping[str, Any] | None) -> LabelSelector | None:
    """The selector that a `LabelSelector` object means; None selects nothing.

    Takes a decoded object; an unknown operator raises SelectorError.
    """
    if selector is None:
        return None
    found = [
        Requirement(key, "in", frozenset({value}))
        for key, value in (selector.get("matchLabels") or {}).items()
    ]
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    for expression in selector.get("matchExpressions") or []:
        operator = operators.get(expression.get("operator"))
        if operator is None:
            raise SelectorError(
                f"{quote(str(expression.get('operator')))} is not a valid label selector operator"
            )
        values = frozenset(expression.get("values") or [])
        found.append(Requirement(expression.get("key", ""), operator, values))
    return LabelSelector(tuple(found))


FieldGetter = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One term of a field selector: the field's path, whether it must be equal, and to what."""

    path: str
    equal: bool
    value: str
    get: FieldGetter

    def matches(self, obj: Mapping[str, Any]) -> bool:
        return (self.get(obj) == self.value) is self.equal


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All terms must hold; an empty selector matches everything."""

    terms: tuple[FieldTerm, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms)

    def matches(self, obj: Mapping[str, Any]) -> bool:
        return all(term.matches(obj) for term in self.terms)

    def exact(self, path: str) -> str | None:
        """The value that `path` must have, if the selector says so: turns a LIST into a GET."""
        return next((term.value for term in self.terms if term.path == path and term.equal), None)


def parse_fields(resource: Resource, text: str) -> FieldSelector:
    """Parse `metadata.name=a,status.phase!=b` for a resource. Raises SelectorError."""
    if len(text) > SELECTOR_LENGTH_MAX:
        raise SelectorError(f"selector is longer than {SELECTOR_LENGTH_MAX} characters")
    terms = []
    for term in re.findall(r"(?:\\.|[^\\,])+", text, re.DOTALL):
        parsed = re.fullmatch(r"((?:\\.|[^\\=!])*)(==|!=|=)(.*)", term, re.DOTALL)
        if parsed is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        path, operator, value = parsed.groups()
        path = ALIASES.get((resource.kind, path), path)
        terms.append(
            FieldTerm(path, operator != "!=", _unescape(value), field_getter(resource, path))
        )
    return FieldSelector(tuple(terms))


def _unescape(value: str) -> str:
    if re.search(r"\\(?![\\,=])|\\\Z", re.sub(r"\\\\", "", value)):
        raise SelectorError(f"invalid field selector: invalid escape sequence in value: {value}")
    if re.search(r"(?<!\\)=", re.sub(r"\\\\", "", value)):
        raise SelectorError(f"invalid field selector: unescaped character in value: {value}")
    return re.sub(r"\\(.)", r"\1", value)


ALIASES = {("Pod", "spec.host"): "spec.nodeName"}

_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

FIELDS: dict[tuple[str, str], dict[str, str]] = {
    ("", "Pod"): {
        "spec.nodeName": "",
        "spec.restartPolicy": "",
        "spec.schedulerName": "",
        "spec.serviceAccountName": "",
        "spec.hostNetwork": "false",
        "status.phase": "",
        "status.podIP": "",
        "status.podIPs": "",
        "status.nominatedNodeName": "",
    },
    ("", "Node"): {"spec.unschedulable": "false"},
    ("", "ReplicationController"): {"status.replicas": "0"},
    ("", "Namespace"): {"status.phase": ""},
    ("", "Secret"): {"type": ""},
    ("", "Service"): {"spec.clusterIP": "", "spec.type": ""},
    ("", "Event"): {
        **{f"involvedObject.{field}": "" for field in _INVOLVED},
        "reason": "",
        "reportingComponent": "",
        "source": "",
        "type": "",
    },
    ("events.k8s.io", "Event"): {
        **{f"regarding.{field}": "" for field in _INVOLVED},
        "reason": "",
        "reportingController": "",
        "type": "",
    },
    ("apps", "ReplicaSet"): {"status.replicas": "0"},
    ("batch", "Job"): {"status.successful": "0"},
    ("certificates.k8s.io", "CertificateSigningRequest"): {"spec.signerName": ""},
    ("resource.k8s.io", "ResourceSlice"): {"spec.nodeName": "", "spec.driver": ""},
}
"""Selectable fields beside `metadata.name` and `metadata.namespace`; the value where absent."""


def field_getter(resource: Resource, path: str) -> FieldGetter:
    """How to read a selectable field of a stored object as text.

    Stored events are core events, whatever group is asked. Raises SelectorError where the field
    is not selectable.
    """
    if path == "metadata.name":
        return _name
    if path == "metadata.namespace":
        return _namespace
    selectable = FIELDS.get((resource.group, resource.kind))
    if selectable is None:
        raise SelectorError(
            f'{quote(path)} is not a known field selector: only "metadata.name", '
            '"metadata.namespace"'
        )
    if path not in selectable:
        raise SelectorError(f"field label not supported: {path}")
    if (resource.kind, path) in _SPECIAL:
        return _SPECIAL[resource.kind, path]
    absent = selectable[path]
    if resource.group == "events.k8s.io":
        path = path.replace("regarding.", "involvedObject.", 1)
        path = path.replace("reportingController", "reportingComponent")
    return _getter(tuple(path.split(".")), absent)


def _name(obj: Mapping[str, Any]) -> str:
    name: str = obj["metadata"].get("name", "")
    return name


def _namespace(obj: Mapping[str, Any]) -> str:
    namespace: str = obj["metadata"].get("namespace", "")
    return namespace


def _getter(path: tuple[str, ...], absent: str) -> FieldGetter:
    def get(obj: Mapping[str, Any]) -> str:
        value: Any = obj
        for key in path:
            value = value.get(key)
            if value is None:
                return absent
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    return get


def _event_source(obj: Mapping[str, Any]) -> str:
    source = (obj.get("source") or {}).get("component")
    return source or obj.get("reportingComponent") or ""


def _pod_ip(obj: Mapping[str, Any]) -> str:
    status = obj.get("status") or {}
    addresses = status.get("podIPs") or [{"ip": status.get("podIP")}]
    return addresses[0].get("ip") or ""


_SPECIAL: dict[tuple[str, str], FieldGetter] = {
    ("Event", "source"): _event_source,
    ("Job", "status.successful"): _getter(("status", "succeeded"), "0"),
    ("Pod", "status.podIP"): _pod_ip,
    ("Pod", "status.podIPs"): _pod_ip,
}
