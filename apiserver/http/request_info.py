"""What a request asks for, read off its method and path as kube-apiserver's RequestInfo does.

PURE. Source: k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote

_VERBS: Final = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True", ""})

Query = dict[str, str]


@dataclass(slots=True)
class RequestInfo:
    """The attributes that authorization and routing go by; "" where a thing does not apply."""

    verb: str
    path: str
    is_resource: bool = False
    api_prefix: str = ""
    group: str = ""
    api_version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    # What follows the subresource, as in pods/x/proxy/these/parts.
    rest: tuple[str, ...] = ()


def split_target(target: str) -> tuple[str, Query]:
    """The decoded path and the query of a request target; the first of repeated keys counts."""
    path, _, raw_query = target.partition("?")
    if "%" in path:
        path = unquote(path)
    query: Query = {}
    if raw_query:
        for key, value in parse_qsl(raw_query, keep_blank_values=True, max_num_fields=64):
            query.setdefault(key, value)
    return path, query


def is_true(query: Query, key: str) -> bool:
    """Whether a boolean query parameter is set; a bare `?watch` counts, as in the original."""
    value = query.get(key)
    return value is not None and value in _TRUE


def parse_request_info(method: str, path: str, query: Query) -> RequestInfo:
    """Read the request's attributes; any path has some, if only as a non-resource request."""
    parts = path.strip("/").split("/")
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return RequestInfo(verb=method.lower(), path=path)
    info = RequestInfo(verb=_VERBS.get(method, ""), path=path, api_prefix=parts[0])
    rest = parts[1:]
    if parts[0] == "apis":
        if len(rest) < 3:
            info.verb = method.lower()
            return info
        info.group = rest[0]
        rest = rest[1:]
    info.is_resource = True
    info.api_version = rest[0]
    rest = rest[1:]
    if rest[0] == "watch" and len(rest) > 1:
        info.verb = "watch"
        rest = rest[1:]
    _read_resource(info, rest, query)
    return info


def _read_resource(info: RequestInfo, parts: list[str], query: Query) -> None:
    if parts[0] == "namespaces" and len(parts) > 1:
        info.namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    info.resource = parts[0]
    if len(parts) >= 2:
        info.name = parts[1]
    if len(parts) >= 3 and info.verb != "watch":
        info.subresource = parts[2]
        info.rest = tuple(parts[3:])
    if info.verb == "get" and not info.name:
        info.verb = "watch" if is_true(query, "watch") else "list"
    elif info.verb == "delete" and not info.name:
        info.verb = "deletecollection"
