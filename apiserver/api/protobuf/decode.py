"""From a protobuf body to the JSON object that it stands for, or to the error to answer. PURE.

Owns the envelope: `k8s\\0` and a `runtime.Unknown`, as k8s.io/apimachinery's protobuf serializer
writes it. Checks and defaults are `apiserver.api.decode`'s matter, for JSON and protobuf alike.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from apiserver.api.errors import ApiError, bad_request
from apiserver.api.protobuf import tables, wire
from apiserver.api.protobuf.messages import message

PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
MAGIC: Final = b"k8s\0"

# The fields of runtime.Unknown and of the TypeMeta in it.
_TYPE_META, _RAW, _CONTENT_ENCODING, _CONTENT_TYPE = 1, 2, 3, 4
_API_VERSION, _KIND = 1, 2

Json = dict[str, Any]


def decode_protobuf(body: bytes) -> Json:
    """The object in a protobuf body, with its apiVersion and kind.

    Raises `ApiError`: 400 for what is no message, 415 for a type whose fields are not known here.
    """
    if not body.startswith(MAGIC):
        raise bad_request(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    api_version = kind = ""
    try:
        unknown = wire.Parts(body, len(MAGIC), len(body))
        type_meta = unknown.raw(_TYPE_META)
        names = wire.Parts(type_meta, 0, len(type_meta))
        api_version, kind = names.text(_API_VERSION), names.text(_KIND)
        return _content(api_version, kind, unknown)
    except wire.WireError as error:
        raise bad_request(_unreadable(api_version, kind, str(error))) from None


def _content(api_version: str, kind: str, unknown: wire.Parts) -> Json:
    encoding, content_type = unknown.text(_CONTENT_ENCODING), unknown.text(_CONTENT_TYPE)
    if encoding:
        raise wire.WireError(f'the content encoding "{encoding}" is not supported')
    raw = unknown.raw(_RAW)
    obj: Json = {"apiVersion": api_version, "kind": kind}
    if content_type == "application/json":
        return obj | _json_content(raw)
    if content_type not in ("", PROTOBUF):
        raise wire.WireError(f'the content type "{content_type}" is not supported')
    type_name = tables.type_of(api_version, kind)
    if type_name is None:
        raise _unsupported(api_version, kind)
    message(type_name).read(obj, raw, 0, len(raw), 0)
    return obj


def _json_content(raw: bytes) -> Json:
    try:
        content = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise wire.WireError(f"json parse error: {error}") from None
    if not isinstance(content, dict):
        raise wire.WireError("json parse error: the content is not an object")
    return content


def _unreadable(api_version: str, kind: str, why: str) -> str:
    version = api_version.rpartition("/")[2]
    if not kind:
        return f"the object provided is unrecognized: couldn't get version/kind; {why}"
    return f'{kind} in version "{version}" cannot be handled as a {kind}: {why}'


def _unsupported(api_version: str, kind: str) -> ApiError:
    named = f"{kind} of {api_version}" if kind else "an object without kind"
    return ApiError(
        415,
        "UnsupportedMediaType",
        f"this server does not read {named} in protobuf - accepted media types include: "
        "application/json, application/yaml",
    )
