"""How objects and failures become replies in the form that the client accepts."""

from typing import Any

import orjson
import yaml

from apiserver.api.errors import ApiError
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import PLAIN_JSON, YAML, MediaType, negotiate
from apiserver.http.reply import Reply


def encode(obj: Any, media: MediaType) -> bytes:
    """The object in JSON or YAML, as `media` says."""
    if media.content_type == YAML:
        return yaml.dump(obj, Dumper=yaml.CSafeDumper, sort_keys=False).encode()
    return orjson.dumps(obj) + b"\n"


def object_reply(
    ctx: RequestContext, obj: Any, media: MediaType = PLAIN_JSON, *, status: int = 200
) -> Reply:
    """An answer that carries one object."""
    reply = Reply(encode(obj, media), status=status, content_type=media.header())
    reply.audit_id = ctx.audit_id
    return reply


def bytes_reply(
    ctx: RequestContext, encoded: bytes, media: MediaType = PLAIN_JSON, *, status: int = 200
) -> Reply:
    """An answer whose JSON is ready; decoded again only for a client that wants YAML."""
    if media.content_type == YAML:
        return object_reply(ctx, orjson.loads(encoded), media, status=status)
    reply = Reply(encoded, status=status)
    reply.audit_id = ctx.audit_id
    return reply


def text_reply(ctx: RequestContext, text: str, *, status: int = 200) -> Reply:
    """An answer in plain text."""
    reply = Reply(
        text.encode(),
        status=status,
        content_type="text/plain; charset=utf-8",
        headers="X-Content-Type-Options: nosniff\r\n",
    )
    reply.audit_id = ctx.audit_id
    return reply


def status_reply(ctx: RequestContext, error: ApiError) -> Reply:
    """A failure as a Status; the client's form if it has one that we write, else JSON."""
    accepted = negotiate(ctx.accept)
    media = MediaType(accepted.content_type) if accepted is not None else PLAIN_JSON
    reply = object_reply(ctx, error.to_status(), media, status=error.status_code)
    if error.details is not None and error.details.retry_after_seconds:
        reply.header_lines += f"Retry-After: {error.details.retry_after_seconds}\r\n"
    if error.status_code == 413:
        # What is left of the body is not read, so the connection cannot go on.
        reply.close = True
    if error.status_code == 403:
        reply.header_lines += "X-Content-Type-Options: nosniff\r\n"
    return reply
