"""ListOptions as they come in the query: parsed, checked, with the original's texts. PURE.

Source: apimachinery `meta/internalversion/validation` and the Kubernetes API concepts page.
"""

from dataclasses import dataclass
from typing import Final

from apiserver.api import errors
from apiserver.api.field_errors import FieldError, forbidden, not_supported
from apiserver.api.scheme import Resource
from apiserver.api.selectors import (
    FieldSelector,
    LabelSelector,
    SelectorError,
    parse_fields,
    parse_labels,
)
from apiserver.http.request_info import Query, is_true
from apiserver.store.objects import StoredObject
from apiserver.store.watchers import Matches

EXACT: Final = "Exact"
NOT_OLDER_THAN: Final = "NotOlderThan"


@dataclass(frozen=True, slots=True)
class CollectionOptions:
    """What a list, watch or deletecollection asks for."""

    labels: LabelSelector
    fields: FieldSelector
    resource_version: str
    resource_version_match: str
    limit: int
    continue_: str
    timeout_s: int
    bookmarks: bool
    send_initial_events: bool | None

    def matches(self) -> Matches | None:
        """The selectors as one predicate, None when they select everything."""
        labels, fields = self.labels, self.fields
        if not labels and not fields:
            return None
        if not fields:
            return lambda stored: labels.matches(stored.decoded)
        if not labels:
            return lambda stored: fields.matches(stored.decoded)
        return lambda stored: labels.matches(stored.decoded) and fields.matches(stored.decoded)

    def matches_object(self, stored: StoredObject) -> bool:
        """Whether one object is selected."""
        matches = self.matches()
        return matches is None or matches(stored)


def parse_options(resource: Resource, query: Query, *, watch: bool) -> CollectionOptions:
    """Read and check the options. Raises `ApiError` 400 or 422."""
    try:
        labels = parse_labels(query.get("labelSelector", ""))
        fields = parse_fields(resource, query.get("fieldSelector", ""))
    except SelectorError as error:
        raise errors.bad_request(str(error)) from error
    initial = is_true(query, "sendInitialEvents") if "sendInitialEvents" in query else None
    options = CollectionOptions(
        labels=labels,
        fields=fields,
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=query.get("resourceVersionMatch", ""),
        limit=_integer(query, "limit"),
        continue_=query.get("continue", ""),
        timeout_s=_integer(query, "timeoutSeconds"),
        bookmarks=is_true(query, "allowWatchBookmarks"),
        send_initial_events=initial,
    )
    findings = _check_watch(options) if watch else _check_list(options)
    if findings:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", findings)
    if options.continue_ and options.resource_version not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    return options


def _integer(query: Query, key: str) -> int:
    text = query.get(key, "")
    if not text:
        return 0
    try:
        value = int(text)
    except ValueError:
        value = -1 << 64
    if not -(1 << 63) <= value < 1 << 63:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return max(0, value)


def _check_list(options: CollectionOptions) -> list[FieldError]:
    found: list[FieldError] = []
    match, path = options.resource_version_match, "resourceVersionMatch"
    if match:
        if not options.resource_version:
            text = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            found.append(forbidden(path, text))
        if options.continue_:
            text = "resourceVersionMatch is forbidden when continue is provided"
            found.append(forbidden(path, text))
        if match not in (EXACT, NOT_OLDER_THAN):
            found.append(not_supported(path, match, [EXACT, NOT_OLDER_THAN, ""]))
        if match == EXACT and options.resource_version == "0":
            text = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            found.append(forbidden(path, text))
    if options.send_initial_events is not None:
        text = "sendInitialEvents is forbidden for list"
        found.append(forbidden("sendInitialEvents", text))
    return found


def _check_watch(options: CollectionOptions) -> list[FieldError]:
    found: list[FieldError] = []
    match, path = options.resource_version_match, "resourceVersionMatch"
    if options.send_initial_events is not None and match != NOT_OLDER_THAN:
        text = f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER_THAN}"
        found.append(forbidden(path, text))
    if match:
        if options.send_initial_events is None:
            text = (
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            )
            found.append(forbidden(path, text))
        if match != NOT_OLDER_THAN:
            found.append(not_supported(path, match, [NOT_OLDER_THAN]))
        if options.continue_:
            text = "resourceVersionMatch is forbidden when continue is provided"
            found.append(forbidden(path, text))
    return found
