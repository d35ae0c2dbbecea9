"""The OpenAPI documents of the served resources, version 2 whole and version 3 by path. PURE.

Nothing is kept here: who serves the documents keeps their encoded bytes. Version 3 is made in some
5 ms for the largest group; the builder of version 2 is a generator that yields None between slices
of such a size, then the document, so that the caller can give way meanwhile.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import orjson

from apiserver.api import openapi_operations as ops
from apiserver.api import openapi_tables as tables
from apiserver.api.openapi_operations import Operation, Parameter, Path
from apiserver.api.openapi_schemas import Schemas
from apiserver.api.scheme import Resource

Json = dict[str, Any]

_GVK: Final = "x-kubernetes-group-version-kind"
_JSON_YAML: Final = ("application/json", "application/yaml")
_REASONS: Final = {200: "OK", 201: "Created", 202: "Accepted", 401: "Unauthorized"}
_OF_EVERY_GROUP: Final = ("DeleteOptions", "WatchEvent")
_META_KINDS: Final = ("APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status")


def served_paths(resources: Iterable[Resource]) -> list[str]:
    """What /openapi/v3 lists: `api/v1`, `apis/apps`, `apis/apps/v1`, `version` and the like."""
    found = {"api", "apis", "version"}
    for resource in resources:
        found.add(ops.root_of(resource)[1:])
        if resource.group:
            found.add(f"apis/{resource.group}")
    return sorted(found)


def v3_document(path: str, resources: Sequence[Resource], release: str) -> Json:
    """The version 3 document of one of `served_paths`; `release` is the server's version."""
    schemas = Schemas(3)
    paths: Json = {}
    for described in _paths(path, resources):
        paths[described.path] = _path_item(described, schemas)
    made = schemas.all()
    schemas.mark_kinds(_kinds(resources))
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": release},
        "paths": paths,
        "components": {"schemas": made},
    }


def v2_steps(resources: Sequence[Resource], release: str) -> Iterator[Json | None]:
    """The version 2 document: all paths and definitions."""
    schemas = Schemas(2)
    paths: Json = {}
    for path in served_paths(resources):
        for described in _paths(path, resources):
            paths[described.path] = _path_item(described, schemas)
        yield None
    definitions = schemas.all()
    yield None
    schemas.mark_kinds(_kinds(resources))
    yield {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": release},
        "paths": paths,
        "definitions": definitions,
        "parameters": {shared_name(parameter): _parameter_v2(parameter) for parameter in _shared()},
    }


def _paths(path: str, resources: Sequence[Resource]) -> Iterator[Path]:
    """What is documented under one of `served_paths`."""
    url, operation = _document_operation(path)
    yield Path(url, (), (operation,))
    for resource in resources:
        if ops.root_of(resource)[1:] == path:
            yield from ops.paths_of(resource)


def _path_item(path: Path, schemas: Schemas) -> Json:
    write = _operation_v3 if schemas.openapi_version == 3 else _operation_v2
    item: Json = {ops.METHODS[o.verb]: write(o, schemas) for o in path.operations}
    if path.parameters:
        item["parameters"] = [_parameter(p, schemas.openapi_version) for p in path.parameters]
    return item


def _document_operation(path: str) -> tuple[str, Operation]:
    """The one operation of a discovery path, or of /version."""
    group, version = "", ""
    match path.split("/"):
        case ["version"]:
            kind, name = "", "getCodeVersion"
        case ["api"]:
            kind, name = "APIVersions", "getCoreAPIVersions"
        case ["apis"]:
            kind, name = "APIGroupList", "getAPIVersions"
        case ["apis", group]:
            kind, name = "APIGroup", f"get{ops.group_words(group)}APIGroup"
        case [*_, version]:
            group = path.removeprefix("apis/").rpartition("/")[0] if path != "api/v1" else ""
            words = ops.group_words(group) + version[:1].upper() + version[1:]
            kind, name = "APIResourceList", f"get{words}APIResources"
    operation = Operation(
        verb="get",
        operation_id=name,
        tag=ops.tag_of(group, version).rstrip("_") if kind else "version",
        kind=kind or "version of this server",
        gvk=("", "", ""),
        body_type="",
        answer_type=f"meta_v1.{kind}" if kind else "",
    )
    return f"/{path}/", operation


