"""What travels with one request through the filter chain."""

from dataclasses import dataclass, field

from aiohttp import web

from apiserver.authn.user import ANONYMOUS, UserInfo
from apiserver.http.request_info import Query, RequestInfo


@dataclass(slots=True)
class RequestContext:
    """One request: what came in, and what the filters have found out about it so far."""

    http: web.BaseRequest
    audit_id: str
    path: str = ""
    query: Query = field(default_factory=dict)
    info: RequestInfo = field(default_factory=lambda: RequestInfo("", ""))
    user: UserInfo = ANONYMOUS

    @property
    def accept(self) -> str:
        """The Accept header, "" when there is none."""
        return self.http.headers.get("Accept", "")
