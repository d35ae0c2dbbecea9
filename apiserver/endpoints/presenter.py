"""How stored objects are shown: as they are, in another version, as metadata only, as a table.

A presenter serves one request. The plain one never decodes: it joins bytes that the cache encoded
once. The others decode what they show.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import orjson

from apiserver.api.scheme import Resource
from apiserver.api.table import IncludeObject, table
from apiserver.http.negotiate import MediaType
from apiserver.http.request_info import Query
from apiserver.registry.convert import from_storage
from apiserver.store.objects import Event, EventType, JsonObject, StoredObject, watch_frame
from apiserver.store.storage import ListPage

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Presenter(Protocol):
    """Objects, pages and watch frames in the form that one request asked for."""

    def one(self, stored: StoredObject, revision: int | None = None) -> bytes:
        """One object in JSON; `revision` overrides its resourceVersion (a deletion's)."""

    def page(self, page: ListPage) -> bytes:
        """A list in JSON."""

    def frame(self, type_: EventType, event: Event) -> bytes:
        """One line of a watch stream."""

    def initial(self, stored: StoredObject) -> bytes:
        """The ADDED line for an object that was there when the watch began."""

    def bookmark(self, resource_version: str, *, initial_events_end: bool = False) -> bytes:
        """The BOOKMARK line."""


def presenter_for(
    resource: Resource, media: MediaType, query: Query, now: Callable[[], datetime]
) -> Presenter:
    """The presenter that `media` (negotiated from Accept) calls for; tables show ages at `now`."""
    if media.as_kind == "Table":
        return TablePresenter(
            resource, media, IncludeObject.of(query.get("includeObject", "")), now
        )
    if media.as_kind in ("PartialObjectMetadata", "PartialObjectMetadataList"):
        return MetadataPresenter(resource, media)
    if resource.api_version == resource.storage_version:
        return PlainPresenter(resource)
    return DecodingPresenter(resource)


def _list_meta(page: ListPage) -> JsonObject:
    meta: JsonObject = {"resourceVersion": page.resource_version}
    if page.continue_:
        meta["continue"] = page.continue_
    if page.remaining is not None:
        meta["remainingItemCount"] = page.remaining
    return meta


class PlainPresenter:
    """Objects in the version in which they are stored: bytes as cached."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._api_version = resource.api_version

    def one(self, stored: StoredObject, revision: int | None = None) -> bytes:
        """The cached bytes."""
        return stored.encoded_as(self._api_version, revision)

    def page(self, page: ListPage) -> bytes:
        """The join of the cached bytes."""
        head = orjson.dumps(
            {
                "kind": self._resource.list_kind,
                "apiVersion": self._api_version,
                "metadata": _list_meta(page),
            }
        )
        items = b",".join([stored.encoded for stored in page.objects])
        return b'%b,"items":[%b]}\n' % (head[:-1], items)

    def frame(self, type_: EventType, event: Event) -> bytes:
        """The bytes shared by all watchers."""
        return event.frame(type_, self._api_version)

    def initial(self, stored: StoredObject) -> bytes:
        """The cached bytes as ADDED."""
        return watch_frame("ADDED", stored.encoded)

    def bookmark(self, resource_version: str, *, initial_events_end: bool = False) -> bytes:
        """An object of the kind with nothing but a resourceVersion."""
        metadata: JsonObject = {"resourceVersion": resource_version, "creationTimestamp": None}
        if initial_events_end:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        obj = {
            "kind": self._resource.kind,
            "apiVersion": self._api_version,
            "metadata": metadata,
        }
        return watch_frame("BOOKMARK", orjson.dumps(obj))


class DecodingPresenter(PlainPresenter):
    """Objects that are stored in another version of their group, or are shown reshaped."""

    def _shape(self, obj: JsonObject) -> JsonObject:
        return from_storage(self._resource, obj)

    def _kind(self) -> tuple[str, str]:
        return self._resource.list_kind, self._api_version

    def one(self, stored: StoredObject, revision: int | None = None) -> bytes:
        """The object, reshaped."""
        obj = stored.fresh()
        if revision is not None:
            obj["metadata"]["resourceVersion"] = str(revision)
        return orjson.dumps(self._shape(obj))

    def page(self, page: ListPage) -> bytes:
        """A list of reshaped objects."""
        kind, api_version = self._kind()
        shown = {
            "kind": kind,
            "apiVersion": api_version,
            "metadata": _list_meta(page),
            "items": [self._shape(stored.fresh()) for stored in page.objects],
        }
        return orjson.dumps(shown) + b"\n"

    def frame(self, type_: EventType, event: Event) -> bytes:
        """A line around the reshaped object."""
        revision = event.revision if type_ is EventType.DELETED else None
        return watch_frame(type_.value, self.one(event.subject(type_), revision))

    def initial(self, stored: StoredObject) -> bytes:
        """A line around the reshaped object."""
        return watch_frame("ADDED", self.one(stored))


class MetadataPresenter(DecodingPresenter):
    """PartialObjectMetadata: for those who only care who there is and who owns whom."""

    def __init__(self, resource: Resource, media: MediaType) -> None:
        super().__init__(resource)
        self._api_version = f"{media.as_group}/{media.as_version}"

    def _shape(self, obj: JsonObject) -> JsonObject:
        return {
            "kind": "PartialObjectMetadata",
            "apiVersion": self._api_version,
            "metadata": obj["metadata"],
        }

    def _kind(self) -> tuple[str, str]:
        return "PartialObjectMetadataList", self._api_version

    def bookmark(self, resource_version: str, *, initial_events_end: bool = False) -> bytes:
        """A bookmark that is a PartialObjectMetadata."""
        metadata: JsonObject = {"resourceVersion": resource_version, "creationTimestamp": None}
        if initial_events_end:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        return watch_frame("BOOKMARK", orjson.dumps(self._shape({"metadata": metadata})))


class TablePresenter(DecodingPresenter):
    """Rows for people, as `kubectl get` prints them."""

    def __init__(
        self,
        resource: Resource,
        media: MediaType,
        include: IncludeObject,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(resource)
        self._table_version = media.as_version
        self._include = include
        self._now = now
        self._columns_sent = False

    def _table(self, objects: list[JsonObject], meta: JsonObject) -> JsonObject:
        shown = table(
            self._resource,
            [from_storage(self._resource, obj) for obj in objects],
            meta,
            now=self._now(),
            include_object=self._include,
            with_columns=not self._columns_sent,
            version=self._table_version,
        )
        self._columns_sent = True
        return shown

    def one(self, stored: StoredObject, revision: int | None = None) -> bytes:
        """A table of one row."""
        obj = stored.fresh()
        if revision is not None:
            obj["metadata"]["resourceVersion"] = str(revision)
        return orjson.dumps(self._table([obj], obj["metadata"]))

    def page(self, page: ListPage) -> bytes:
        """A table of a row per object."""
        objects = [stored.fresh() for stored in page.objects]
        return orjson.dumps(self._table(objects, _list_meta(page))) + b"\n"

    def bookmark(self, resource_version: str, *, initial_events_end: bool = False) -> bytes:
        """A table without rows."""
        metadata: JsonObject = {"resourceVersion": resource_version}
        shown = self._table([], metadata)
        if initial_events_end:
            shown["metadata"]["annotations"] = {INITIAL_EVENTS_END: "true"}
        return watch_frame("BOOKMARK", orjson.dumps(shown))