def _kinds(resources: Sequence[Resource]) -> Iterator[tuple[str, Json]]:
    """Which types are which kinds, as far as this server serves them."""
    versions = sorted({(resource.group, resource.version) for resource in resources})
    for name in _META_KINDS:
        yield f"meta_v1.{name}", _gvk(("", "v1", name))
    for group, version in versions:
        for name in _OF_EVERY_GROUP:
            yield f"meta_v1.{name}", _gvk((group, version, name))
    for resource in resources:
        gvk = (resource.group, resource.version, resource.kind)
        yield resource.type_name, _gvk(gvk)
        yield f"{resource.type_name}List", _gvk((gvk[0], gvk[1], resource.list_kind))
        for sub in resource.subresources:
            yield sub.type_name, _gvk((sub.group, sub.version, sub.kind))


def _gvk(gvk: tuple[str, str, str]) -> Json:
    return {"group": gvk[0], "kind": gvk[2], "version": gvk[1]}


def _common(operation: Operation) -> Json:
    action = {"deletecollection": "deleting all of", "list": "listing"}
    what = f"{action.get(operation.verb, operation.verb)} {operation.kind}"
    found: Json = {
        "description": what,
        "operationId": operation.operation_id,
        "tags": [operation.tag],
    }
    if operation.gvk[2]:
        found["x-kubernetes-action"] = ops.ACTIONS.get(operation.verb, operation.verb)
        found[_GVK] = _gvk(operation.gvk)
    return found


def _answer(operation: Operation, schemas: Schemas) -> Json:
    if operation.answer_type:
        return schemas.ref(operation.answer_type)
    return {"type": "object"}


def _codes(operation: Operation) -> tuple[int, ...]:
    return ops.STATUS_CODES[operation.verb]


def _operation_v3(operation: Operation, schemas: Schemas) -> Json:
    found = _common(operation)
    if operation.gvk[2]:
        found["parameters"] = [_parameter(p, 3) for p in ops.PARAMETERS[operation.verb]]
    if operation.verb == "patch":
        patch = {"schema": schemas.leaf(tables.PATCH)}
        found["requestBody"] = {
            "content": dict.fromkeys(ops.PATCH_TYPES, patch),
            "required": True,
        }
    elif operation.body_type:
        body: Json = {"content": {"*/*": {"schema": schemas.ref(operation.body_type)}}}
        if operation.verb in ("create", "update"):
            body["required"] = True
        found["requestBody"] = body
    answer = {"schema": _answer(operation, schemas)}
    content = dict.fromkeys(_JSON_YAML, answer)
    responses: Json = {
        str(code): {"description": _REASONS[code], "content": content} for code in _codes(operation)
    }
    found["responses"] = {**responses, "401": {"description": _REASONS[401]}}
    return found


def _operation_v2(operation: Operation, schemas: Schemas) -> Json:
    found = _common(operation)
    found["schemes"] = ["https"]
    found["produces"] = list(_JSON_YAML)
    parameters = []
    if operation.gvk[2]:
        patching = operation.verb == "patch"
        found["consumes"] = list(ops.PATCH_TYPES) if patching else ["*/*"]
        parameters = [_parameter(p, 2) for p in ops.PARAMETERS[operation.verb]]
        if patching or operation.body_type:
            schema = schemas.leaf(tables.PATCH) if patching else schemas.ref(operation.body_type)
            needed = {} if operation.verb.startswith("delete") else {"required": True}
            parameters.append({"name": "body", "in": "body", **needed, "schema": schema})
    if parameters:
        found["parameters"] = parameters
    answer = _answer(operation, schemas)
    responses: Json = {
        str(code): {"description": _REASONS[code], "schema": answer} for code in _codes(operation)
    }
    found["responses"] = {**responses, "401": {"description": _REASONS[401]}}
    return found


def _parameter(parameter: Parameter, openapi_version: int) -> Json:
    if openapi_version == 2:
        return {"$ref": f"#/parameters/{shared_name(parameter)}"}
    found: Json = {"name": parameter.name, "in": parameter.place}
    if parameter.place == "path":
        found["required"] = True
    return {**found, "schema": {"type": parameter.type_name, "uniqueItems": True}}


def _parameter_v2(parameter: Parameter) -> Json:
    found: Json = {"name": parameter.name, "in": parameter.place, "type": parameter.type_name}
    if parameter.place == "path":
        found["required"] = True
    return {**found, "uniqueItems": True}


def _shared() -> list[Parameter]:
    listed = {ops.NAME, ops.NAMESPACE, Parameter("pretty")}
    listed.update(parameter for verb in ops.PARAMETERS.values() for parameter in verb)
    return sorted(listed, key=lambda parameter: (parameter.name, parameter.place))


def shared_name(parameter: Parameter) -> str:
    """`fieldValidation-` and eight characters that stand for its content, as kubectl expects."""
    digest = hashlib.sha256(orjson.dumps(_parameter_v2(parameter))).digest()
    return f"{parameter.name}-{base64.urlsafe_b64encode(digest[:6]).decode()}"
