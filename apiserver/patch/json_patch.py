"""JSON Patch (RFC 6902), with the texts of the library that kube-apiserver uses.

Beyond the RFC, as there: negative indices count from the end of a list, and `test` for null holds
where the path is missing.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from apiserver.api.json_values import clone, same
from apiserver.patch.errors import PatchConflictError, PatchError, PatchTooLargeError

OPERATIONS_MAX = 10_000
COPIED_BYTES_MAX = 3 * 1024 * 1024
"""What all `copy` operations of one patch may add together, in bytes of JSON."""

_INDEX = re.compile(r"-?(0|[1-9][0-9]*)\Z", re.ASCII)


def apply_json_patch(document: Any, patch: Any) -> Any:
    """The document that the operations of `patch` make of `document`, which stays as it is.

    Raises PatchError for a malformed patch, PatchTooLargeError beyond OPERATIONS_MAX or
    COPIED_BYTES_MAX, PatchConflictError where an operation does not apply or a test fails.
    """
    if not isinstance(patch, list):
        raise PatchError("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(patch) > OPERATIONS_MAX:
        raise PatchTooLargeError(
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(patch)}"
        )
    run = _Run(clone(document))
    for operation in patch:
        if not isinstance(operation, dict):
            raise PatchError(
                "json: cannot unmarshal value into Go value of type jsonpatch.Operation"
            )
        run.apply(operation)
    return run.document


class _Run:
    def __init__(self, document: Any) -> None:
        self.document = document
        self._copied_bytes = 0

    def apply(self, operation: dict[str, Any]) -> None:
        name = operation.get("op")
        path = _pointer(operation, "path")
        match name:
            case "add":
                self._add(path, _value(operation), "add")
            case "remove":
                self._remove(path, "remove")
            case "replace":
                self._replace(path, _value(operation))
            case "move":
                self._move(_pointer(operation, "from"), path)
            case "copy":
                self._copy(_pointer(operation, "from"), path)
            case "test":
                self._test(path, _value(operation))
            case _:
                raise PatchConflictError(f"Unexpected kind: {name}")

    def _parent(self, path: str, operation: str) -> tuple[Any, str]:
        """The container that `path` ends in, and the last token."""
        *way, last = _tokens(path)
        node = self.document
        for token in way:
            try:
                node = _get(node, token)
            except PatchConflictError:
                node = None
            if not isinstance(node, dict | list):
                raise PatchConflictError(
                    f'{operation} operation does not apply: doc is missing path: "{path}": '
                    "missing value"
                )
        return node, last

    def _add(self, path: str, value: Any, operation: str) -> None:
        if not path:
            self.document = value
            return
        parent, last = self._parent(path, operation)
        if isinstance(parent, dict):
            parent[last] = value
        elif last == "-":
            parent.append(value)
        else:
            parent.insert(_index(last, len(parent) + 1), value)

    def _remove(self, path: str, operation: str) -> Any:
        if not path:
            raise PatchConflictError(f"{operation} operation does not apply: path is empty")
        parent, last = self._parent(path, operation)
        if isinstance(parent, dict):
            if last not in parent:
                raise PatchConflictError(f"Unable to remove nonexistent key: {last}: missing value")
            return parent.pop(last)
        return parent.pop(_index(last, len(parent)))

    def _replace(self, path: str, value: Any) -> None:
        if not path:
            self.document = value
            return
        parent, last = self._parent(path, "replace")
        if isinstance(parent, dict):
            if last not in parent:
                raise PatchConflictError(
                    f"replace operation does not apply: doc is missing key: {path}: missing value"
                )
            parent[last] = value
        else:
            parent[_index(last, len(parent))] = value

    def _move(self, source: str, path: str) -> None:
        if path.startswith(source + "/"):
            raise PatchConflictError(f"move operation does not apply: {path} lies in {source}")
        self._add(path, self._remove(source, "move"), "move")

    def _copy(self, source: str, path: str) -> None:
        value = clone(self._value_at(source, "copy"))
        self._copied_bytes += len(orjson.dumps(value))
        if self._copied_bytes > COPIED_BYTES_MAX:
            raise PatchTooLargeError(
                "Unable to complete the copy, the accumulated size increase of copy is "
                f"{self._copied_bytes}, exceeding the limit {COPIED_BYTES_MAX}"
            )
        self._add(path, value, "copy")

    def _test(self, path: str, expected: Any) -> None:
        try:
            found = self._value_at(path, "test")
        except PatchConflictError:
            if expected is None:
                return
            raise
        if not same(found, expected):
            raise PatchConflictError(f"testing value {path} failed: test failed")

    def _value_at(self, path: str, operation: str) -> Any:
        if not path:
            return self.document
        parent, last = self._parent(path, operation)
        return _get(parent, last)


def _pointer(operation: dict[str, Any], member: str) -> str:
    pointer = operation.get(member)
    if not isinstance(pointer, str):
        raise PatchError(f"operation missing {member} field")
    if pointer and not pointer.startswith("/"):
        raise PatchConflictError(f'operation has an invalid {member}: "{pointer}"')
    return pointer


def _value(operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise PatchError("operation missing value field")
    return clone(operation["value"])


def _tokens(path: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in path[1:].split("/")]


def _get(container: Any, token: str) -> Any:
    if isinstance(container, dict):
        if token not in container:
            raise PatchConflictError(f"unable to get nonexistent key: {token}: missing value")
        return container[token]
    return container[_index(token, len(container))]


def _index(token: str, length: int) -> int:
    """A list index within `length` places; negative ones count from the end."""
    if not _INDEX.match(token):
        raise PatchConflictError(f'strconv.Atoi: parsing "{token}": invalid syntax')
    index = int(token)
    if not -length <= index < length:
        raise PatchConflictError(
            f"Unable to access invalid index: {token}: invalid index referenced"
        )
    return index if index >= 0 else index + length
