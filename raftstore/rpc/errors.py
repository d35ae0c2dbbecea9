"""From the store's errors to a gRPC status, and the texts that only this layer says.

Etcd's codes and texts to the byte (api/v3rpc/rpctypes/error.go). Beside them our client is told, in
the trailing metadata, when an operation definitely did not happen; etcd has no word for that.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

import grpc.aio

from raftstore.errors import Code, StoreError

STATUS_OF: Final = {Code(code.value[0]): code for code in grpc.StatusCode if code.value[0]}

DEFINITE_KEY: Final = "raftstore-definite"
"""Trailing metadata of a failed call: the operation has not happened and never will."""
_DEFINITE: Final = ((DEFINITE_KEY, "1"),)


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: StoreError) -> NoReturn:
    """End a call with this error."""
    trailing = _DEFINITE if error.definite else ()
    await context.abort(STATUS_OF[error.code], error.text, trailing)


def not_offered(what: str) -> StoreError:
    """A part of etcd's API that this store does not have. Named, never ignored."""
    text = f"raftstore: {what} is not offered by this store"
    return StoreError(Code.UNIMPLEMENTED, text, definite=True)


def no_leader_known() -> StoreError:
    """The caller demands a leader (metadata `hasleader`) and this member knows none."""
    return StoreError(Code.UNAVAILABLE, "etcdserver: no leader", definite=True)


def duplicate_watch_id() -> StoreError:
    """The id is taken by another watch of this stream."""
    text = "mvcc: duplicate watch ID provided on the WatchStream"
    return StoreError(Code.INVALID_ARGUMENT, text, definite=True)


def too_many_watches(limit: int) -> StoreError:
    """One stream asks for more watches than we keep for it."""
    text = f"raftstore: more than {limit} watches on one stream"
    return StoreError(Code.RESOURCE_EXHAUSTED, text, definite=True)
