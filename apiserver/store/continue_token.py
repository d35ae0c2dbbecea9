"""The continue token of a paged list: at which revision, from which key. PURE.

The format is the original's (k8s.io/apiserver/pkg/storage/continue.go), so a client that looks
inside finds what it expects; clients must not look inside.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson

from apiserver.api import errors
from apiserver.api.errors import ApiError

# In the token's place of a revision: continue on the latest state, consistent no more.
INCONSISTENT = -1


@dataclass(frozen=True, slots=True)
class ContinueToken:
    """Continue at `revision` from key `start`, which is relative to the collection's prefix."""

    revision: int
    start: str

    def encode(self) -> str:
        """The opaque text given to the client."""
        raw = orjson.dumps({"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.start})
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_continue(text: str) -> ContinueToken:
    """Read a token back. Raises `ApiError` 400 for one that we did not make."""
    try:
        padded = text + "=" * (-len(text) % 4)
        decoded = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        version, revision, start = decoded["v"], decoded["rv"], decoded["start"]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise errors.bad_request(f"continue key is not valid: {error}") from error
    if version != "meta.k8s.io/v1":
        raise errors.bad_request(
            f"continue key is not valid: server does not recognize this encoded version {version}"
        )
    if not isinstance(revision, int) or revision == 0:
        raise errors.bad_request(
            "continue key is not valid: incorrect encoded start resourceVersion "
            "(version meta.k8s.io/v1)"
        )
    if not isinstance(start, str) or not start:
        raise errors.bad_request(
            "continue key is not valid: encoded start key empty (version meta.k8s.io/v1)"
        )
    if start.startswith("/") or ".." in start.split("/"):
        raise errors.bad_request(f"continue key is not valid: invalid key {start}")
    return ContinueToken(revision, start)


class ExpiredContinueError(ApiError):
    """410: the token's revision is compacted; carries a token that continues inconsistently."""

    def __init__(self, token: ContinueToken) -> None:
        super().__init__(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result. You "
            "can start a new list without the continue parameter, or use the continue token in "
            "this response to retrieve the remainder of the results. Continuing with the provided "
            "token results in an inconsistent list - objects that were created, modified, or "
            "deleted between the time the first chunk was returned and now may show up in the "
            "list.",
        )
        self.token = token

    def to_status(self) -> dict[str, Any]:
        """The `Status`, with the fresh token in `metadata.continue`."""
        status = super().to_status()
        status["metadata"] = {"continue": self.token.encode()}
        return status
