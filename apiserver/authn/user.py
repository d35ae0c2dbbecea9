"""Who asks: the identity that authentication gives a request. PURE."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class UserInfo:
    """A user's name and groups, as in authentication.k8s.io/v1 UserInfo."""

    name: str
    groups: tuple[str, ...]
    uid: str = ""

    def is_in(self, group: str) -> bool:
        """Whether the user is a member of `group`."""
        return group in self.groups


AUTHENTICATED_GROUP: Final = "system:authenticated"
MASTERS_GROUP: Final = "system:masters"
ANONYMOUS: Final = UserInfo("system:anonymous", ("system:unauthenticated",))
