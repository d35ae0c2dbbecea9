"""The version 2 document in gnostic's protobuf, which kubectl asks for. PURE.

Source: the public field numbers of openapiv2/OpenAPIv2.proto (github.com/google/gnostic-models).
Only what our documents hold is known; anything else is our mistake, and asserted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

Json = dict[str, Any]

_TEXT: Final = {
    "Document": {"swagger": 1},
    "Info": {"title": 1, "version": 2},
    "Operation": {"description": 3, "operationId": 5},
    "Response": {"description": 1},
    "Body": {"name": 2, "in": 3},
    "Query": {"in": 2, "name": 4, "type": 6},
    "Path": {"in": 2, "name": 4, "type": 5},
    "Schema": {"$ref": 1, "format": 2, "description": 4},
}
"""Field numbers of strings, by message and key."""

_TEXTS: Final = {
    "Operation": {"tags": 1, "produces": 6, "consumes": 7, "schemes": 10},
    "Schema": {"required": 19},
}
_FLAGS: Final = {
    "Body": {"required": 4},
    "Query": {"required": 1, "uniqueItems": 20},
    "Path": {"required": 1, "uniqueItems": 19},
}
_VENDOR_EXTENSIONS: Final = {"Operation": 13, "Schema": 31}
_METHODS: Final = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def encode_steps(document: Json) -> Iterator[bytes | None]:
    """The bytes of a version 2 document; yields None between slices of it, then the whole."""
    paths = []
    for path, item in document["paths"].items():
        paths.append(_message(2, _named(path, _path_item(item))))
        yield None
    definitions = []
    for place, (name, schema) in enumerate(document["definitions"].items()):
        definitions.append(_message(1, _named(name, _schema(schema))))
        if place % 32 == 0:
            yield None
    parameters = (
        _message(1, _named(name, _parameter(value)))
        for name, value in document["parameters"].items()
    )
    yield b"".join(
        (
            _plain("Document", document, {"info", "paths", "definitions", "parameters"}),
            _message(2, _plain("Info", document["info"])),
            _message(8, b"".join(paths)),
            _message(9, b"".join(definitions)),
            _message(10, b"".join(parameters)),
        )
    )


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _message(number: int, raw: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode())


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _message(2, value)


def _plain(message: str, obj: Json, others: Iterable[str] = ()) -> bytes:
    """What is a string, strings, a flag or an extension; `others` are left to the caller."""
    texts, lists = _TEXT.get(message, {}), _TEXTS.get(message, {})
    flags = _FLAGS.get(message, {})
    parts = []
    for key, value in obj.items():
        if key in texts:
            parts.append(_text(texts[key], value))
        elif key in lists:
            parts.extend(_text(lists[key], item) for item in value)
        elif key in flags:
            parts.append(_varint(flags[key] << 3) + (b"\1" if value else b"\0"))
        elif key.startswith("x-"):
            any_value = _message(2, orjson.dumps(value) + b"\n")
            parts.append(_message(_VENDOR_EXTENSIONS[message], _named(key, any_value)))
        else:
            assert key in others, f"{message} has no {key}"
    return b"".join(parts)


def _path_item(item: Json) -> bytes:
    parts: list[bytes] = []
    for key, value in item.items():
        if key == "parameters":
            parts.extend(_message(9, _parameters_item(parameter)) for parameter in value)
        else:
            parts.append(_message(_METHODS[key], _operation(value)))
    return b"".join(parts)


def _operation(operation: Json) -> bytes:
    parameters = (_message(8, _parameters_item(p)) for p in operation.get("parameters", ()))
    responses = (
        _message(1, _named(code, _message(1, _response(response))))
        for code, response in operation["responses"].items()
    )
    return b"".join(
        (
            _plain("Operation", operation, ("parameters", "responses")),
            *parameters,
            _message(9, b"".join(responses)),
        )
    )


def _response(response: Json) -> bytes:
    raw = _plain("Response", response, ("schema",))
    if "schema" in response:
        raw += _message(2, _message(1, _schema(response["schema"])))
    return raw


def _parameters_item(parameter: Json) -> bytes:
    if "$ref" in parameter:
        return _message(2, _text(1, parameter["$ref"]))
    return _message(1, _parameter(parameter))


def _parameter(parameter: Json) -> bytes:
    if parameter["in"] == "body":
        body = _plain("Body", parameter, ("schema",))
        return _message(1, body + _message(5, _schema(parameter["schema"])))
    if parameter["in"] == "query":
        return _message(2, _message(3, _plain("Query", parameter)))
    return _message(2, _message(4, _plain("Path", parameter)))


def _schema(schema: Json) -> bytes:
    parts = [_plain("Schema", schema, ("type", "items", "additionalProperties", "properties"))]
    if "additionalProperties" in schema:
        parts.append(_message(21, _message(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        parts.append(_message(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_message(23, _message(1, _schema(schema["items"]))))
    if "properties" in schema:
        named = (_message(1, _named(*pair)) for pair in _properties(schema["properties"]))
        parts.append(_message(25, b"".join(named)))
    return b"".join(parts)


def _properties(properties: Json) -> Iterator[tuple[str, bytes]]:
    for name, schema in properties.items():
        yield name, _schema(schema)
