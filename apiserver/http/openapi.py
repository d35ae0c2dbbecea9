"""/openapi/v3: which operations each group version serves and which parameters they take.

kubectl asks this before every create and apply: a PATCH operation with `fieldValidation` for the
kind tells it that the server validates fields, so it need not (k8s.io/kubectl QueryParamVerifier).
The documents hold operations and their kinds, and no schemas yet.
"""

import hashlib
from typing import Any, Final

import orjson

from apiserver.api import errors
from apiserver.api.scheme import Resource, Scheme
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import JSON, negotiate
from apiserver.http.reply import Reply
from apiserver.http.version import GIT_VERSION

ROOT: Final = "/openapi/v3"
_GVK: Final = "x-kubernetes-group-version-kind"
_ACTION: Final = "x-kubernetes-action"
_WRITE_PARAMETERS: Final = ("dryRun", "fieldManager", "fieldValidation")
_PATCH_TYPES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)


class OpenApi:
    """Answers for /openapi/v3 and what is below it; each document is made when first asked for."""

    def __init__(self, scheme: Scheme) -> None:
        self._by_path: dict[str, list[Resource]] = {}
        for resource in scheme:
            path = f"apis/{resource.api_version}" if resource.group else "api/v1"
            self._by_path.setdefault(path, []).append(resource)
        self._documents: dict[str, tuple[bytes, str]] = {}

    def answer(self, ctx: RequestContext, path: str) -> Reply | None:
        """The answer for a path without trailing slash; None when it is not one of ours."""
        if path != ROOT and path.removeprefix(f"{ROOT}/") not in self._by_path:
            return None
        if negotiate(ctx.accept) is None:
            raise errors.not_acceptable((JSON,))
        body, digest = self._document(path)
        headers = f'ETag: "{digest}"\r\nVary: Accept\r\n'
        unchanged = ctx.http.headers.get("If-None-Match") == f'"{digest}"'
        reply = Reply(b"" if unchanged else body, status=304 if unchanged else 200, headers=headers)
        reply.audit_id = ctx.audit_id
        return reply

    def _document(self, path: str) -> tuple[bytes, str]:
        found = self._documents.get(path)
        if found is None:
            made = self._index() if path == ROOT else self._group_version(path)
            raw = orjson.dumps(made)
            found = self._documents[path] = (raw, hashlib.sha512(raw).hexdigest().upper())
        return found

    def _index(self) -> dict[str, Any]:
        return {
            "paths": {
                path: {
                    "serverRelativeURL": (
                        f"{ROOT}/{path}?hash={self._document(f'{ROOT}/{path}')[1]}"
                    )
                }
                for path in self._by_path
            }
        }

    def _group_version(self, path: str) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        below = path.removeprefix(f"{ROOT}/")
        for resource in self._by_path[below]:
            collection = f"/{below}/{resource.plural}"
            if resource.namespaced:
                collection = f"/{below}/namespaces/{{namespace}}/{resource.plural}"
            paths[collection] = _operations(resource, {"get": "list", "post": "create"})
            paths[f"{collection}/{{name}}"] = _operations(
                resource, {"get": "get", "put": "update", "patch": "patch", "delete": "delete"}
            )
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": GIT_VERSION},
            "paths": paths,
            "components": {"schemas": {}},
        }


def _operations(resource: Resource, methods: dict[str, str]) -> dict[str, Any]:
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    operations: dict[str, Any] = {}
    for method, verb in methods.items():
        if verb not in resource.verbs:
            continue
        action = {"create": "post", "update": "put"}.get(verb, verb)
        operation: dict[str, Any] = {_ACTION: action, _GVK: gvk, "responses": {}}
        if verb in ("create", "update", "patch"):
            operation["parameters"] = [
                {"name": name, "in": "query", "schema": {"type": "string"}}
                for name in _WRITE_PARAMETERS
            ]
        if verb == "patch":
            operation["requestBody"] = {"content": {name: {} for name in _PATCH_TYPES}}
        operations[method] = operation
    return operations
