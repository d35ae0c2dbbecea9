"""May they: members of `system:masters` may do all, the health paths are open to everyone.

Everyone else is denied until role-based access control comes. PURE. Texts as in
k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go.
"""

from typing import Final

from apiserver.api import errors
from apiserver.api.errors import ApiError
from apiserver.authn.user import MASTERS_GROUP, UserInfo
from apiserver.http.request_info import RequestInfo

PUBLIC_PATHS: Final = frozenset({"/healthz", "/livez", "/readyz", "/version"})
_PUBLIC_PREFIXES: Final = ("/healthz/", "/livez/", "/readyz/")


def authorize(user: UserInfo, info: RequestInfo) -> None:
    """Return when `user` may do what `info` asks; raise `ApiError` 403 otherwise."""
    if MASTERS_GROUP in user.groups:
        return
    if not info.is_resource:
        path = info.path.rstrip("/") or "/"
        if info.verb in ("get", "head") and (
            path in PUBLIC_PATHS or path.startswith(_PUBLIC_PREFIXES)
        ):
            return
        raise forbidden_path(user, info)
    raise forbidden_resource(user, info)


def forbidden_path(user: UserInfo, info: RequestInfo) -> ApiError:
    """The refusal of a non-resource request."""
    text = f'User "{user.name}" cannot {info.verb} path "{info.path}"'
    return errors.forbidden("", "", "", text)


def forbidden_resource(user: UserInfo, info: RequestInfo) -> ApiError:
    """The refusal of a resource request."""
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    text = (
        f'User "{user.name}" cannot {info.verb} resource "{resource}" '
        f'in API group "{info.group}" {where}'
    )
    return errors.forbidden(info.group, info.resource, info.name, text)
