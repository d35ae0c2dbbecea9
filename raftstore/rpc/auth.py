"""etcd's Auth service: switched off for good. Who may connect is decided by client certificates.

AuthStatus says so; every other method is refused by name rather than seeming to work.
"""

from __future__ import annotations

from etcdclient.pb import rpc_pb2 as pb
from raftstore.rpc.errors import not_offered
from raftstore.rpc.handlers import Handler, unary
from raftstore.rpc.headers import Headers

FIRST_AUTH_REVISION = 1
"""What etcd reports before authentication was ever changed."""

REFUSED = (
    *("AuthEnable", "AuthDisable", "Authenticate"),
    *("UserAdd", "UserGet", "UserList", "UserDelete", "UserChangePassword"),
    *("UserGrantRole", "UserRevokeRole"),
    *("RoleAdd", "RoleGet", "RoleList", "RoleDelete"),
    *("RoleGrantPermission", "RoleRevokePermission"),
)


class AuthService:
    """AuthStatus, and the names of what is not offered."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def handlers(self) -> dict[str, Handler]:
        """By full path."""
        path = "/etcdserverpb.Auth/"
        handlers = {path + name: _refused(name) for name in REFUSED}
        handlers[path + "AuthStatus"] = unary(
            self.auth_status, pb.AuthStatusRequest.FromString, pb.AuthStatusResponse
        )
        return handlers

    async def auth_status(self, _request: pb.AuthStatusRequest) -> pb.AuthStatusResponse:
        """Disabled."""
        response = pb.AuthStatusResponse(enabled=False, authRevision=FIRST_AUTH_REVISION)
        self._headers.fill(response.header)
        return response


def _refused(name: str) -> Handler:
    async def refuse(_request: bytes) -> pb.AuthStatusResponse:
        raise not_offered(f"Auth/{name} (users and roles; use client certificates)")

    return unary(refuse, bytes, pb.AuthStatusResponse)
