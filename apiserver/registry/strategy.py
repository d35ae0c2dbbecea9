"""One strategy per resource: what an object becomes, and must be, before it is stored.

A strategy never reads a clock or makes a uid: the caller stamps metadata (see
`apiserver.api.metadata`). All `prepare_*` change the object that they are given in place.

Order of calls at create: decode (with defaults) → stamp → `prepare_for_create` → `validate_create`
→ store. At update: decode → `prepare_for_update(new, old)` (or `prepare_status_update`) →
`validate_update(new, old)` → store. Source: kube-apiserver's `rest.RESTCreateStrategy`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apiserver.api.field_errors import FieldError
from apiserver.api.names import NameCheck, subdomain_errors
from apiserver.api.scheme import Resource
from apiserver.registry import objectmeta

Json = dict[str, Any]
Prepare = Callable[[Json], None]
PrepareUpdate = Callable[[Json, Json], None]
Validate = Callable[[Json], list[FieldError]]
ValidateUpdate = Callable[[Json, Json], list[FieldError]]
Warn = Callable[[Json], list[str]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is particular to one kind; everything else is common to all.

    `generation_of` names the top-level fields whose change raises `metadata.generation`; None for
    kinds without a generation. `status_at_create` makes the status of a new object; None keeps
    what the client sent (kinds without a status subresource, and Node).
    """

    name_check: NameCheck = subdomain_errors
    generation_of: tuple[str, ...] | None = None
    status_at_create: Callable[[Json], Json] | None = None
    prepare_create: tuple[Prepare, ...] = ()
    prepare_update: tuple[PrepareUpdate, ...] = ()
    validate: tuple[Validate, ...] = ()
    validate_update: tuple[ValidateUpdate, ...] = ()
    warn: tuple[Warn, ...] = ()
    allow_unconditional_update: bool = True
    allow_create_on_update: bool = False


@dataclass(frozen=True, slots=True)
class Strategy:
    """The rules for one resource; see the module's docstring for the order of calls."""

    resource: Resource
    rules: Rules = field(default_factory=Rules)

    @property
    def allow_unconditional_update(self) -> bool:
        """Whether a PUT without a resourceVersion means "whatever is there now"."""
        return self.rules.allow_unconditional_update

    @property
    def allow_create_on_update(self) -> bool:
        """Whether a PUT of an object that does not exist creates it."""
        return self.rules.allow_create_on_update

    @property
    def has_status(self) -> bool:
        """Whether the resource has a status subresource, so that main writes leave status alone."""
        return self.resource.subresource("status") is not None

    def prepare_for_create(self, obj: Json) -> None:
        """Reset what only the server may set; set the first generation and status."""
        rules = self.rules
        if rules.status_at_create is not None:
            obj["status"] = rules.status_at_create(obj)
        for prepare in rules.prepare_create:
            prepare(obj)
        meta = obj["metadata"]
        for server_set in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
            meta.pop(server_set, None)
        if rules.generation_of is None:
            meta.pop("generation", None)
        else:
            meta["generation"] = 1

    def validate_create(self, obj: Json) -> list[FieldError]:
        """All findings about a new object; empty means valid."""
        errors = objectmeta.validate_metadata(
            obj["metadata"],
            namespaced=self.resource.namespaced,
            name_check=self.rules.name_check,
        )
        for validate in self.rules.validate:
            errors.extend(validate(obj))
        return errors

    def prepare_for_update(self, new: Json, old: Json) -> None:
        """Keep status and server-set metadata of `old`; a changed spec raises the generation."""
        objectmeta.inherit_metadata(new["metadata"], old["metadata"])
        if self.has_status:
            _keep(new, old, "status")
        for prepare in self.rules.prepare_update:
            prepare(new, old)
        watched = self.rules.generation_of
        if watched is not None and any(new.get(name) != old.get(name) for name in watched):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def prepare_status_update(self, new: Json, old: Json) -> None:
        """Keep everything of `old` but the status, and labels and annotations of the metadata."""
        objectmeta.inherit_metadata(new["metadata"], old["metadata"])
        for name in old.keys() | new.keys():
            if name not in ("apiVersion", "kind", "metadata", "status"):
                _keep(new, old, name)
        for name in ("ownerReferences", "finalizers"):
            _keep(new["metadata"], old["metadata"], name)

    def validate_update(self, new: Json, old: Json) -> list[FieldError]:
        """All findings about replacing `old` by `new`; empty means valid."""
        errors = objectmeta.validate_metadata_update(new["metadata"], old["metadata"])
        for validate in self.rules.validate:
            errors.extend(validate(new))
        for validate_update in self.rules.validate_update:
            errors.extend(validate_update(new, old))
        return errors

    def validate_status_update(self, new: Json, old: Json) -> list[FieldError]:
        """All findings about a status update; the spec is not judged again."""
        return objectmeta.validate_metadata_update(new["metadata"], old["metadata"])

    def warnings(self, obj: Json) -> list[str]:
        """What the client should know though it is valid: texts for `Warning:` headers."""
        return [text for warn in self.rules.warn for text in warn(obj)]


def _keep(new: Json, old: Json, name: str) -> None:
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)
