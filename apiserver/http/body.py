"""Request bodies: bounded reading, and parsing of those that are no objects of a resource.

What a body means is `apiserver.api.decode`'s matter; here it is only kept from being too large or
of a form that we do not read. Texts as in k8s.io/apiserver/pkg/endpoints/handlers.
"""

from typing import Any, Final

from aiohttp import web

from apiserver.api import documents, errors
from apiserver.api.errors import ApiError
from apiserver.api.protobuf import PROTOBUF, decode_protobuf
from apiserver.http.negotiate import JSON, YAML

BODY_BYTES_MAX: Final = 3 * 1024 * 1024


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
    try:
        while chunk := await content.readany():
            size += len(chunk)
            if size > BODY_BYTES_MAX:
                raise _too_large()
            chunks.append(chunk)
    except web.RequestPayloadError as error:
        raise errors.bad_request(f"unable to read the body: {error}") from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large() -> ApiError:
    return errors.request_entity_too_large(f"limit is {BODY_BYTES_MAX}")


def media_type(request: web.BaseRequest) -> str:
    """The bare media type of the body; JSON when the client names none, as the original."""
    raw = request.headers.get("Content-Type", "")
    return raw.partition(";")[0].strip().lower() or JSON


def object_media_type(request: web.BaseRequest) -> str:
    """The media type of a body that is an object. Raises `ApiError` 415 for one we do not read."""
    found = media_type(request)
    if found not in (JSON, YAML, PROTOBUF):
        raise errors.unsupported_media_type((JSON, YAML))
    return found


def parse(body: bytes, content_type: str) -> Any:
    """The JSON value in a body of JSON, YAML or protobuf. Raises `ApiError` 400."""
    try:
        if content_type == YAML:
            return documents.parse_yaml(body).value
        if content_type == PROTOBUF:
            return decode_protobuf(body)
        return documents.parse_json(body, find_duplicates=False).value
    except documents.DocumentError as error:
        raise errors.bad_request(f"couldn't get version/kind; json parse error: {error}") from error
