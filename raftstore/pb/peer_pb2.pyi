from raftstore.pb import command_pb2 as _command_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntryRecord(_message.Message):
    __slots__ = ("term", "index", "kind", "data")
    TERM_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    term: int
    index: int
    kind: int
    data: bytes
    def __init__(self, term: _Optional[int] = ..., index: _Optional[int] = ..., kind: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class SnapshotRecord(_message.Message):
    __slots__ = ("index", "term", "voters", "learners")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    VOTERS_FIELD_NUMBER: _ClassVar[int]
    LEARNERS_FIELD_NUMBER: _ClassVar[int]
    index: int
    term: int
    voters: _containers.RepeatedScalarFieldContainer[int]
    learners: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, index: _Optional[int] = ..., term: _Optional[int] = ..., voters: _Optional[_Iterable[int]] = ..., learners: _Optional[_Iterable[int]] = ...) -> None: ...

class RaftMessage(_message.Message):
    __slots__ = ("kind", "to", "term", "log_term", "index", "commit", "entries", "snapshot", "reject", "reject_hint", "context")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LOG_TERM_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    REJECT_FIELD_NUMBER: _ClassVar[int]
    REJECT_HINT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    kind: int
    to: int
    term: int
    log_term: int
    index: int
    commit: int
    entries: _containers.RepeatedCompositeFieldContainer[EntryRecord]
    snapshot: SnapshotRecord
    reject: bool
    reject_hint: int
    context: bytes
    def __init__(self, kind: _Optional[int] = ..., to: _Optional[int] = ..., term: _Optional[int] = ..., log_term: _Optional[int] = ..., index: _Optional[int] = ..., commit: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[EntryRecord, _Mapping]]] = ..., snapshot: _Optional[_Union[SnapshotRecord, _Mapping]] = ..., reject: _Optional[bool] = ..., reject_hint: _Optional[int] = ..., context: _Optional[bytes] = ..., **kwargs) -> None: ...

class Hello(_message.Message):
    __slots__ = ("cluster_id", "member_id", "protocol", "purpose", "error", "incarnation", "peer_urls", "refusal", "membership", "applied_index", "heard")
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    PEER_URLS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    MEMBERSHIP_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    HEARD_FIELD_NUMBER: _ClassVar[int]
    cluster_id: int
    member_id: int
    protocol: int
    purpose: int
    error: str
    incarnation: int
    peer_urls: _containers.RepeatedScalarFieldContainer[str]
    refusal: int
    membership: bytes
    applied_index: int
    heard: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, cluster_id: _Optional[int] = ..., member_id: _Optional[int] = ..., protocol: _Optional[int] = ..., purpose: _Optional[int] = ..., error: _Optional[str] = ..., incarnation: _Optional[int] = ..., peer_urls: _Optional[_Iterable[str]] = ..., refusal: _Optional[int] = ..., membership: _Optional[bytes] = ..., applied_index: _Optional[int] = ..., heard: _Optional[_Iterable[int]] = ...) -> None: ...

class RaftBatch(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[RaftMessage]
    def __init__(self, messages: _Optional[_Iterable[_Union[RaftMessage, _Mapping]]] = ...) -> None: ...

class SnapshotChunk(_message.Message):
    __slots__ = ("data", "last", "crc")
    DATA_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    CRC_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    last: bool
    crc: int
    def __init__(self, data: _Optional[bytes] = ..., last: _Optional[bool] = ..., crc: _Optional[int] = ...) -> None: ...

class LeaderQuestion(_message.Message):
    __slots__ = ("id", "lease_keep_alive", "lease_time_to_live", "conf_change")
    ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_KEEP_ALIVE_FIELD_NUMBER: _ClassVar[int]
    LEASE_TIME_TO_LIVE_FIELD_NUMBER: _ClassVar[int]
    CONF_CHANGE_FIELD_NUMBER: _ClassVar[int]
    id: int
    lease_keep_alive: int
    lease_time_to_live: int
    conf_change: _command_pb2.ConfChange
    def __init__(self, id: _Optional[int] = ..., lease_keep_alive: _Optional[int] = ..., lease_time_to_live: _Optional[int] = ..., conf_change: _Optional[_Union[_command_pb2.ConfChange, _Mapping]] = ...) -> None: ...

class LeaderAnswer(_message.Message):
    __slots__ = ("id", "error", "ttl", "granted_ttl", "code", "definite")
    ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    GRANTED_TTL_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DEFINITE_FIELD_NUMBER: _ClassVar[int]
    id: int
    error: str
    ttl: int
    granted_ttl: int
    code: int
    definite: bool
    def __init__(self, id: _Optional[int] = ..., error: _Optional[str] = ..., ttl: _Optional[int] = ..., granted_ttl: _Optional[int] = ..., code: _Optional[int] = ..., definite: _Optional[bool] = ...) -> None: ...
