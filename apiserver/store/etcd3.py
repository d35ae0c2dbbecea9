"""Writes by compare-and-swap, in the transactions that kube-apiserver sends (etcd3/store.go).

Nothing is overwritten unseen: every write names the mod_revision it builds on. When the store
cannot say whether a write happened, neither do we: `unknown_outcome` tells the client so, and
nothing is repeated as if it had not happened.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from apiserver.api import errors
from apiserver.api.errors import ApiError
from apiserver.store.objects import JsonObject, StoredObject, encode_value
from etcdclient.client import EtcdClient
from etcdclient.errors import EtcdError
from etcdclient.pb.kv_pb2 import KeyValue
from etcdclient.pb.rpc_pb2 import (
    Compare,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
    TxnResponse,
)

# Each loss of a race means that someone else made progress; past this many we say so.
ATTEMPTS_MAX: Final = 64

Decide = Callable[[JsonObject], JsonObject | None]


@dataclass(frozen=True, slots=True)
class Guard:
    """A key that must still stand at this revision for a create to happen."""

    key: str
    mod_revision: int


class GuardLostError(Exception):
    """The guard's key was changed or deleted; nothing was written."""


class KeyExistsError(Exception):
    """The key to create exists; nothing was written."""


class KeyGoneError(Exception):
    """The key to change or delete does not exist; nothing was written."""


class Etcd3Store:
    """Compare-and-swap on single keys of the store."""

    def __init__(self, client: EtcdClient) -> None:
        self._client = client

    async def get(self, key: str, revision: int = 0) -> StoredObject | None:
        """The object at `key`, linearizable, or as it was at `revision`."""
        request = RangeRequest(key=key.encode(), limit=1, revision=revision)
        try:
            response = await self._client.range(request)
        except EtcdError as error:
            raise read_failure(error) from error
        return _stored(response.kvs[0]) if response.kvs else None

    async def create(self, key: str, obj: JsonObject, guard: Guard | None = None) -> StoredObject:
        """Write a new object, durable on return. `obj` must carry a uid of its own.

        Raises `KeyExistsError`, `GuardLostError`, or `ApiError` when the store failed.
        """
        value = encode_value(obj)
        compare = [_mod_is(key, 0)]
        if guard is not None:
            compare.append(_mod_is(guard.key, guard.mod_revision))
        request = TxnRequest(compare=compare, success=[_put(key, value)], failure=[_range(key)])
        try:
            response = await self._client.txn(request)
        except EtcdError as error:
            return await self._resolve_create(key, value, error)
        if response.succeeded:
            return StoredObject(key, value, response.header.revision)
        if _found(response) is not None:
            raise KeyExistsError(key)
        raise GuardLostError(key)

    async def _resolve_create(self, key: str, value: bytes, error: EtcdError) -> StoredObject:
        """After an unknown outcome: our uid in the store proves that the create happened.

        The contrary proves nothing, for the write may still be on its way.
        """
        if error.definite:
            raise write_failure(error) from error
        try:
            response = await self._client.range(RangeRequest(key=key.encode(), limit=1))
        except EtcdError:
            raise unknown_outcome(error) from error
        if response.kvs and response.kvs[0].value == value:
            return _stored(response.kvs[0])
        raise unknown_outcome(error) from error

    async def guaranteed_update(
        self, key: str, decide: Decide, cached: StoredObject | None
    ) -> tuple[StoredObject, bool]:
        """Replace the object at `key` by what `decide` makes of it; durable on return.

        `decide` gets a private copy with its resourceVersion and returns the new object, or None
        for no change; it is called again on each lost race, and what it raises is final only for
        a state that the store has confirmed. Tries `cached` first. Returns the object and whether
        it was written. Raises `KeyGoneError` when there is none.
        """
        current = cached or await self._require(key)
        confirmed = cached is None
        for _ in range(ATTEMPTS_MAX):
            refusal: ApiError | None = None
            value = current.value()
            try:
                decided = decide(current.fresh())
                if decided is not None:
                    value = encode_value(decided)
            except ApiError as error:
                refusal = error
            if refusal is None and value != current.value():
                response = await self._swap(current, _put(key, value))
                if response.succeeded:
                    return StoredObject(key, value, response.header.revision), True
                current, confirmed = _current(key, response), True
                continue
            if not confirmed:
                seen = current.mod_revision
                current, confirmed = await self._require(key), True
                if current.mod_revision != seen:
                    continue
            if refusal is not None:
                raise refusal
            return current, False
        raise _too_many_races(key)

    async def delete(
        self, key: str, check: Callable[[JsonObject], None], cached: StoredObject | None
    ) -> tuple[StoredObject, int]:
        """Delete the object at `key` once `check` has let it pass; durable on return.

        `check` raises to refuse, as in `guaranteed_update`. Returns the last state and the
        revision of the deletion. Raises `KeyGoneError` when there is none.
        """
        current = cached or await self._require(key)
        confirmed = cached is None
        for _ in range(ATTEMPTS_MAX):
            try:
                check(current.decoded)
            except ApiError:
                seen = current.mod_revision
                if not confirmed:
                    current, confirmed = await self._require(key), True
                if current.mod_revision == seen:
                    raise
                continue
            op = RequestOp(request_delete_range=DeleteRangeRequest(key=key.encode()))
            response = await self._swap(current, op)
            if response.succeeded:
                return current, response.header.revision
            current, confirmed = _current(key, response), True
        raise _too_many_races(key)

    async def _swap(self, current: StoredObject, op: RequestOp) -> TxnResponse:
        request = TxnRequest(
            compare=[_mod_is(current.key, current.mod_revision)],
            success=[op],
            failure=[_range(current.key)],
        )
        try:
            return await self._client.txn(request)
        except EtcdError as error:
            raise write_failure(error) from error

    async def _require(self, key: str) -> StoredObject:
        found = await self.get(key)
        if found is None:
            raise KeyGoneError(key)
        return found


def _mod_is(key: str, revision: int) -> Compare:
    return Compare(
        key=key.encode(), target=Compare.MOD, result=Compare.EQUAL, mod_revision=revision
    )


def _put(key: str, value: bytes) -> RequestOp:
    return RequestOp(request_put=PutRequest(key=key.encode(), value=value))


def _range(key: str) -> RequestOp:
    return RequestOp(request_range=RangeRequest(key=key.encode(), limit=1))


def _stored(kv: KeyValue) -> StoredObject:
    return StoredObject(kv.key.decode(), kv.value, kv.mod_revision)


def _found(response: TxnResponse) -> StoredObject | None:
    kvs = response.responses[0].response_range.kvs
    return _stored(kvs[0]) if kvs else None


def _current(key: str, response: TxnResponse) -> StoredObject:
    found = _found(response)
    if found is None:
        raise KeyGoneError(key)
    return found


def _too_many_races(key: str) -> ApiError:
    text = f"{key}: lost {ATTEMPTS_MAX} races in a row; please try again"
    return ApiError(409, "Conflict", text)


def unknown_outcome(error: EtcdError) -> ApiError:
    """504: the write may or may not have happened, and the client must look before it repeats."""
    return errors.timeout(
        "request did not complete within requested timeout: the outcome of this write is "
        f"unknown, it may or may not take effect; read before trying again ({error})"
    )


def write_failure(error: EtcdError) -> ApiError:
    """How a failed write is told to the client: certain or unknown, never the one as the other."""
    if not error.definite:
        return unknown_outcome(error)
    return read_failure(error)


def read_failure(error: EtcdError) -> ApiError:
    """A request that certainly changed nothing: 500 with the store's text, as the original."""
    return ApiError(500, "", error.text)
