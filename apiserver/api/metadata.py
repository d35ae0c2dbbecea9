"""Object metadata as the server writes it: stamps, generated names, the metadata-only forms.

PURE: time, uids and chance are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from apiserver.api.times import render_time

Json = dict[str, Any]

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Letters and digits of generated names: no vowels, no look-alikes, so no words."""

SUFFIX_LENGTH = 5
GENERATED_NAME_MAX = 63
GENERATE_ATTEMPTS = 8
"""So often a generated name is tried before the client gets a conflict."""


class Chance(Protocol):
    """Where generated names take their letters from, such as a `random.Random`."""

    def choice(self, seq: str, /) -> str: ...


def generate_name(base: str, chance: Chance) -> str:
    """`base` and five random letters; a long base is cut so that 63 characters are kept."""
    suffix = "".join(chance.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_LENGTH))
    return base[: GENERATED_NAME_MAX - SUFFIX_LENGTH] + suffix


def stamp_new(obj: Json, *, uid: str, now: datetime) -> None:
    """Set what the server gives a new object: uid, creationTimestamp; no resourceVersion."""
    meta = obj["metadata"]
    meta.pop("resourceVersion", None)
    meta["uid"] = uid
    meta["creationTimestamp"] = render_time(now)


def partial_object_metadata(obj: Json, *, api_version: str = "meta.k8s.io/v1") -> Json:
    """`PartialObjectMetadata`: the object's metadata alone. Shares the metadata with `obj`."""
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": obj["metadata"]}


def partial_object_metadata_list(
    objects: Iterable[Json], list_meta: Json, *, api_version: str = "meta.k8s.io/v1"
) -> Json:
    """`PartialObjectMetadataList` of several objects, with the given list metadata."""
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": api_version,
        "metadata": list_meta,
        "items": [partial_object_metadata(obj, api_version=api_version) for obj in objects],
    }
