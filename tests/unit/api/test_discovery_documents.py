"""Discovery documents in all their forms."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from apiserver.api import discovery
from apiserver.api.metadata import (
    SUFFIX_ALPHABET,
    generate_name,
    partial_object_metadata_list,
    stamp_new,
)
from apiserver.api.scheme import SCHEME


def test_api_names_the_core_version() -> None:
    document = discovery.api_versions("10.0.0.1:6443")
    assert document["versions"] == ["v1"]
    assert document["serverAddressByClientCIDRs"][0]["serverAddress"] == "10.0.0.1:6443"


def test_groups_prefer_their_newest_version() -> None:
    groups = {group["name"]: group for group in discovery.api_group_list()["groups"]}
    assert "" not in groups
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    versions = [version["version"] for version in groups["autoscaling"]["versions"]]
    assert versions == ["v2", "v1"]
    assert groups["autoscaling"]["preferredVersion"]["version"] == "v2"


def test_one_group_or_none() -> None:
    document = discovery.api_group("policy")
    assert document is not None
    assert document["kind"] == "APIGroup"
    assert document["name"] == "policy"
    assert discovery.api_group("nosuch.example") is None
    assert discovery.api_group("") is None


def test_resource_list_of_the_core_group() -> None:
    document = discovery.api_resource_list("", "v1")
    assert document is not None
    assert "apiVersion" not in document
    entries = {entry["name"]: entry for entry in document["resources"]}
    assert entries["pods"] == {
        "name": "pods",
        "singularName": "pod",
        "namespaced": True,
        "kind": "Pod",
        "verbs": [
            "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
        ],
        "shortNames": ["po"],
        "categories": ["all"],
        "storageVersionHash": "xPOwRZ+Yhw8=",
    }  # fmt: skip
    assert entries["pods/status"] == {
        "name": "pods/status",
        "singularName": "",
        "namespaced": True,
        "kind": "Pod",
        "verbs": ["get", "patch", "update"],
    }
    assert "deletecollection" not in entries["namespaces"]["verbs"]
    assert discovery.api_resource_list("apps", "v9") is None


def test_aggregated_documents_hold_every_resource_once() -> None:
    core = discovery.aggregated(core=True)
    named = discovery.aggregated(core=False, aggregated_version="v2beta1")
    assert core["apiVersion"] == "apidiscovery.k8s.io/v2"
    assert named["apiVersion"] == "apidiscovery.k8s.io/v2beta1"
    assert [item["metadata"] for item in core["items"]] == [{}]
    listed = [
        (item["metadata"].get("name", ""), version["version"], entry["resource"])
        for item in core["items"] + named["items"]
        for version in item["versions"]
        for entry in version["resources"]
    ]
    assert sorted(listed) == sorted((r.group, r.version, r.plural) for r in SCHEME)
    assert all(v["freshness"] == "Current" for item in named["items"] for v in item["versions"])


def test_aggregated_entry() -> None:
    (core,) = discovery.aggregated(core=True)["items"]
    entry = next(e for e in core["versions"][0]["resources"] if e["resource"] == "namespaces")
    assert entry["scope"] == "Cluster"
    assert entry["responseKind"] == {"group": "", "version": "v1", "kind": "Namespace"}
    assert [sub["subresource"] for sub in entry["subresources"]] == ["finalize", "status"]


def test_etags_follow_the_content() -> None:
    core, named = discovery.aggregated(core=True), discovery.aggregated(core=False)
    assert discovery.etag(core) == discovery.etag(discovery.aggregated(core=True))
    assert discovery.etag(core) != discovery.etag(named)
    assert discovery.builtin_aggregated(core=True)[1] == discovery.etag(core)


def test_generated_names() -> None:
    chance = random.Random(7)
    name = generate_name("web-", chance)
    assert name.startswith("web-")
    assert len(name) == len("web-") + 5
    assert set(name.removeprefix("web-")) <= set(SUFFIX_ALPHABET)
    assert len(generate_name("x" * 80, chance)) == 63


def test_stamps_and_partial_metadata() -> None:
    obj = {"metadata": {"name": "a", "resourceVersion": "5", "uid": "mine"}}
    stamp_new(obj, uid="u", now=datetime(2026, 1, 2, 3, 4, 5, 999, tzinfo=UTC))
    assert obj["metadata"] == {
        "name": "a",
        "uid": "u",
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    listed = partial_object_metadata_list([obj], {"resourceVersion": "9"})
    assert listed["kind"] == "PartialObjectMetadataList"
    assert listed["items"][0]["metadata"] == obj["metadata"]
