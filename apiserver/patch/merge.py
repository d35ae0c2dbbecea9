"""JSON Merge Patch (RFC 7386)."""

from __future__ import annotations

from typing import Any

from apiserver.api.json_values import clone


def apply_merge_patch(document: Any, patch: Any) -> Any:
    """The document with `patch` merged in: null removes, objects merge, all else replaces.

    Neither argument is changed, and the result shares nothing with them.
    """
    return _merge(clone(document), patch)


def _merge(document: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return clone(patch)
    merged = document if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
