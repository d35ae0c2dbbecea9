"""Acting as another user (Impersonate-* headers): who is meant, and what must be allowed for it.

PURE. Rules and texts as in k8s.io/apiserver/pkg/endpoints/filters/impersonation.go. Whoever may
impersonate is judged by the authorizer, on the virtual resources that `Impersonation` names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from apiserver.api import errors
from apiserver.authn.user import ANONYMOUS, AUTHENTICATED_GROUP, UserInfo

USER_HEADER: Final = "Impersonate-User"
GROUP_HEADER: Final = "Impersonate-Group"
UID_HEADER: Final = "Impersonate-Uid"
EXTRA_PREFIX: Final = "impersonate-extra-"
_SERVICE_ACCOUNT_PREFIX: Final = "system:serviceaccount:"


class Headers(Protocol):
    """The request's headers: case does not matter, one name may come several times."""

    def get(self, name: str, default: str, /) -> str: ...
    def getall(self, name: str, default: Sequence[str], /) -> Sequence[str]: ...
    def __iter__(self) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True)
class Impersonation:
    """The user to act as, and each thing that the real user must be allowed to impersonate.

    `asked` holds (API group, resource, name).
    """

    user: UserInfo
    asked: tuple[tuple[str, str, str], ...]


def parse_impersonation(headers: Headers) -> Impersonation | None:
    """What the headers ask for; None if nothing. Raises `ApiError` 500 as the original does."""
    name = headers.get(USER_HEADER, "")
    groups = tuple(headers.getall(GROUP_HEADER, ()))
    uid = headers.get(UID_HEADER, "")
    extras = sorted({key.lower() for key in headers if key.lower().startswith(EXTRA_PREFIX)})
    if not name:
        if groups or uid or extras:
            asked_for = [*groups, *([uid] if uid else []), *extras]
            raise errors.internal(
                f"requested [{' '.join(asked_for)}] impersonation without impersonating a user"
            )
        return None
    asked = [_asked_of_user(name)]
    asked += [("", "groups", group) for group in groups]
    if uid:
        asked.append(("authentication.k8s.io", "uids", uid))
    for extra in extras:
        resource = f"userextras/{extra.removeprefix(EXTRA_PREFIX)}"
        asked += [("authentication.k8s.io", resource, value) for value in headers.getall(extra, ())]
    return Impersonation(UserInfo(name, _groups_of(name, groups), uid), tuple(asked))


def _asked_of_user(name: str) -> tuple[str, str, str]:
    if name.startswith(_SERVICE_ACCOUNT_PREFIX) and name.count(":") == 3:
        return ("", "serviceaccounts", name.rsplit(":", 1)[1])
    return ("", "users", name)


def _groups_of(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """The groups asked for, or a service account's own, and whether one is authenticated."""
    if not groups and name.startswith(_SERVICE_ACCOUNT_PREFIX) and name.count(":") == 3:
        namespace = name.split(":")[2]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    implied = ANONYMOUS.groups[0] if name == ANONYMOUS.name else AUTHENTICATED_GROUP
    return groups if implied in groups else (*groups, implied)
