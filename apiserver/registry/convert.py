"""Between the version in which an object is stored and the version in which it is served.

PURE. Versions of one resource that share a schema differ in `apiVersion` only.
"""

from __future__ import annotations

from typing import Any

from apiserver.api.scheme import Resource

Json = dict[str, Any]


def from_storage(resource: Resource, obj: Json) -> Json:
    """The object as `resource`'s version shows it. Shares what it need not change with `obj`."""
    return {**obj, "apiVersion": resource.api_version}


def to_storage(resource: Resource, obj: Json) -> Json:
    """The object as it is stored. Shares what it need not change with `obj`."""
    return {**obj, "apiVersion": resource.storage_version}
