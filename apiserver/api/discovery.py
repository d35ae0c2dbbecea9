"""Discovery: which groups, versions and resources this server serves, in every form clients ask.

Documents for /api, /apis, /apis/<group>, /apis/<group>/<version>, and the aggregated ones (v2 and
v2beta1) of /api and /apis. Source: Kubernetes API reference (API discovery).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson

from apiserver.api.scheme import SCHEME, Resource, Subresource

Json = dict[str, Any]

GROUP_ORDER = (
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
)
"""The order in which kube-apiserver lists groups (their priority); unknown ones follow by name."""

VERSION_ORDER = {"v2": 0, "v1": 1}
"""Preferred versions first."""

AGGREGATED_VERSIONS = ("v2", "v2beta1")


def _resources(resources: Iterable[Resource] | None) -> list[Resource]:
    return list(SCHEME if resources is None else resources)


def _groups(resources: list[Resource]) -> dict[str, list[str]]:
    """Versions by group, both in their order; the core group is ""."""
    found: dict[str, set[str]] = {}
    for resource in resources:
        found.setdefault(resource.group, set()).add(resource.version)
    rank = {group: place for place, group in enumerate(GROUP_ORDER)}
    ordered = sorted(found, key=lambda group: (rank.get(group, len(rank)), group))
    return {
        group: sorted(found[group], key=lambda version: (VERSION_ORDER.get(version, 9), version))
        for group in ordered
    }


def api_versions(server_address: str) -> Json:
    """The document at /api. `server_address` is `host:port` as clients reach it."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [
            {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}
        ],
    }


def api_group_list(resources: Iterable[Resource] | None = None) -> Json:
    """The document at /apis: every named group."""
    groups = _groups(_resources(resources))
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(name, versions) for name, versions in groups.items() if name],
    }


def api_group(group: str, resources: Iterable[Resource] | None = None) -> Json | None:
    """The document at /apis/<group>, or None if the group is not served."""
    versions = _groups(_resources(resources)).get(group)
    if not group or versions is None:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions)}


def _group(name: str, versions: list[str]) -> Json:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def api_resource_list(
    group: str, version: str, resources: Iterable[Resource] | None = None
) -> Json | None:
    """The document at /api/v1 or /apis/<group>/<version>, or None if it is not served."""
    served = [r for r in _resources(resources) if (r.group, r.version) == (group, version)]
    if not served:
        return None
    return {
        "kind": "APIResourceList",
        **({"apiVersion": "v1"} if group else {}),
        "groupVersion": served[0].api_version,
        "resources": [
            entry
            for resource in sorted(served, key=lambda r: r.plural)
            for entry in (_resource_entry(resource), *_subresource_entries(resource))
        ],
    }


def _resource_entry(resource: Resource) -> Json:
    entry: Json = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    entry["storageVersionHash"] = resource.storage_version_hash
    return entry


def _subresource_entries(resource: Resource) -> Iterable[Json]:
    for sub in resource.subresources:
        entry: Json = {
            "name": f"{resource.plural}/{sub.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
        }
        if (sub.group, sub.version) != (resource.group, resource.version):
            entry["group"] = sub.group
            entry["version"] = sub.version
        yield {**entry, "kind": sub.kind, "verbs": list(sub.verbs)}


def aggregated(
    *, core: bool, aggregated_version: str = "v2", resources: Iterable[Resource] | None = None
) -> Json:
    """`APIGroupDiscoveryList`: everything below /api (`core`) or /apis in one document.

    `aggregated_version` is one of AGGREGATED_VERSIONS.
    """
    assert aggregated_version in AGGREGATED_VERSIONS, aggregated_version
    served = _resources(resources)
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{aggregated_version}",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [_aggregated_version(served, group, version) for version in versions],
            }
            for group, versions in _groups(served).items()
            if (group == "") is core
        ],
    }


def _aggregated_version(served: list[Resource], group: str, version: str) -> Json:
    entries = sorted(
        (r for r in served if (r.group, r.version) == (group, version)), key=lambda r: r.plural
    )
    return {
        "version": version,
        "resources": [_aggregated_resource(resource) for resource in entries],
        "freshness": "Current",
    }


def _aggregated_resource(resource: Resource) -> Json:
    entry: Json = {
        "resource": resource.plural,
        "responseKind": _response_kind(resource),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {"subresource": sub.name, "responseKind": _response_kind(sub), "verbs": list(sub.verbs)}
            for sub in resource.subresources
        ]
    return entry


def _response_kind(of: Resource | Subresource) -> Json:
    return {"group": of.group, "version": of.version, "kind": of.kind}


def etag(document: Json) -> str:
    """The quoted ETag of a discovery document: the SHA-512 of its content, in hex."""
    return '"' + hashlib.sha512(orjson.dumps(document)).hexdigest().upper() + '"'


@lru_cache(maxsize=8)
def builtin_aggregated(*, core: bool, aggregated_version: str = "v2") -> tuple[bytes, str]:
    """The aggregated document of the built-in resources as JSON, and its ETag."""
    document = aggregated(core=core, aggregated_version=aggregated_version)
    return orjson.dumps(document), etag(document)
