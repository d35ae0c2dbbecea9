"""YAML bodies as JSON documents. Imported only when a request brings YAML: PyYAML is slow to load.

Keys become strings, timestamps stay strings, and equal keys are reported in go-yaml's words.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from apiserver.api.documents import DocumentError


class _Loader(yaml.CSafeLoader):
    """Safe YAML without timestamps; collects equal keys."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self.duplicates: list[str] = []


_INTEGRAL_MAX = 1e21
"""From here on Go writes floats with an exponent."""

_TAG = "tag:yaml.org,2002:"
_REPLACED = {f"{_TAG}timestamp", f"{_TAG}int", f"{_TAG}float"}
_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
"""Numbers as go-yaml reads them: `1e3` is one, `12:30` (sexagesimal to YAML 1.1) is a string."""

_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+.0123456789"))


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    loader.flatten_mapping(node)
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _key(loader.construct_object(key_node, deep=True))
        if key in found:
            line = key_node.start_mark.line + 1
            loader.duplicates.append(f'  line {line}: key "{key}" already set in map')
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str | int | float):
        return str(key)
    kind = type(key).__name__
    raise DocumentError(f"error converting YAML to JSON: unsupported map key of type: {kind}")


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def load_yaml(body: bytes) -> tuple[Any, tuple[str, ...]]:
    """The document and the texts of its equal keys. Raises DocumentError."""
    loader = _Loader(body)
    try:
        value = loader.get_single_data()
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise DocumentError(f"error converting YAML to JSON: yaml: {text}") from None
    except DocumentError:
        raise
    except ValueError as error:
        raise DocumentError(f"error converting YAML to JSON: yaml: {error}") from None
    except RecursionError:
        raise DocumentError("error converting YAML to JSON: yaml: nested too deep") from None
    finally:
        loader.dispose()
    document = _Unfolding(nodes_max=len(body) + 1).unfold(value)
    if not loader.duplicates:
        return document, ()
    return document, ("yaml: unmarshal errors:\n" + "\n".join(loader.duplicates),)


def _number(value: float) -> int | float:
    """A float as Go writes it to JSON: `1e3` is 1000 there, and may be an integer field."""
    if not math.isfinite(value):
        raise DocumentError("error converting YAML to JSON: unsupported value: not a finite number")
    return int(value) if value.is_integer() and abs(value) < _INTEGRAL_MAX else value


class _Unfolding:
    """Copies what aliases share, within bounds: without aliases no body has more nodes than bytes.

    Lets pass only what JSON can say; a set, a date or bytes came from an explicit tag.
    """

    def __init__(self, nodes_max: int) -> None:
        self._nodes_left = nodes_max

    def unfold(self, value: Any) -> Any:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise DocumentError(
                "error converting YAML to JSON: yaml: document contains excessive aliasing"
            )
        if isinstance(value, dict):
            return {key: self.unfold(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.unfold(item) for item in value]
        if isinstance(value, float):
            return _number(value)
        if value is None or isinstance(value, str | int | bool):
            return value
        raise DocumentError(
            f"error converting YAML to JSON: unsupported value of type {type(value).__name__}"
        )
