"""Whose write it is, and which fields it can own: between a request and `patch.managed_fields`."""

from dataclasses import dataclass

from apiserver.api.scheme import Resource
from apiserver.api.times import render_time
from apiserver.api.types import fields_of
from apiserver.endpoints.api import Api
from apiserver.http.context import RequestContext
from apiserver.patch.managed_fields import Author, Scope, manager_of, track
from apiserver.patch.managed_fields_sets import FieldSet
from apiserver.registry import strategy_for
from apiserver.store.objects import JsonObject

SERVER = "kube-apiserver"
"""The manager of what the API server writes of its own accord."""

_STATUS: FieldSet = {"f:status": {}}


@dataclass(frozen=True, slots=True)
class Ownership:
    """One write: what can be owned by it, and who is to own it."""

    scope: Scope
    author: Author

    def track(self, new: JsonObject, old: JsonObject | None) -> None:
        """Set the `managedFields` of what takes the place of `old`, or is created."""
        track(self.scope, new, old, self.author)


def ownership(api: Api, resource: Resource, subresource: str, manager: str) -> Ownership:
    """A write of `manager` to objects of `resource`, now."""
    return Ownership(_scope(resource, subresource), Author(manager, render_time(api.now())))


def ownership_of(api: Api, ctx: RequestContext, resource: Resource, subresource: str) -> Ownership:
    """The write that a request asks for."""
    return ownership(api, resource, subresource, request_manager(ctx))


def request_manager(ctx: RequestContext) -> str:
    """The name under which a request's client owns fields."""
    return manager_of(ctx.query.get("fieldManager", ""), ctx.http.headers.get("User-Agent", ""))


def _scope(resource: Resource, subresource: str) -> Scope:
    ignored: FieldSet = {}
    if subresource in ("status", "approval"):
        ignored = {
            "f:" + name: {}
            for name in fields_of(resource.type_name)
            if name not in ("apiVersion", "kind", "metadata", "status")
        }
        ignored["f:metadata"] = {"f:finalizers": {}, "f:ownerReferences": {}}
    elif not subresource and strategy_for(resource).has_status:
        ignored = _STATUS
    return Scope(resource.type_name, resource.api_version, subresource, ignored)
