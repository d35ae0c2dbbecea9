"""/openapi/v2 and /openapi/v3, in the forms and with the caching that clients expect.

Each document is made when first asked for and kept gzipped, which is a tenth of its size. Source:
k8s.io/kube-openapi/pkg/handler and handler3. kubectl asks version 3 before every create and apply,
and version 2 in protobuf before it says that a kind is unknown.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final, TypeVar

import orjson

from apiserver.api import errors
from apiserver.api.openapi_documents import served_paths, v2_steps, v3_document
from apiserver.api.openapi_protobuf import encode_steps
from apiserver.api.scheme import Scheme
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import JSON
from apiserver.http.reply import GZIP_LEVEL, Reply
from apiserver.http.version import GIT_VERSION

V2: Final = "/openapi/v2"
V3: Final = "/openapi/v3"
PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_PROTOBUF_DEPRECATED: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_FORMS: Final = {
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
    "": JSON,
    PROTOBUF: PROTOBUF,
    _PROTOBUF_DEPRECATED: PROTOBUF,
}
_ACCEPT_CLAUSES_MAX: Final = 32
_IMMUTABLE_FOR: Final = timedelta(days=365)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Document:
    """One encoded document; `digest` stands for its content in ETags and URLs."""

    gzipped: bytes
    digest: str

    @classmethod
    def of(cls, raw: bytes) -> "_Document":
        digest = hashlib.sha512(raw).hexdigest().upper()
        return cls(gzip.compress(raw, GZIP_LEVEL, mtime=0), digest)


class OpenApi:
    """Answers for /openapi/v2, /openapi/v3 and what is below it."""

    def __init__(self, scheme: Scheme) -> None:
        self._resources = list(scheme)
        self._paths = frozenset(served_paths(self._resources))
        self._documents: dict[tuple[str, str], _Document] = {}
        self._building = asyncio.Lock()

    async def answer(self, ctx: RequestContext, path: str) -> Reply | None:
        """The answer for a path without trailing slash; None when it is not one of ours."""
        below = path.removeprefix(f"{V3}/")
        if path not in (V2, V3) and (below == path or below not in self._paths):
            return None
        form = _form(ctx.accept, (JSON, PROTOBUF) if path == V2 else (JSON,))
        document = await self._document(path, form)
        asked = ctx.query.get("hash", "") if below != path else ""
        if asked and asked != document.digest:
            location = f"Location: {_server_relative_url(below, document)}\r\n"
            return _reply(ctx, Reply(b"", status=301, headers=location))
        reply = _document_reply(ctx, document, form)
        if asked:
            reply.cache_control = "public, immutable"
            expires = format_datetime(datetime.now(UTC) + _IMMUTABLE_FOR, usegmt=True)
            reply.header_lines += f"Expires: {expires}\r\n"
        return _reply(ctx, reply)

    async def _document(self, path: str, form: str) -> _Document:
        found = self._documents.get((path, form))
        if found is None:
            async with self._building:
                found = self._documents.get((path, form))
                if found is None:
                    found = self._documents[path, form] = await self._make(path, form)
        return found

    async def _make(self, path: str, form: str) -> _Document:
        if path == V2:
            document = await _in_slices(v2_steps(self._resources, GIT_VERSION))
            if form == JSON:
                return _Document.of(orjson.dumps(document))
            return _Document.of(await _in_slices(encode_steps(document)))
        if path != V3:
            return self._group_version(path.removeprefix(f"{V3}/"))
        urls = {}
        for below in sorted(self._paths):
            key = (f"{V3}/{below}", JSON)
            found = self._documents.get(key)
            if found is None:
                found = self._documents[key] = self._group_version(below)
                await asyncio.sleep(0)
            urls[below] = {"serverRelativeURL": _server_relative_url(below, found)}
        return _Document.of(orjson.dumps({"paths": urls}))

    def _group_version(self, below: str) -> _Document:
        return _Document.of(orjson.dumps(v3_document(below, self._resources, GIT_VERSION)))


async def _in_slices(steps: Iterator[T | None]) -> T:
    """What `steps` come to, giving way to other requests between them."""
    for found in steps:
        if found is not None:
            return found
        await asyncio.sleep(0)
    raise AssertionError("steps without an end")


def _form(accept: str, offered: tuple[str, ...]) -> str:
    """The first form of the Accept header that is on offer, as the original: no weights."""
    for clause in accept.split(",")[:_ACCEPT_CLAUSES_MAX]:
        form = _FORMS.get(clause.partition(";")[0].strip().lower())
        if form in offered:
            return form
    raise errors.not_acceptable(offered)


def _server_relative_url(below: str, document: _Document) -> str:
    return f"{V3}/{below}?hash={document.digest}"


def _document_reply(ctx: RequestContext, document: _Document, form: str) -> Reply:
    etag = f'"{document.digest}"'
    headers = f"ETag: {etag}\r\nVary: Accept\r\nVary: Accept-Encoding\r\n"
    if etag in ctx.http.headers.get("If-None-Match", ""):
        return Reply(b"", status=304, content_type=form, headers=headers)
    if "gzip" not in ctx.http.headers.get("Accept-Encoding", ""):
        return Reply(gzip.decompress(document.gzipped), content_type=form, headers=headers)
    headers += "Content-Encoding: gzip\r\n"
    return Reply(document.gzipped, content_type=form, headers=headers)


def _reply(ctx: RequestContext, reply: Reply) -> Reply:
    reply.audit_id = ctx.audit_id
    return reply
