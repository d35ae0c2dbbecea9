"""How values of built-in types fall apart into fields that can be owned one by one.

A `Shape` says what a value's parts are called: the fields of a struct, the keys of a map, the items
of a list of type `map` or `set`; a leaf is owned whole. Built from the type tables when first
asked. Source: structured-merge-diff's schema, and the public API reference for list and map types.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any, Final

from apiserver.api import types
from apiserver.api.openapi_tables import ATOMIC_MAPS, ATOMIC_STRUCTS, DEFAULTS, list_keys

ABSENT: Final = object()
"""No value at all, which is not the same as null."""


class Shape:
    """A leaf: a scalar, or what is owned and replaced whole."""

    __slots__ = ("__dict__",)


class FieldsShape(Shape):
    """A struct, a map, or free-form JSON: parts are called by field name."""

    def child(self, name: str) -> Shape:
        """The shape of the field; a leaf where there is no such field."""
        raise NotImplementedError

    def declares(self, name: str) -> bool:
        """Whether the type itself names this field; keys of maps are not declared."""
        return False

    def accepts(self, name: str) -> bool:
        """Whether a value may have this field."""
        return True

    def implied(self, name: str) -> Any:
        """What a value without this field has all the same: `{}`, None, or ABSENT."""
        return ABSENT


class StructShape(FieldsShape):
    """A struct of the type tables."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    @cached_property
    def _kinds(self) -> types.Fields:
        return types.fields_of(self.type_name)

    @cached_property
    def _children(self) -> dict[str, Shape]:
        return {
            name: _shape(kind.lstrip("!"), (self.type_name, name))
            for name, kind in self._kinds.items()
        }

    def child(self, name: str) -> Shape:
        """The shape of the field; a leaf where there is no such field."""
        return self._children.get(name, LEAF)

    def declares(self, name: str) -> bool:
        """Whether the type has such a field."""
        return name in self._kinds

    def accepts(self, name: str) -> bool:
        """Whether the type has such a field."""
        return name in self._kinds

    def implied(self, name: str) -> Any:
        """`{}` for structs that are embedded by value; None for what is printed though empty."""
        kind = self._kinds.get(name, "")
        if kind.lstrip("!")[:1] == "@" and name in _BY_VALUE.get(self.type_name, _ROOT):
            return {}
        return None if kind[:1] == "!" else ABSENT


class MapShape(FieldsShape):
    """A map whose entries are owned one by one."""

    def __init__(self, item: Shape) -> None:
        self.item = item

    def child(self, name: str) -> Shape:
        """The shape of every value of the map."""
        return self.item


class FreeFormShape(FieldsShape):
    """JSON of any form: maps are owned by key, lists whole."""

    def child(self, name: str) -> Shape:
        """Free-form all the way down."""
        return self


class SetShape(Shape):
    """A list of scalars, each of which is owned."""


class KeyedShape(Shape):
    """A list of structs that are told apart, and owned, by `keys`."""

    def __init__(self, keys: tuple[str, ...], item: Shape, defaults: dict[str, Any]) -> None:
        self.keys = tuple(sorted(keys))
        self.item = item
        self.defaults = defaults


LEAF: Final = Shape()
_FREE_FORM: Final = FreeFormShape()

_ROOT: Final = frozenset({"metadata", "spec", "status"})
_TEMPLATE: Final = frozenset({"template"})

_BY_VALUE: Final[dict[str, frozenset[str]]] = {
    "admissionregistration_v1.WebhookClientConfig": frozenset(),
    "apiextensions_v1.CustomResourceDefinitionSpec": frozenset({"names"}),
    "apiextensions_v1.CustomResourceDefinitionStatus": frozenset({"acceptedNames"}),
    "apps_v1.DaemonSetSpec": frozenset({"template", "updateStrategy"}),
    "apps_v1.DeploymentSpec": frozenset({"template", "strategy"}),
    "apps_v1.ReplicaSetSpec": _TEMPLATE,
    "apps_v1.StatefulSetSpec": frozenset({"template", "updateStrategy"}),
    "autoscaling_v1.HorizontalPodAutoscalerSpec": frozenset({"scaleTargetRef"}),
    "autoscaling_v2.HorizontalPodAutoscalerSpec": frozenset({"scaleTargetRef"}),
    "batch_v1.CronJobSpec": frozenset({"jobTemplate"}),
    "batch_v1.JobSpec": _TEMPLATE,
    "core_v1.Event": frozenset({"metadata", "involvedObject", "source"}),
    "core_v1.NodeDaemonEndpoints": frozenset({"kubeletEndpoint"}),
    "core_v1.NodeStatus": frozenset({"daemonEndpoints", "nodeInfo"}),
    "core_v1.PersistentVolumeClaimSpec": frozenset({"resources"}),
    "core_v1.PodTemplate": frozenset({"metadata", "template"}),
    "core_v1.ReplicationControllerSpec": frozenset(),
    "core_v1.ServiceStatus": frozenset({"loadBalancer"}),
    "events_v1.Event": frozenset({"metadata", "deprecatedSource", "regarding"}),
    "flowcontrol_v1.FlowSchemaSpec": frozenset({"priorityLevelConfiguration"}),
    "networking_v1.IngressStatus": frozenset({"loadBalancer"}),
    "resource_v1.ResourceClaimSpec": frozenset({"devices"}),
    "resource_v1.ResourceSliceSpec": frozenset({"pool"}),
    "storage_v1.VolumeAttachmentSpec": frozenset({"source"}),
}
"""Fields, reachable from an object's root, that hold a struct by value, not by pointer: they are
there even in an empty object, so that nobody becomes owner of the bare struct. Types not listed
embed metadata, spec and status."""


@cache
def struct_shape(type_name: str) -> StructShape:
    """The shape of a type such as `apps_v1.Deployment`."""
    return StructShape(type_name)


def _shape(kind: str, at: tuple[str, str]) -> Shape:
    """The shape of a value of `kind`, in the field `at` of a type."""
    letter, rest = kind[0], kind[1:]
    if letter == "@":
        return LEAF if rest in ATOMIC_STRUCTS else struct_shape(rest)
    if letter == "{":
        return LEAF if at in ATOMIC_MAPS else MapShape(_shape(rest, ("", "")))
    if letter == "[":
        return _list_shape(rest, at)
    return _FREE_FORM if letter == "*" else LEAF


def _list_shape(item_kind: str, at: tuple[str, str]) -> Shape:
    keys = list_keys(*at) if at[0] else None
    if keys is None:
        return LEAF
    if not keys:
        return SetShape()
    item_type = item_kind.removeprefix("@")
    defaults = DEFAULTS.get(item_type, {})
    return KeyedShape(
        keys, struct_shape(item_type), {k: defaults[k] for k in keys if k in defaults}
    )
