"""What the key space is made of: revisions, the records they leave, and the events they cause.

Owns no state. Records are shared between the history, the key index, events and snapshots, so they
are immutable. Source: etcd's data model (etcd.io/docs, "Data model").
"""

from __future__ import annotations

from typing import Final, NamedTuple, NewType

from etcdclient.pb import kv_pb2

Revision = NewType("Revision", int)
"""The key space's logical clock: one more with each operation that changes anything."""

FIRST_REVISION: Final = Revision(1)
"""Of the empty store; the first write makes revision 2."""

NEVER_COMPACTED: Final = Revision(-1)
"""The compact revision before the first compaction. Clients see it in HashKV."""

_PUT: Final = kv_pb2.Event.PUT
_DELETE: Final = kv_pb2.Event.DELETE


class Record(NamedTuple):
    """One change of one key: the `sub`-th of revision `main`, counted from zero.

    `key_version` counts the writes since the key came to life at `create_revision`; both are zero
    in a tombstone. Main and sub come first, so records order as history does.
    """

    main: Revision
    sub: int
    key: bytes
    value: bytes
    create_revision: Revision
    key_version: int
    lease: int

    @property
    def is_tombstone(self) -> bool:
        """Whether this record says that the key was deleted."""
        return self.key_version == 0

    def to_pb(self) -> kv_pb2.KeyValue:
        """As etcd shows it; of a tombstone only the key and the revision that deleted it."""
        return kv_pb2.KeyValue(
            key=self.key,
            create_revision=self.create_revision,
            mod_revision=self.main,
            version=self.key_version,
            value=self.value,
            lease=self.lease,
        )


def tombstone(main: Revision, sub: int, key: bytes) -> Record:
    """The record of a delete."""
    return Record(main, sub, key, b"", Revision(0), 0, 0)


class Event:
    """A record as watchers see it, with what the key was at the revision before, if it lived.

    A put that brings a key to life has no previous, even if its own txn deleted the key before.

    The protobuf form is built once and then shared by all watchers: never alter it.
    """

    __slots__ = ("_with_prev", "_without_prev", "previous", "record")

    def __init__(self, record: Record, previous: Record | None) -> None:
        self.record = record
        self.previous = previous
        self._with_prev: kv_pb2.Event | None = None
        self._without_prev: kv_pb2.Event | None = None

    def to_pb(self, *, prev_kv: bool) -> kv_pb2.Event:
        """The wire form, with `prev_kv` if asked for and known."""
        if prev_kv and self.previous is not None:
            if self._with_prev is None:
                self._with_prev = kv_pb2.Event(
                    type=self._type(), kv=self.record.to_pb(), prev_kv=self.previous.to_pb()
                )
            return self._with_prev
        if self._without_prev is None:
            self._without_prev = kv_pb2.Event(type=self._type(), kv=self.record.to_pb())
        return self._without_prev

    def _type(self) -> kv_pb2.Event.EventType:
        return _DELETE if self.record.is_tombstone else _PUT

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return self.record == other.record and self.previous == other.previous

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        kind = "DELETE" if self.record.is_tombstone else "PUT"
        return f"{self.record.main}.{self.record.sub} {kind} {self.record.key!r}"
