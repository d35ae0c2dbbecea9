from etcdclient.pb import rpc_pb2 as _rpc_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PipeRequest(_message.Message):
    __slots__ = ("calls",)
    CALLS_FIELD_NUMBER: _ClassVar[int]
    calls: _containers.RepeatedCompositeFieldContainer[PipeCall]
    def __init__(self, calls: _Optional[_Iterable[_Union[PipeCall, _Mapping]]] = ...) -> None: ...

class PipeCall(_message.Message):
    __slots__ = ("id", "txn", "range", "read_revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    TXN_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    READ_REVISION_FIELD_NUMBER: _ClassVar[int]
    id: int
    txn: _rpc_pb2.TxnRequest
    range: _rpc_pb2.RangeRequest
    read_revision: ReadRevision
    def __init__(self, id: _Optional[int] = ..., txn: _Optional[_Union[_rpc_pb2.TxnRequest, _Mapping]] = ..., range: _Optional[_Union[_rpc_pb2.RangeRequest, _Mapping]] = ..., read_revision: _Optional[_Union[ReadRevision, _Mapping]] = ...) -> None: ...

class ReadRevision(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PipeResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[PipeResult]
    def __init__(self, results: _Optional[_Iterable[_Union[PipeResult, _Mapping]]] = ...) -> None: ...

class PipeResult(_message.Message):
    __slots__ = ("id", "txn", "range", "read_revision", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    TXN_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    READ_REVISION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: int
    txn: _rpc_pb2.TxnResponse
    range: _rpc_pb2.RangeResponse
    read_revision: _rpc_pb2.ResponseHeader
    error: PipeError
    def __init__(self, id: _Optional[int] = ..., txn: _Optional[_Union[_rpc_pb2.TxnResponse, _Mapping]] = ..., range: _Optional[_Union[_rpc_pb2.RangeResponse, _Mapping]] = ..., read_revision: _Optional[_Union[_rpc_pb2.ResponseHeader, _Mapping]] = ..., error: _Optional[_Union[PipeError, _Mapping]] = ...) -> None: ...

class PipeError(_message.Message):
    __slots__ = ("code", "message", "definite")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DEFINITE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    definite: bool
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., definite: _Optional[bool] = ...) -> None: ...
