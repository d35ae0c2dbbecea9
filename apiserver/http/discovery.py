"""The discovery paths: /api, /apis and what is below them, plain and aggregated.

The documents are `apiserver.api.discovery`'s; here they are made once, and given out by Accept,
with an ETag for those that ask again.
"""

from collections.abc import Callable
from typing import Any

from apiserver.api import discovery, errors
from apiserver.api.scheme import Scheme
from apiserver.http.context import RequestContext
from apiserver.http.negotiate import JSON, YAML, MediaType, negotiate
from apiserver.http.reply import Reply
from apiserver.http.status import encode


class Discovery:
    """Answers for the discovery paths of one server."""

    def __init__(self, scheme: Scheme, server_address: str) -> None:
        self._scheme = scheme
        self._server_address = server_address
        self._served = {(resource.group, resource.version) for resource in scheme}
        self._documents: dict[tuple[str, str], tuple[bytes, str]] = {}

    def serves(self, group: str, version: str) -> bool:
        """Whether there is anything at all below this group and version."""
        return (group, version) in self._served

    def answer(self, ctx: RequestContext, path: str) -> Reply | None:
        """The answer for a path without trailing slash; None when it is no discovery path."""
        media = negotiate(ctx.accept, discovery=path in ("/api", "/apis"))
        if path.startswith(("/api", "/apis")) and media is None:
            raise errors.not_acceptable((JSON, YAML))
        if media is None:
            return None
        document = self._document(path, media)
        if document is None:
            return None
        body, etag = document
        headers = "Vary: Accept\r\n"
        if media.as_kind:
            headers += f"ETag: {etag}\r\n"
            if ctx.http.headers.get("If-None-Match") == etag:
                return self._reply(ctx, b"", media, headers, status=304)
        return self._reply(ctx, body, media, headers)

    @staticmethod
    def _reply(
        ctx: RequestContext, body: bytes, media: MediaType, headers: str, *, status: int = 200
    ) -> Reply:
        reply = Reply(body, status=status, content_type=media.header(), headers=headers)
        reply.audit_id = ctx.audit_id
        return reply

    def _document(self, path: str, media: MediaType) -> tuple[bytes, str] | None:
        key = (path, media.header())
        found = self._documents.get(key)
        if found is None:
            if media.as_kind:
                raw, etag = discovery.builtin_aggregated(
                    core=path == "/api", aggregated_version=media.as_version
                )
                found = (raw, etag)
            else:
                made = self._make(path)
                if made is None:
                    return None
                found = (encode(made, media), "")
            self._documents[key] = found
        return found

    def _make(self, path: str) -> Any:
        parts = path.split("/")[1:]
        makers: dict[tuple[str, int], Callable[[], Any]] = {
            ("api", 1): lambda: discovery.api_versions(self._server_address),
            ("api", 2): lambda: discovery.api_resource_list("", parts[1]),
            ("apis", 1): discovery.api_group_list,
            ("apis", 2): lambda: discovery.api_group(parts[1]),
            ("apis", 3): lambda: discovery.api_resource_list(parts[1], parts[2]),
        }
        make = makers.get((parts[0], len(parts)))
        return None if make is None else make()
