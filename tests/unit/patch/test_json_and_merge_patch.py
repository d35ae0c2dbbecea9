"""JSON patch (RFC 6902, with the examples of its appendix) and JSON merge patch (RFC 7386)."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.patch.errors import PatchConflictError, PatchError, PatchTooLargeError
from apiserver.patch.json_patch import OPERATIONS_MAX, apply_json_patch
from apiserver.patch.merge import apply_merge_patch


@pytest.mark.parametrize(
    ("document", "operations", "expected"),
    [
        ({"foo": "bar"}, [("add", "/baz", "qux")], {"foo": "bar", "baz": "qux"}),
        ({"foo": ["bar", "baz"]}, [("add", "/foo/1", "qux")], {"foo": ["bar", "qux", "baz"]}),
        ({"foo": ["bar"]}, [("add", "/foo/-", ["abc"])], {"foo": ["bar", ["abc"]]}),
        ({"baz": "qux", "foo": "bar"}, [("remove", "/baz")], {"foo": "bar"}),
        ({"foo": ["a", "b", "c"]}, [("remove", "/foo/1")], {"foo": ["a", "c"]}),
        ({"foo": ["a", "b", "c"]}, [("remove", "/foo/-1")], {"foo": ["a", "b"]}),
        ({"baz": "qux"}, [("replace", "/baz", "boo")], {"baz": "boo"}),
        ({"a": {"b": 1}, "c": {}}, [("move", "/c/d", "/a/b")], {"a": {}, "c": {"d": 1}}),
        ({"foo": [1, 2, 3]}, [("move", "/foo/2", "/foo/0")], {"foo": [2, 3, 1]}),
        ({"a": {"b": 1}}, [("copy", "/c", "/a")], {"a": {"b": 1}, "c": {"b": 1}}),
        ({"baz": "qux"}, [("test", "/baz", "qux")], {"baz": "qux"}),
        ({"/": 9, "~1": 10}, [("test", "/~01", 10)], {"/": 9, "~1": 10}),
        ({"foo": None}, [("test", "/bar", None)], {"foo": None}),
        ({"a": 1}, [("replace", "", {"b": 2})], {"b": 2}),
    ],
)
def test_operations(document: Any, operations: list[tuple[Any, ...]], expected: Any) -> None:
    patch = []
    for name, path, *rest in operations:
        member = "from" if name in ("move", "copy") else "value"
        patch.append({"op": name, "path": path, **({member: rest[0]} if rest else {})})
    assert apply_json_patch(document, patch) == expected


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        ({"op": "test", "path": "/a", "value": "2"}, "testing value /a failed: test failed"),
        ({"op": "test", "path": "/a", "value": True}, "testing value /a failed"),
        ({"op": "remove", "path": "/b"}, "Unable to remove nonexistent key: b: missing value"),
        ({"op": "replace", "path": "/b", "value": 1}, "doc is missing key: /b: missing value"),
        ({"op": "add", "path": "/b/c", "value": 1}, 'doc is missing path: "/b/c"'),
        ({"op": "add", "path": "/list/3", "value": 1}, "invalid index referenced"),
        ({"op": "add", "path": "/list/01", "value": 1}, "invalid syntax"),
        ({"op": "burn", "path": "/a"}, "Unexpected kind: burn"),
        ({"op": "move", "path": "/m/n", "from": "/m"}, "/m/n lies in /m"),
    ],
)
def test_what_does_not_apply(operation: dict[str, Any], text: str) -> None:
    document = {"a": 1, "list": [1], "m": {}}
    with pytest.raises(PatchConflictError, match=text):
        apply_json_patch(document, [operation])
    assert document == {"a": 1, "list": [1], "m": {}}


@pytest.mark.parametrize(
    "patch", [{}, "x", [1], [{"op": "add", "path": "/a"}], [{"op": "add", "value": 1}]]
)
def test_what_is_no_patch(patch: Any) -> None:
    with pytest.raises(PatchError):
        apply_json_patch({}, patch)


def test_limits_on_operations_and_on_copies() -> None:
    add = {"op": "add", "path": "/a", "value": 1}
    assert apply_json_patch({}, [add] * OPERATIONS_MAX) == {"a": 1}
    with pytest.raises(PatchTooLargeError, match="maximum operations in a JSON patch is 10000"):
        apply_json_patch({}, [add] * (OPERATIONS_MAX + 1))
    doubling = [{"op": "copy", "path": "/a/-", "from": "/a"}] * 40
    with pytest.raises(PatchTooLargeError, match="accumulated size increase of copy"):
        apply_json_patch({"a": ["x" * 100]}, doubling)


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_as_the_rfc_shows(document: Any, patch: Any, expected: Any) -> None:
    assert apply_merge_patch(document, patch) == expected


def test_merge_patch_leaves_its_arguments_alone() -> None:
    document: dict[str, Any] = {"a": {"b": {}}}
    patched = apply_merge_patch(document, {"a": {"c": 1}})
    patched["a"]["b"]["d"] = 1
    assert document == {"a": {"b": {}}}
