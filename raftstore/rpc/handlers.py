"""How a method of ours becomes a gRPC handler: by hand, with nothing in between.

No interceptors, no generated servicers: a call costs one dict look-up and one coroutine beyond what
gRPC itself takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from raftstore.errors import StoreError
from raftstore.pb.command_pb2 import Command
from raftstore.rpc.errors import abort

Request = TypeVar("Request")
Response = TypeVar("Response", bound=Message)

if TYPE_CHECKING:
    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:  # generic in the stubs alone
    Context = grpc.aio.ServicerContext
    Handler = grpc.RpcMethodHandler


def unary(
    method: Callable[[Request], Awaitable[Response]],
    read: Callable[[bytes], Request],
    response: type[Response],
) -> Handler:
    """A handler for one request and one response. `read` decodes; StoreError becomes a status."""

    async def serve(request: Request, context: Context) -> Response:
        try:
            return await method(request)
        except StoreError as error:
            await abort(context, error)

    return grpc.unary_unary_rpc_method_handler(serve, read, response.SerializeToString)


def command_reader(op: str) -> Callable[[bytes], Command]:
    """A decoder for requests that are proposed: straight into `op` of the command, with no copy."""

    def read(data: bytes) -> Command:
        command = Command()
        request = getattr(command, op)
        request.SetInParent()
        request.MergeFromString(data)
        return command

    return read


def stream(
    method: Callable[[Context], Awaitable[None]],
    request: type[Message],
    response: type[Message],
) -> Handler:
    """A handler that streams both ways; `method` reads from and writes to the context itself."""

    async def serve(_requests: object, context: Context) -> None:
        try:
            await method(context)
        except StoreError as error:
            await abort(context, error)

    return grpc.stream_stream_rpc_method_handler(
        serve,
        request.FromString,
        response.SerializeToString,
    )


def server_stream(
    method: Callable[[Request, Context], Awaitable[None]],
    read: Callable[[bytes], Request],
    response: type[Message],
) -> Handler:
    """A handler for one request and a stream of responses, which `method` writes to the context."""

    async def serve(request: Request, context: Context) -> None:
        try:
            await method(request, context)
        except StoreError as error:
            await abort(context, error)

    return grpc.unary_stream_rpc_method_handler(serve, read, response.SerializeToString)


class Router(grpc.GenericRpcHandler):
    """All methods of all services by their full path."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The handler of a call, or None, which gRPC answers with UNIMPLEMENTED."""
        return self._handlers.get(handler_call_details.method)
