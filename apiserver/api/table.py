"""`Table`: objects as rows, so that `kubectl get` needs no knowledge of their kinds.

Source: Kubernetes API reference (meta.k8s.io/v1 Table). The current time is an argument, since
cells hold ages.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Any

from apiserver.api import errors
from apiserver.api.field_errors import invalid
from apiserver.api.metadata import partial_object_metadata
from apiserver.api.printers import printer_for
from apiserver.api.scheme import Resource

Json = dict[str, Any]


class IncludeObject(Enum):
    """The `includeObject` parameter: what of its object a row carries."""

    NONE = "None"
    METADATA = "Metadata"
    OBJECT = "Object"

    @classmethod
    def of(cls, text: str) -> IncludeObject:
        """The parameter's value; absent means Metadata. Raises ApiError 422."""
        if not text:
            return cls.METADATA
        try:
            return cls(text)
        except ValueError:
            finding = invalid(
                "includeObject", text, "must be 'Metadata', 'Object', 'None', or empty"
            )
            raise errors.invalid("meta.k8s.io", "TableOptions", "", [finding]) from None


def table(
    resource: Resource,
    objects: Iterable[Json],
    list_meta: Json,
    *,
    now: datetime,
    include_object: IncludeObject = IncludeObject.METADATA,
    with_columns: bool = True,
    version: str = "v1",
) -> Json:
    """A Table of `objects`. `list_meta` is the list's metadata (an object's own for a single one).

    Watches send columns with the first event only. `version` is that of meta.k8s.io.
    """
    printer = printer_for(resource.group, resource.kind)
    api_version = f"meta.k8s.io/{version}"
    rows = []
    for obj in objects:
        row: Json = {"cells": printer.cells(obj, now)}
        if printer.conditions is not None and (conditions := printer.conditions(obj)):
            row["conditions"] = conditions
        row["object"] = _row_object(obj, include_object, api_version)
        rows.append(row)
    columns = [column.to_dict() for column in printer.columns] if with_columns else None
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": _table_meta(list_meta),
        "columnDefinitions": columns,
        "rows": rows,
    }


def _row_object(obj: Json, include_object: IncludeObject, api_version: str) -> Json | None:
    if include_object is IncludeObject.METADATA:
        return partial_object_metadata(obj, api_version=api_version)
    return obj if include_object is IncludeObject.OBJECT else None


def _table_meta(meta: Json) -> Json:
    kept = ("resourceVersion", "continue", "remainingItemCount")
    return {name: meta[name] for name in kept if meta.get(name)}
