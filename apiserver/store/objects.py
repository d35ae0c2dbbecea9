"""One stored object and one change of it, as bytes that are encoded once and sent to everyone.

Stored values are canonical JSON without `resourceVersion`; their head is always
`{"kind":…,"apiVersion":…,"metadata":{`, so the version is spliced in without decoding. A value in
another form (written by something else) is decoded and put into canonical form on the way in.
"""

import re
from enum import Enum
from functools import cached_property
from typing import Any, Final

import orjson

JsonObject = dict[str, Any]

_HEAD: Final = re.compile(
    rb'\{"kind":"([A-Za-z0-9]{1,128})","apiVersion":"([A-Za-z0-9./-]{1,256})","metadata":\{(?=")'
)


class UndecodableError(ValueError):
    """A stored value that is not a Kubernetes object in JSON; the message names its key."""


def encode_value(obj: JsonObject) -> bytes:
    """The canonical stored form of `obj`: kind, apiVersion, metadata first, no resourceVersion.

    Does not alter `obj`. Raises `KeyError` when kind, apiVersion or metadata is missing.
    """
    metadata = obj["metadata"]
    if "resourceVersion" in metadata:
        metadata = {k: v for k, v in metadata.items() if k != "resourceVersion"}
    head = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": metadata}
    head.update((k, v) for k, v in obj.items() if k not in head)
    return orjson.dumps(head)


class StoredObject:
    """An object at one revision. Immutable: what `decoded` returns is shared and read only."""

    __slots__ = ("__dict__", "_tail", "api_version", "encoded", "key", "kind", "mod_revision")

    def __init__(self, key: str, value: bytes, mod_revision: int) -> None:
        """Take in a stored value. Raises `UndecodableError` when it is no object in JSON."""
        match = _HEAD.match(value)
        if match is None:
            value = _canonical(key, value)
            match = _HEAD.match(value)
            if match is None:
                raise UndecodableError(f"{key}: kind or apiVersion has a form that none has")
        self.key = key
        self.mod_revision = mod_revision
        self.kind = match[1].decode()
        self.api_version = match[2].decode()
        self._tail = match.end()
        self.encoded: bytes = b'%b"resourceVersion":"%d",%b' % (
            value[: self._tail],
            mod_revision,
            value[self._tail :],
        )

    def value(self) -> bytes:
        """The bytes in the store: `encoded` without its resourceVersion."""
        return self.encoded[: self._tail] + self._rest()

    def encoded_as(self, api_version: str, revision: int | None = None) -> bytes:
        """The same object under another version of its group, or with another resourceVersion."""
        if revision is None:
            if api_version == self.api_version:
                return self.encoded
            revision = self.mod_revision
        return b'{"kind":"%b","apiVersion":"%b","metadata":{"resourceVersion":"%d",%b' % (
            self.kind.encode(),
            api_version.encode(),
            revision,
            self._rest(),
        )

    def _rest(self) -> bytes:
        prefix = len(b'"resourceVersion":"",') + len(str(self.mod_revision))
        return self.encoded[self._tail + prefix :]

    @cached_property
    def decoded(self) -> JsonObject:
        """The object as a shared, read-only dict, decoded when first asked for."""
        return self.fresh()

    def fresh(self) -> JsonObject:
        """A private decoded copy that the caller may change."""
        decoded: JsonObject = orjson.loads(self.encoded)
        return decoded


def _canonical(key: str, value: bytes) -> bytes:
    try:
        decoded = orjson.loads(value)
        if not decoded["metadata"]:
            raise KeyError("metadata")
        return encode_value(decoded)
    except (ValueError, KeyError, TypeError) as error:
        raise UndecodableError(f"{key}: not a Kubernetes object in JSON") from error


class EventType(Enum):
    """What a watch event says has happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class Event:
    """One change of one key. Frames are made once per event and shared by all its watchers."""

    __slots__ = ("_frames", "current", "key", "previous", "revision")

    def __init__(
        self,
        revision: int,
        key: str,
        current: StoredObject | None,
        previous: StoredObject | None,
    ) -> None:
        assert current is not None or previous is not None
        self.revision = revision
        self.key = key
        self.current = current
        self.previous = previous
        self._frames: dict[tuple[EventType, str], bytes] = {}

    @property
    def type(self) -> EventType:
        """The type that a watcher without selectors sees."""
        if self.current is None:
            return EventType.DELETED
        return EventType.MODIFIED if self.previous is not None else EventType.ADDED

    def subject(self, type_: EventType) -> StoredObject:
        """The object that an event of this type carries: the last state when it is gone."""
        found = self.previous if type_ is EventType.DELETED else self.current
        assert found is not None
        return found

    def encoded(self, type_: EventType, api_version: str) -> bytes:
        """The object of the event in JSON; its resourceVersion is the event's, also when gone."""
        return self.subject(type_).encoded_as(
            api_version, self.revision if type_ is EventType.DELETED else None
        )

    def frame(self, type_: EventType, api_version: str) -> bytes:
        """The line of a JSON watch stream, as Kubernetes' WatchEvent."""
        frame = self._frames.get((type_, api_version))
        if frame is None:
            frame = watch_frame(type_.value, self.encoded(type_, api_version))
            self._frames[type_, api_version] = frame
        return frame


def watch_frame(type_: str, encoded: bytes) -> bytes:
    """One line of a watch stream around an object already encoded."""
    return b'{"type":"%b","object":%b}\n' % (type_.encode(), encoded)
