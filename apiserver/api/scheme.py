"""Which resources this server knows: the answer to "what is /apis/<group>/<version>/<plural>?".

Owns `SCHEME`, built once from the facts in `facts/resources.json` (generated, see
`tools/generate_scheme.py`) and our tables of names. It must never load the type tables: those are
parsed by `apiserver.api.types` when a type is first decoded.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from apiserver.api import tables_names as names

FACTS = Path(__file__).parent / "facts"

NOT_ADVERTISED_GROUPS = frozenset(
    {
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
    }
)
"""Groups whose semantics are beyond storage: discovery must not promise them yet."""

NOT_ADVERTISED = frozenset({"bindings", "componentstatuses"})
"""Virtual core resources, left out for the same reason."""

READ_ONLY = frozenset({"customresourcedefinitions.apiextensions.k8s.io"})
"""Resources that are not implemented: clients may see that there are none, and create none.

Before kubectl calls a kind unknown, it lists the custom resource definitions.
"""

READ_VERBS = ("get", "list", "watch")

SERVED_SUBRESOURCES = frozenset({"approval", "finalize", "scale", "status"})
"""Subresources that are implemented; the facts know more (eviction, binding, token, …)."""


@dataclass(frozen=True, slots=True)
class Subresource:
    """One subresource: its name in the path, the kind of its body, and the verbs it takes."""

    name: str
    group: str
    version: str
    kind: str
    type_name: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """One served resource of one group and version.

    `group` is "" for core. `storage_prefix` is the path under `/registry`, without slashes at its
    ends. `storage_version` is the apiVersion of stored bytes (`apiserver.registry.convert` maps to
    and from it). `type_name` names the type in the type tables, such as `core_v1.Pod`.
    """

    group: str
    version: str
    kind: str
    list_kind: str
    plural: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    verbs: tuple[str, ...]
    subresources: tuple[Subresource, ...]
    storage_prefix: str
    storage_version: str
    type_name: str

    @property
    def api_version(self) -> str:
        """`v1` or `group/version`: what objects carry in `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified_name(self) -> str:
        """`plural` or `plural.group`: how error texts and RBAC name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage_version_hash(self) -> str:
        """The opaque hash of group, version and kind that discovery prints."""
        group, _, version = self.storage_version.rpartition("/")
        digest = hashlib.sha256(f"{group}/{version}/{self.kind}".encode()).digest()
        return base64.b64encode(digest[:8]).decode()

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name, or None if the resource has none such."""
        return next((sub for sub in self.subresources if sub.name == name), None)


class Scheme:
    """All known resources. Iteration yields those that discovery advertises, in stable order."""

    def __init__(self, resources: tuple[Resource, ...]) -> None:
        self._resources = resources
        self._by_plural = {(r.group, r.version, r.plural): r for r in resources}

    def lookup(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource at that place of the URL space, or None: answer 404."""
        return self._by_plural.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource whose objects carry this `apiVersion` and `kind`, or None."""
        return self._by_kind.get((api_version, kind))

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources)

    def __len__(self) -> int:
        return len(self._resources)

    @cached_property
    def _by_kind(self) -> dict[tuple[str, str], Resource]:
        return {(r.api_version, r.kind): r for r in self._resources}


def _resource(fact: dict[str, Any]) -> Resource:
    group, version, plural = fact["group"], fact["version"], fact["plural"]
    qualified = f"{plural}.{group}" if group else plural
    api_version = f"{group}/{version}" if group else version
    read_only = qualified in READ_ONLY
    subresources = (
        Subresource(s["name"], s["group"], s["version"], s["kind"], s["type"], tuple(s["verbs"]))
        for s in fact["subresources"]
        if s["name"] in SERVED_SUBRESOURCES and not read_only
    )
    return Resource(
        group=group,
        version=version,
        kind=fact["kind"],
        list_kind=fact["kind"] + "List",
        plural=plural,
        singular=fact["kind"].lower(),
        namespaced=fact["namespaced"],
        short_names=names.SHORT_NAMES.get(plural, ()),
        categories=names.categories_of(plural),
        verbs=READ_VERBS if read_only else tuple(fact["verbs"]),
        subresources=tuple(subresources),
        storage_prefix=names.STORAGE_PREFIXES.get(qualified, plural),
        storage_version=names.STORAGE_VERSIONS.get((group, version, plural), api_version),
        type_name=fact["type"],
    )


def load_scheme() -> Scheme:
    """Build the scheme from the checked-in facts; about a millisecond."""
    facts = orjson.loads((FACTS / "resources.json").read_bytes())
    return Scheme(
        tuple(
            _resource(fact)
            for fact in facts
            if fact["group"] not in NOT_ADVERTISED_GROUPS and fact["plural"] not in NOT_ADVERTISED
        )
    )


SCHEME = load_scheme()
