"""Operations of resources as OpenAPI sees them: paths, actions, parameters, bodies, answers. PURE.

One description serves both versions of OpenAPI; `openapi_documents` writes it out for each. Source:
the OpenAPI documents of Kubernetes v1.36. The deprecated /watch/ paths are left out: they are not
served.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from apiserver.api.scheme import Resource, Subresource


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter; `place` is `query` or `path`, `type_name` a JSON type."""

    name: str
    type_name: str = "string"
    place: str = "query"


_PRETTY: Final = Parameter("pretty")
_DRY_RUN: Final = Parameter("dryRun")
_FIELD_MANAGER: Final = Parameter("fieldManager")
_FIELD_VALIDATION: Final = Parameter("fieldValidation")
NAME: Final = Parameter("name", place="path")
NAMESPACE: Final = Parameter("namespace", place="path")

LIST: Final = (
    Parameter("allowWatchBookmarks", "boolean"),
    Parameter("continue"),
    Parameter("fieldSelector"),
    Parameter("labelSelector"),
    Parameter("limit", "integer"),
    Parameter("resourceVersion"),
    Parameter("resourceVersionMatch"),
    Parameter("sendInitialEvents", "boolean"),
    Parameter("timeoutSeconds", "integer"),
    Parameter("watch", "boolean"),
)
WRITE: Final = (_DRY_RUN, _FIELD_MANAGER, _FIELD_VALIDATION)
DELETE: Final = (
    _DRY_RUN,
    Parameter("gracePeriodSeconds", "integer"),
    Parameter("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"),
    Parameter("orphanDependents", "boolean"),
    Parameter("propagationPolicy"),
)
DELETE_COLLECTION: Final = DELETE + tuple(
    parameter for parameter in LIST if parameter.name not in {"allowWatchBookmarks", "watch"}
)
PARAMETERS: Final[dict[str, tuple[Parameter, ...]]] = {
    "create": WRITE,
    "delete": DELETE,
    "deletecollection": DELETE_COLLECTION,
    "get": (),
    "list": LIST,
    "patch": (*WRITE, Parameter("force", "boolean")),
    "update": WRITE,
}
"""Query parameters by verb; `pretty` belongs to every path."""

METHODS: Final = {
    "create": "post",
    "delete": "delete",
    "deletecollection": "delete",
    "get": "get",
    "list": "get",
    "patch": "patch",
    "update": "put",
}
ACTIONS: Final = {"create": "post", "update": "put"}
"""How `x-kubernetes-action` names a verb, where it does so differently."""

_ID_VERBS: Final = {
    "create": "create",
    "delete": "delete",
    "deletecollection": "delete",
    "get": "read",
    "list": "list",
    "patch": "patch",
    "update": "replace",
}

STATUS_CODES: Final = {
    "create": (200, 201, 202),
    "delete": (200, 202),
    "deletecollection": (200,),
    "get": (200,),
    "list": (200,),
    "patch": (200, 201),
    "update": (200, 201),
}
PATCH_TYPES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
OPTIONS_TYPE: Final = "meta_v1.DeleteOptions"
STATUS_TYPE: Final = "meta_v1.Status"


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb at one path. `body_type` and `answer_type` are names of the type tables, or ""."""

    verb: str
    operation_id: str
    tag: str
    kind: str
    gvk: tuple[str, str, str]
    body_type: str
    answer_type: str


@dataclass(frozen=True, slots=True)
class Path:
    """One path with its operations; `parameters` holds for each of them."""

    path: str
    parameters: tuple[Parameter, ...]
    operations: tuple[Operation, ...]


def root_of(resource: Resource) -> str:
    """`/api/v1` or `/apis/<group>/<version>`."""
    return f"/apis/{resource.api_version}" if resource.group else "/api/v1"


def group_words(group: str) -> str:
    """How operation ids name a group: `RbacAuthorization` for `rbac.authorization.k8s.io`."""
    words = group.removesuffix(".k8s.io").split(".") if group else ["core"]
    return "".join(word[:1].upper() + word[1:] for word in words)


def tag_of(group: str, version: str) -> str:
    """`rbacAuthorization_v1`: what groups the operations of a group version."""
    words = group_words(group)
    return f"{words[0].lower()}{words[1:]}_{version}"


def paths_of(resource: Resource) -> Iterator[Path]:
    """Every path of a resource and its subresources, with what may be asked there."""
    root = root_of(resource)
    spot = f"/{resource.plural}"
    scope: tuple[Parameter, ...] = ()
    if resource.namespaced:
        spot = f"/namespaces/{{namespace}}/{resource.plural}"
        scope = (NAMESPACE,)
        if "list" in resource.verbs:
            everywhere = _operation(resource, "list", scoped=False)
            yield Path(f"{root}/{resource.plural}", (_PRETTY,), (everywhere,))
    collection = _operations(resource, ("list", "create", "deletecollection"))
    if collection:
        yield Path(root + spot, (*scope, _PRETTY), collection)
    item = _operations(resource, ("get", "update", "patch", "delete"))
    if item:
        yield Path(f"{root}{spot}/{{name}}", (NAME, *scope, _PRETTY), item)
    for sub in resource.subresources:
        operations = tuple(
            _sub_operation(resource, sub, verb) for verb in sub.verbs if verb in METHODS
        )
        if operations:
            path = f"{root}{spot}/{{name}}/{sub.name}"
            yield Path(path, (NAME, *scope, _PRETTY), operations)


def _operations(resource: Resource, verbs: tuple[str, ...]) -> tuple[Operation, ...]:
    return tuple(_operation(resource, verb) for verb in verbs if verb in resource.verbs)


def _operation(resource: Resource, verb: str, *, scoped: bool = True) -> Operation:
    words = "Collection" if verb == "deletecollection" else ""
    words += "Namespaced" if resource.namespaced and scoped else ""
    words += resource.kind + ("" if scoped else "ForAllNamespaces")
    body = resource.type_name if verb in ("create", "update") else ""
    answer = resource.type_name
    if verb in ("delete", "deletecollection"):
        body, answer = OPTIONS_TYPE, STATUS_TYPE
    elif verb == "list":
        answer = f"{resource.type_name}List"
    return Operation(
        verb=verb,
        operation_id=_id(resource, verb, words),
        tag=tag_of(resource.group, resource.version),
        kind=resource.kind,
        gvk=(resource.group, resource.version, resource.kind),
        body_type=body,
        answer_type=answer,
    )


def _sub_operation(resource: Resource, sub: Subresource, verb: str) -> Operation:
    words = "Namespaced" if resource.namespaced else ""
    words += resource.kind + sub.name[0].upper() + sub.name[1:]
    return Operation(
        verb=verb,
        operation_id=_id(resource, verb, words),
        tag=tag_of(resource.group, resource.version),
        kind=f"{sub.name} of {resource.kind}",
        gvk=(sub.group, sub.version, sub.kind),
        body_type=sub.type_name if verb in ("create", "update") else "",
        answer_type=sub.type_name,
    )


def _id(resource: Resource, verb: str, words: str) -> str:
    version = resource.version[:1].upper() + resource.version[1:]
    return f"{_ID_VERBS[verb]}{group_words(resource.group)}{version}{words}"
