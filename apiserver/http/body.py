"""Request bodies: bounded reading, and decoding of JSON and YAML into plain objects.

Texts as in k8s.io/apiserver/pkg/endpoints/handlers. A body that lies about its size, is no UTF-8,
or nests without end is refused here, before anything else looks at it.
"""

import json
from typing import Any, Final

import orjson
import yaml
from aiohttp import web

from apiserver.api import errors
from apiserver.api.errors import ApiError
from apiserver.http.negotiate import JSON, YAML

BODY_BYTES_MAX: Final = 3 * 1024 * 1024

JsonObject = dict[str, Any]


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body, decompressed. Raises `ApiError` 413 above `BODY_BYTES_MAX`."""
    length = request.content_length
    if length is not None and length > BODY_BYTES_MAX:
        raise _too_large()
    content = request.content
    if content.at_eof():
        return b""
    chunks: list[bytes] = []
    size = 0
    while chunk := await content.readany():
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise _too_large()
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large() -> ApiError:
    return errors.request_entity_too_large(f"limit is {BODY_BYTES_MAX}")


def media_type(request: web.BaseRequest) -> str:
    """The bare media type of the body; JSON when the client names none, as the original."""
    raw = request.headers.get("Content-Type", "")
    return raw.partition(";")[0].strip().lower() or JSON


def unsupported_media_type() -> ApiError:
    """415: a form of body that we do not decode, protobuf among them."""
    return errors.unsupported_media_type((JSON, YAML))


def decode(body: bytes, content_type: str, *, strict: list[str] | None = None) -> JsonObject:
    """The object in a JSON or YAML body; the caller checks kind and fields.

    Duplicate keys are appended to `strict` when it is given. Raises `ApiError` 415 for another
    media type, 400 for what is not an object.
    """
    if content_type == JSON:
        decoded = _decode_json(body, strict)
    elif content_type == YAML:
        decoded = _decode_yaml(body)
    else:
        raise unsupported_media_type()
    if not isinstance(decoded, dict):
        raise errors.bad_request(
            "couldn't get version/kind; json parse error: json: cannot unmarshal "
            f"{_json_type(decoded)} into Go value of type struct "
            '{ APIVersion string "json:\\"apiVersion,omitempty\\""; '
            'Kind string "json:\\"kind,omitempty\\"" }'
        )
    return decoded


def _decode_json(body: bytes, strict: list[str] | None) -> Any:
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(
            f"couldn't get version/kind; json parse error: {error}"
        ) from error
    if strict is not None:
        strict.extend(duplicate_fields(body))
    return decoded


def duplicate_fields(body: bytes) -> list[str]:
    """`duplicate field "a.b"` for each repeated key of a valid JSON body, in order, once each."""
    found: dict[str, None] = {}

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        decoded: dict[str, Any] = {}
        for key, value in pairs:
            if key in decoded:
                repeated.append((decoded, key))
            decoded[key] = value
        return decoded

    repeated: list[tuple[dict[str, Any], str]] = []
    try:
        root = json.loads(body, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return []
    if repeated:
        paths: dict[int, str] = {}
        _walk_paths(root, "", paths)
        for owner, key in repeated:
            if id(owner) in paths:
                found[f'duplicate field "{paths[id(owner)]}{key}"'] = None
    return list(found)


def _walk_paths(value: Any, path: str, paths: dict[int, str]) -> None:
    pending = [(value, path)]
    while pending:
        current, prefix = pending.pop()
        if isinstance(current, dict):
            paths[id(current)] = prefix
            pending.extend((child, f"{prefix}{key}.") for key, child in current.items())
        elif isinstance(current, list):
            stem = prefix[:-1]
            pending.extend((child, f"{stem}[{i}].") for i, child in enumerate(current))


class _Loader(yaml.CSafeLoader):
    """YAML as JSON has it: string keys, each once, and no timestamps."""


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        if key in mapping:
            line = key_node.start_mark.line + 1
            raise yaml.YAMLError(f'line {line}: key "{key}" already set in map')
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
_Loader.add_constructor(
    "tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node)
)


def decode_yaml(body: bytes) -> Any:
    """The value of a single YAML document. Raises `ApiError` 400."""
    return _decode_yaml(body)


def _decode_yaml(body: bytes) -> Any:
    try:
        decoded = yaml.load(body, Loader=_Loader)  # noqa: S506 - derived from the safe loader
        _refuse_expansion(decoded, len(body))
        return decoded
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise errors.bad_request(f"error converting YAML to JSON: yaml: {error}") from error


def _refuse_expansion(decoded: Any, body_bytes: int) -> None:
    """Refuse aliases that make a small text name a huge value; an honest one has few per byte."""
    budget = body_bytes + 16
    pending = [decoded]
    while pending:
        current = pending.pop()
        budget -= 1
        if budget < 0:
            raise yaml.YAMLError("document contains excessive aliasing")
        if isinstance(current, dict):
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "array"
