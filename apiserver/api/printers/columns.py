"""Columns, printers, and the cells that many kinds share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apiserver.api import durations

Json = dict[str, Any]
Cells = Callable[[Json, datetime], list[Any]]

NONE = "<none>"
UNSET = "<unset>"

NAME_DESCRIPTION = (
    "Name must be unique within a namespace. Is required when creating resources, although some "
    "resources may allow a client to request the generation of an appropriate name automatically. "
    "Name is primarily intended for creation idempotence and configuration definition. Cannot be "
    "updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
CREATED_DESCRIPTION = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. "
    "It is not guaranteed to be set in happens-before order across separate operations. Clients "
    "may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the "
    "system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column; a `priority` above 0 shows only with `-o wide`."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0

    def to_dict(self) -> Json:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


@dataclass(frozen=True, slots=True)
class Printer:
    """How one kind becomes a row. `cells(obj, now)` gives a JSON value for each column."""

    columns: tuple[Column, ...]
    cells: Cells
    conditions: Callable[[Json], list[Json]] | None = None


NAME = Column("Name", format="name", description=NAME_DESCRIPTION)
AGE = Column("Age", description=CREATED_DESCRIPTION)


def text(name: str, description: str = "") -> Column:
    """A column of text."""
    return Column(name, description=description)


def integer(name: str, description: str = "") -> Column:
    """A column of integers."""
    return Column(name, type="integer", description=description)


def boolean(name: str, description: str = "") -> Column:
    """A column of booleans."""
    return Column(name, type="boolean", description=description)


def wide(name: str, description: str = "") -> Column:
    """A column of text that only `-o wide` shows."""
    return Column(name, description=description, priority=1)


WIDE_CONTAINERS = (
    wide("Containers", "Names of each container in the template."),
    wide("Images", "Images referenced by each container in the template."),
)
WIDE_SELECTOR = wide("Selector", "Label selector for the objects that it manages.")


def name_of(obj: Json) -> str:
    name: str = obj["metadata"].get("name", "")
    return name


def age_of(obj: Json, now: datetime) -> str:
    return durations.age(obj["metadata"].get("creationTimestamp"), now)


def dig(obj: Json, *path: str, default: Any = None) -> Any:
    """A nested field, or the default if any step of the path is missing."""
    value: Any = obj
    for key in path:
        if not isinstance(value, dict) or value.get(key) is None:
            return default
        value = value[key]
    return value


def containers_and_images(pod_spec: Json) -> list[str]:
    """The cells of WIDE_CONTAINERS."""
    containers = pod_spec.get("containers") or []
    names = ",".join(container.get("name", "") for container in containers)
    return [names, ",".join(container.get("image", "") for container in containers)]


def labels_text(labels: Json | None) -> str:
    """A map of labels as `a=b,c=d`, sorted."""
    pairs = (f"{key}={value}" for key, value in sorted((labels or {}).items()))
    return ",".join(pairs) or NONE


_OPERATORS = {"In": "in", "NotIn": "notin"}


def selector_text(selector: Json | None) -> str:
    """A LabelSelector as kubectl writes it: `a=b,c in (d,e),!f`, sorted by key."""
    if not selector:
        return NONE
    terms = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        key, operator = expression.get("key", ""), expression.get("operator", "")
        if operator in _OPERATORS:
            values = ",".join(sorted(expression.get("values") or []))
            terms.append((key, f"{key} {_OPERATORS[operator]} ({values})"))
        else:
            terms.append((key, key if operator == "Exists" else f"!{key}"))
    return ",".join(term for _, term in sorted(terms, key=lambda term: term[0]))


def some(items: Iterable[str], items_max: int = 3) -> str:
    """The first few items, and how many more there are."""
    listed = list(items)
    shown = ",".join(listed[:items_max])
    more = len(listed) - items_max
    return f"{shown} + {more} more..." if more > 0 else shown


def or_none(value: Any) -> str:
    return str(value) if value else NONE


def count(items: Any) -> int:
    return len(items or ())


def _default_cells(obj: Json, now: datetime) -> list[Any]:
    return [name_of(obj), obj["metadata"].get("creationTimestamp", "")]


DEFAULT = Printer(
    (NAME, Column("Created At", type="date", description=CREATED_DESCRIPTION)), _default_cells
)
"""For kinds without a printer of their own."""


def simple(columns: tuple[Column, ...], middle: Callable[[Json], list[Any]]) -> Printer:
    """A printer of Name, the given columns, and Age."""

    def cells(obj: Json, now: datetime) -> list[Any]:
        return [name_of(obj), *middle(obj), age_of(obj, now)]

    return Printer((NAME, *columns, AGE), cells)
