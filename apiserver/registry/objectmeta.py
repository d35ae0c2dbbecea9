"""What holds for the metadata of every object: validation at create and at update.

Source: Kubernetes API conventions (Metadata), apimachinery's `ValidateObjectMeta` for the texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.api import field_errors as fe
from apiserver.api import names
from apiserver.api.field_errors import FieldError
from apiserver.api.names import NameCheck

ANNOTATIONS_BYTES_MAX = 256 * 1024
FINALIZER_ORPHAN = "orphan"
FINALIZER_FOREGROUND = "foregroundDeletion"

_IMMUTABLE = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)

Json = dict[str, Any]


def validate_metadata(meta: Json, *, namespaced: bool, name_check: NameCheck) -> list[FieldError]:
    """Findings about `metadata` of an object that is about to be created."""
    errors: list[FieldError] = []
    if generate_name := meta.get("generateName"):
        errors.extend(
            fe.invalid("metadata.generateName", generate_name, message)
            for message in names.as_prefix(name_check)(generate_name)
        )
    if name := meta.get("name"):
        errors.extend(fe.invalid("metadata.name", name, text) for text in name_check(name))
    else:
        errors.append(fe.required("metadata.name", "name or generateName is required"))
    errors.extend(_namespace(meta.get("namespace", ""), namespaced=namespaced))
    errors.extend(_owned_fields(meta))
    return errors


def _namespace(namespace: str, *, namespaced: bool) -> Iterable[FieldError]:
    if not namespaced:
        if namespace:
            yield fe.forbidden("metadata.namespace", "not allowed on this type")
    elif not namespace:
        yield fe.required("metadata.namespace")
    else:
        for message in names.label_errors(namespace):
            yield fe.invalid("metadata.namespace", namespace, message)


def _owned_fields(meta: Json) -> list[FieldError]:
    """Findings about the parts of metadata that a client may change at any time."""
    errors: list[FieldError] = []
    if meta.get("generation", 0) < 0:
        errors.append(
            fe.invalid(
                "metadata.generation", meta["generation"], "must be greater than or equal to 0"
            )
        )
    if labels := meta.get("labels"):
        errors.extend(validate_labels(labels, "metadata.labels"))
    if annotations := meta.get("annotations"):
        errors.extend(_annotations(annotations))
    if references := meta.get("ownerReferences"):
        errors.extend(_owner_references(references))
    if finalizers := meta.get("finalizers"):
        errors.extend(_finalizers(finalizers))
    return errors


def validate_labels(labels: Mapping[str, str], path: str) -> Iterable[FieldError]:
    """Findings about the keys and values of a map of labels at `path`."""
    for key, value in labels.items():
        for message in names.qualified_name_errors(key):
            yield fe.invalid(path, key, message)
        for message in names.label_value_errors(value):
            yield fe.invalid(path, value, message)


def _annotations(annotations: Mapping[str, str]) -> Iterable[FieldError]:
    size = 0
    for key, value in annotations.items():
        for message in names.qualified_name_errors(key.lower()):
            yield fe.invalid("metadata.annotations", key, message)
        size += _bytes(key) + _bytes(value)
    if size > ANNOTATIONS_BYTES_MAX:
        yield fe.too_long("metadata.annotations", ANNOTATIONS_BYTES_MAX)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _owner_references(references: list[Json]) -> Iterable[FieldError]:
    path = "metadata.ownerReferences"
    controllers = []
    for reference in references:
        api_version = reference.get("apiVersion", "")
        if not api_version.rpartition("/")[2]:
            yield fe.invalid(f"{path}.apiVersion", api_version, "version must not be empty")
        for field in ("kind", "name", "uid"):
            if not reference.get(field):
                yield fe.invalid(f"{path}.{field}", "", f"{field} must not be empty")
        if api_version == "v1" and reference.get("kind") == "Event":
            yield fe.invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner")
        if reference.get("controller"):
            controllers.append(reference.get("name", ""))
    if len(controllers) > 1:
        detail = (
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {controllers[1]}"
        )
        yield fe.invalid(path, references, detail)


def _finalizers(finalizers: list[str]) -> Iterable[FieldError]:
    path = "metadata.finalizers"
    for finalizer in finalizers:
        for message in names.qualified_name_errors(finalizer):
            yield fe.invalid(path, finalizer, message)
    if FINALIZER_ORPHAN in finalizers and FINALIZER_FOREGROUND in finalizers:
        detail = f"finalizer {FINALIZER_ORPHAN} and {FINALIZER_FOREGROUND} cannot be both set"
        yield fe.invalid(path, finalizers, detail)


def inherit_metadata(new: Json, old: Json) -> None:
    """Take over what an update may leave out, and what only the server sets.

    A uid or creationTimestamp left empty means the old one; deletion marks are never a client's.
    """
    for field in ("uid", "creationTimestamp"):
        if not new.get(field) and field in old:
            new[field] = old[field]
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"):
        if field in old:
            new[field] = old[field]
        else:
            new.pop(field, None)


def validate_metadata_update(new: Json, old: Json) -> list[FieldError]:
    """Findings about a change of `metadata` from `old` to `new`."""
    errors: list[FieldError] = []
    if old.get("deletionTimestamp"):
        added = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if added:
            listed = "[]string{" + ", ".join(f'"{name}"' for name in added) + "}"
            detail = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers {listed}"
            )
            errors.append(fe.forbidden("metadata.finalizers", detail))
    errors.extend(
        fe.invalid(f"metadata.{field}", new.get(field), "field is immutable")
        for field in _IMMUTABLE
        if new.get(field) != old.get(field)
    )
    errors.extend(_owned_fields(new))
    return errors
