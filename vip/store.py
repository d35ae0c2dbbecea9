"""The lease and the record in the store: each call of the election as one etcd request."""

from dataclasses import dataclass

from etcdclient.client import EtcdClient
from etcdclient.errors import EtcdError
from etcdclient.pb import rpc_pb2 as pb
from vip.election import LeaseId

CALL_TIMEOUT_S = 0.8
"""Less than half a lease: a renewal that hangs leaves time for another."""


class StoreError(Exception):
    """The call failed, or nobody knows."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """What stands in the store; mod_revision 0 if nothing does. `claimed`: our claim succeeded."""

    mod_revision: int
    lease: LeaseId
    claimed: bool = False


class RecordStore:
    """One record at one key. Belongs to the loop of its client."""

    def __init__(self, client: EtcdClient, key: bytes) -> None:
        self._client = client
        self._key = key

    async def grant(self, ttl_s: int) -> tuple[LeaseId, int]:
        """A new lease and its length in seconds. Raises StoreError."""
        try:
            granted = await self._client.lease_grant(ttl_s, timeout_s=CALL_TIMEOUT_S)
        except EtcdError as error:
            raise StoreError(str(error)) from error
        return LeaseId(granted.ID), granted.TTL

    async def keep_alive(self, lease: LeaseId) -> int:
        """The lease's length from now, 0 if there is no such lease. Raises StoreError."""
        try:
            renewed = await self._client.lease_keep_alive_once(lease, timeout_s=CALL_TIMEOUT_S)
        except EtcdError as error:
            raise StoreError(str(error)) from error
        return renewed.TTL

    async def read(self) -> StoredRecord:
        """The record, linearizable. Raises StoreError."""
        try:
            answer = await self._client.range(
                pb.RangeRequest(key=self._key), timeout_s=CALL_TIMEOUT_S
            )
        except EtcdError as error:
            raise StoreError(str(error)) from error
        return _stored(answer)

    async def claim(self, value: bytes, lease: LeaseId, mod_revision: int) -> StoredRecord:
        """Put our record if the key's mod_revision is this; else what stands there instead.

        Raises StoreError, and then it may have been put or be put yet.
        """
        # etcd compares an absent key as one of mod_revision 0.
        request = pb.TxnRequest(
            compare=[
                pb.Compare(
                    key=self._key,
                    target=pb.Compare.MOD,
                    result=pb.Compare.EQUAL,
                    mod_revision=mod_revision,
                )
            ],
            success=[
                pb.RequestOp(request_put=pb.PutRequest(key=self._key, value=value, lease=lease))
            ],
            failure=[pb.RequestOp(request_range=pb.RangeRequest(key=self._key))],
        )
        try:
            answer = await self._client.txn(request, timeout_s=CALL_TIMEOUT_S)
        except EtcdError as error:
            raise StoreError(str(error)) from error
        if answer.succeeded:
            return StoredRecord(answer.header.revision, lease, claimed=True)
        return _stored(answer.responses[0].response_range)

    async def revoke(self, lease: LeaseId) -> None:
        """End the lease and its record. Raises StoreError."""
        try:
            await self._client.lease_revoke(lease, timeout_s=CALL_TIMEOUT_S)
        except EtcdError as error:
            raise StoreError(str(error)) from error


def _stored(answer: pb.RangeResponse) -> StoredRecord:
    if not answer.kvs:
        return StoredRecord(0, LeaseId(0))
    (found,) = answer.kvs
    return StoredRecord(found.mod_revision, LeaseId(found.lease))
