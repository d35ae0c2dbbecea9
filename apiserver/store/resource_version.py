"""The sole parser of resourceVersions: everywhere else they are opaque strings.

A resourceVersion is the decimal revision of the store (Kubernetes API concepts, "Resource
versions"). Zero and the empty string are no revisions but requests: "any" and "most recent".
"""

from typing import Final

from apiserver.api import errors

MAX_REVISION: Final = (1 << 63) - 1


def render(revision: int) -> str:
    """The resourceVersion of what was last written at `revision`."""
    assert revision > 0, revision
    return str(revision)


def parse(resource_version: str) -> int:
    """The revision asked for; 0 stands for both "" and "0".

    Raises `ApiError` 400 with the original's text when it is not an unsigned decimal number.
    """
    if not resource_version:
        return 0
    if resource_version.isascii() and resource_version.isdigit():
        revision = int(resource_version) if len(resource_version) <= 20 else MAX_REVISION + 1
        if revision <= MAX_REVISION:
            return revision
    raise errors.bad_request(
        f'Invalid value: "{resource_version}": strconv.ParseUint: parsing '
        f'"{resource_version}": invalid syntax'
    )
