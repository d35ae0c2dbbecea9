"""What the OpenAPI documents say of types, operations and parameters, against the API reference."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from apiserver.api import types
from apiserver.api.openapi_documents import served_paths, v2_steps, v3_document
from apiserver.api.openapi_tables import (
    ATOMIC_MAPS,
    ATOMIC_STRUCTS,
    DEFAULTS,
    FREE_FORM,
    list_keys,
    published_name,
)
from apiserver.api.scheme import SCHEME

Json = dict[str, Any]
RESOURCES = list(SCHEME)
APPS = "io.k8s.api.apps.v1"
CORE = "io.k8s.api.core.v1"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"


@cache
def v2() -> Json:
    *slices, document = v2_steps(RESOURCES, "v1.36.0")
    assert slices
    assert set(slices) == {None}
    assert document is not None
    return document


@cache
def v3(path: str) -> Json:
    return v3_document(path, RESOURCES, "v1.36.0")


def schema(path: str, name: str) -> Json:
    found = v3(path)["components"]["schemas"][name]
    assert isinstance(found, dict)
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, operation


@pytest.mark.parametrize(
    ("type_name", "name"),
    [
        ("apps_v1.Deployment", "io.k8s.api.apps.v1.Deployment"),
        ("meta_v1.ObjectMeta", "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"),
        ("autoscaling_v2.MetricSpec", "io.k8s.api.autoscaling.v2.MetricSpec"),
        (
            "apiextensions_v1.CustomResourceDefinition",
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        ),
        (
            "apiregistration_v1.APIService",
            "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
        ),
    ],
)
def test_types_have_their_published_names(type_name: str, name: str) -> None:
    assert published_name(type_name) == name


def test_every_served_group_version_has_a_document() -> None:
    paths = served_paths(RESOURCES)
    assert {"api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "version"} <= set(paths)
    assert {f"apis/{r.api_version}" for r in RESOURCES if r.group} <= set(paths)
    assert paths == sorted(paths)


@pytest.mark.parametrize("path", served_paths(RESOURCES))
def test_a_version_3_document_is_whole(path: str) -> None:
    document = v3(path)
    schemas = document["components"]["schemas"]
    prefix = "#/components/schemas/"
    assert {ref.removeprefix(prefix) for ref in references(document)} <= set(schemas)
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_the_version_2_document_is_whole() -> None:
    document = v2()
    known = {f"#/definitions/{name}" for name in document["definitions"]}
    known |= {f"#/parameters/{name}" for name in document["parameters"]}
    assert set(references(document)) == known
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert "default" not in repr(document["definitions"][f"{APPS}.DeploymentSpec"])


def test_version_2_holds_what_all_version_3_documents_hold() -> None:
    paths: set[str] = set()
    schemas: set[str] = set()
    for path in served_paths(RESOURCES):
        paths |= set(v3(path)["paths"])
        schemas |= set(v3(path)["components"]["schemas"])
    assert paths == set(v2()["paths"])
    assert schemas == set(v2()["definitions"])


def test_a_kind_says_its_group_and_version() -> None:
    deployment = schema("apis/apps/v1", f"{APPS}.Deployment")
    gvk = {"group": "apps", "kind": "Deployment", "version": "v1"}
    assert deployment["x-kubernetes-group-version-kind"] == [gvk]
    listed = schema("apis/apps/v1", f"{APPS}.DeploymentList")
    assert listed["x-kubernetes-group-version-kind"][0]["kind"] == "DeploymentList"
    assert "x-kubernetes-list-type" not in listed["properties"]["items"]
    assert "x-kubernetes-group-version-kind" not in schema("apis/apps/v1", f"{APPS}.DeploymentSpec")
    options = schema("apis/apps/v1", f"{META}.DeleteOptions")
    groups = {kind["group"] for kind in options["x-kubernetes-group-version-kind"]}
    assert {"", "apps", "batch"} <= groups


def test_fields_have_types_defaults_and_requirements() -> None:
    spec = schema("apis/apps/v1", f"{APPS}.DeploymentSpec")
    assert spec["required"] == ["selector", "template"]
    assert spec["properties"]["replicas"] == {"type": "integer", "format": "int32"}
    assert spec["properties"]["template"] == {
        "allOf": [{"$ref": f"#/components/schemas/{CORE}.PodTemplateSpec"}],
        "default": {},
    }
    assert spec["properties"]["strategy"] == {
        "allOf": [{"$ref": f"#/components/schemas/{APPS}.DeploymentStrategy"}],
        "x-kubernetes-patch-strategy": "retainKeys",
    }
    port = schema("api/v1", f"{CORE}.ContainerPort")["properties"]
    assert port["containerPort"] == {"type": "integer", "format": "int32", "default": 0}
    assert port["protocol"] == {"type": "string", "default": "TCP"}
    secret = schema("api/v1", f"{CORE}.Secret")["properties"]
    assert secret["data"] == {
        "type": "object",
        "additionalProperties": {"type": "string", "format": "byte"},
    }
    selector = schema("api/v1", f"{CORE}.ServiceSpec")["properties"]["selector"]
    assert selector["x-kubernetes-map-type"] == "atomic"
    assert schema("api/v1", f"{META}.LabelSelector")["x-kubernetes-map-type"] == "atomic"


def test_version_2_says_the_same_in_its_own_way() -> None:
    spec = v2()["definitions"][f"{APPS}.DeploymentSpec"]
    assert spec["properties"]["template"] == {"$ref": f"#/definitions/{CORE}.PodTemplateSpec"}
    assert spec["properties"]["strategy"] == {
        "$ref": f"#/definitions/{APPS}.DeploymentStrategy",
        "x-kubernetes-patch-strategy": "retainKeys",
    }


@pytest.mark.parametrize(
    ("name", "in_2", "in_3"),
    [
        (
            "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
            {"type": "string", "format": "int-or-string"},
            {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
        ),
        (
            "io.k8s.apimachinery.pkg.api.resource.Quantity",
            {"type": "string"},
            {"oneOf": [{"type": "string"}, {"type": "number"}]},
        ),
        (
            f"{META}.Time",
            {"type": "string", "format": "date-time"},
            {"type": "string", "format": "date-time"},
        ),
        (f"{META}.FieldsV1", {"type": "object"}, {"type": "object"}),
    ],
)
def test_types_that_are_no_structs(name: str, in_2: Json, in_3: Json) -> None:
    assert v2()["definitions"][name] == in_2
    assert schema("api/v1", name) == in_3


@pytest.mark.parametrize(
    ("type_name", "field", "expected"),
    [
        ("core_v1.PodSpec", "containers", ("name",)),
        ("core_v1.Container", "ports", ("containerPort", "protocol")),
        ("core_v1.Container", "args", None),
        ("core_v1.ServiceSpec", "ports", ("port", "protocol")),
        ("core_v1.PodStatus", "hostIPs", None),
        ("core_v1.PodStatus", "podIPs", ("ip",)),
        ("core_v1.NodeSpec", "podCIDRs", ()),
        ("meta_v1.ObjectMeta", "finalizers", ()),
        ("meta_v1.ObjectMeta", "ownerReferences", ("uid",)),
        ("meta_v1.ObjectMeta", "managedFields", None),
        ("certificates_v1.CertificateSigningRequestStatus", "conditions", ("type",)),
        ("batch_v1.JobStatus", "conditions", None),
        ("rbac_v1.Role", "rules", None),
    ],
)
def test_lists_merge_as_server_side_apply_merges(
    type_name: str, field: str, expected: tuple[str, ...] | None
) -> None:
    assert list_keys(type_name, field) == expected


def test_patch_and_list_marks_stand_beside_each_other() -> None:
    containers = schema("api/v1", f"{CORE}.PodSpec")["properties"]["containers"]
    assert containers["items"] == {
        "allOf": [{"$ref": f"#/components/schemas/{CORE}.Container"}],
        "default": {},
    }
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    assert containers["x-kubernetes-list-type"] == "map"
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-patch-strategy"] == "merge"
    volumes = schema("api/v1", f"{CORE}.PodSpec")["properties"]["volumes"]
    assert volumes["x-kubernetes-patch-strategy"] == "merge,retainKeys"


def test_tables_name_only_types_and_fields_that_exist() -> None:
    for type_name, field in (*FREE_FORM, *ATOMIC_MAPS):
        assert types.field_kind(type_name, field) is not None, (type_name, field)
    for type_name in ATOMIC_STRUCTS:
        assert types.fields_of(type_name)
    for type_name, fields in DEFAULTS.items():
        assert set(fields) <= set(types.fields_of(type_name)), type_name


def test_keys_of_keyed_lists_are_fields_of_their_members() -> None:
    for path in served_paths(RESOURCES):
        schemas = v3(path)["components"]["schemas"]
        for name, found in schemas.items():
            for field, value in found.get("properties", {}).items():
                keys = value.get("x-kubernetes-list-map-keys", [])
                for reference in references(value) if keys else ():
                    members = schemas[reference.rpartition("/")[2]]["properties"]
                    assert set(keys) <= set(members), (name, field)


def test_operations_take_what_the_server_takes() -> None:
    paths = v3("apis/apps/v1")["paths"]
    spot = "/apis/apps/v1/namespaces/{namespace}/deployments"
    assert set(paths[spot]) == {"get", "post", "delete", "parameters"}
    assert set(paths[f"{spot}/{{name}}"]) == {"get", "put", "patch", "delete", "parameters"}
    assert set(paths[f"{spot}/{{name}}/status"]) == {"get", "put", "patch", "parameters"}
    assert set(paths["/apis/apps/v1/deployments"]) == {"get", "parameters"}
    create = paths[spot]["post"]
    assert create["operationId"] == "createAppsV1NamespacedDeployment"
    assert create["x-kubernetes-action"] == "post"
    assert create["x-kubernetes-group-version-kind"]["kind"] == "Deployment"
    named = [parameter["name"] for parameter in create["parameters"]]
    assert named == ["dryRun", "fieldManager", "fieldValidation"]
    assert paths[spot]["delete"]["x-kubernetes-action"] == "deletecollection"
    listing = {parameter["name"] for parameter in paths[spot]["get"]["parameters"]}
    assert {"labelSelector", "fieldSelector", "limit", "sendInitialEvents", "watch"} <= listing
    patch = paths[f"{spot}/{{name}}"]["patch"]
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    shared = {parameter["name"] for parameter in paths[f"{spot}/{{name}}"]["parameters"]}
    assert shared == {"name", "namespace", "pretty"}


def test_operation_ids_follow_the_reference() -> None:
    ids = {operation["operationId"] for _, _, operation in operations(v2())}
    assert {
        "listCoreV1PodForAllNamespaces",
        "listCoreV1NamespacedPod",
        "readCoreV1Namespace",
        "replaceCoreV1NamespaceFinalize",
        "deleteAppsV1CollectionNamespacedDeployment",
        "patchAppsV1NamespacedDeploymentStatus",
        "createRbacAuthorizationV1ClusterRole",
        "getFlowcontrolApiserverV1APIResources",
        "getAppsAPIGroup",
        "getCoreV1APIResources",
        "getCodeVersion",
    } <= ids


def test_shared_parameters_are_named_as_kubectl_looks_for_them() -> None:
    parameters = v2()["parameters"]
    (name,) = (name for name in parameters if name.startswith("fieldValidation-"))
    assert parameters[name] == {
        "name": "fieldValidation",
        "in": "query",
        "type": "string",
        "uniqueItems": True,
    }
    spot = v2()["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]
    assert {"$ref": f"#/parameters/{name}"} in spot["patch"]["parameters"]
