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
from apiserver.store.turns import Turns
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


@dataclass(frozen=True, slots=True)
class Put:
    """Decision: replace the object by this one."""

    obj: JsonObject


@dataclass(frozen=True, slots=True)
class Remove:
    """Decision: delete the object."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Decision: leave the object as it is."""


KEEP: Final = Keep()
Decision = Put | Remove | Keep
Decide = Callable[[JsonObject], Decision]


@dataclass(frozen=True, slots=True)
class Changed:
    """The object as it is now, or was last when `removed`; `revision` is that of the change."""

    stored: StoredObject
    revision: int
    written: bool
    removed: bool


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
        self._turns = Turns()

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
        failure = write_failure(error)
        if failure.status_code != 504:
            raise failure from error
        try:
            response = await self._client.range(RangeRequest(key=key.encode(), limit=1))
        except EtcdError:
            raise failure from error
        if response.kvs and response.kvs[0].value == value:
            return _stored(response.kvs[0])
        raise failure from error

    async def guaranteed_change(
        self, key: str, decide: Decide, cached: StoredObject | None, *, dry_run: bool = False
    ) -> Changed:
        """Do to the object at `key` what `decide` says; durable on return.

        `decide` gets a private copy with its resourceVersion and is called again on each lost
        race; what it raises, or its decision to keep, is final only for a state that the store
        has confirmed. Tries `cached` first. A dry run decides but does not write. Raises
        `KeyGoneError` when there is no object.
        """
        async with self._turns.of(key) as turn:
            changed = await self._change(key, decide, turn.newest(cached), dry_run=dry_run)
            if not dry_run:
                turn.latest = None if changed.removed else changed.stored
            return changed

    async def _change(
        self, key: str, decide: Decide, cached: StoredObject | None, *, dry_run: bool
    ) -> Changed:
        current = cached or await self._require(key)
        confirmed = cached is None
        for _ in range(ATTEMPTS_MAX):
            refusal: ApiError | None = None
            op: RequestOp | None = None
            decision: Decision = KEEP
            value = current.value()
            try:
                decision = decide(current.fresh())
            except ApiError as error:
                refusal = error
            if isinstance(decision, Remove):
                op = RequestOp(request_delete_range=DeleteRangeRequest(key=key.encode()))
            elif isinstance(decision, Put):
                value = encode_value(decision.obj)
                op = _put(key, value) if value != current.value() else None
            if op is not None and not (dry_run and confirmed):
                if dry_run:
                    current, confirmed = await self._require(key), True
                    continue
                response = await self._swap(current, op)
                if response.succeeded:
                    return _changed(current, decision, value, response.header.revision)
                current, confirmed = _current(key, response), True
                continue
            if not confirmed:
                seen = current.mod_revision
                current, confirmed = await self._require(key), True
                if current.mod_revision != seen:
                    continue
            if refusal is not None:
                raise refusal
            if op is not None:
                return _changed(current, decision, value, current.mod_revision)
            return Changed(current, current.mod_revision, written=False, removed=False)
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


def _changed(current: StoredObject, decision: Decision, value: bytes, revision: int) -> Changed:
    if isinstance(decision, Remove):
        return Changed(current, revision, written=True, removed=True)
    stored = StoredObject(current.key, value, revision)
    return Changed(stored, revision, written=True, removed=False)


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
    # A message that is too large is refused as a whole, before anything looks into it.
    if not error.definite and "larger than max" not in error.text:
        return unknown_outcome(error)
    return read_failure(error)


def read_failure(error: EtcdError) -> ApiError:
    """A request that certainly changed nothing: 500 with the store's text, as the original."""
    return ApiError(500, "", error.text)
