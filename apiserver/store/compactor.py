"""Keeps the store from growing for ever: every interval, forget what is older than the last one.

The API servers agree by the key `compact_rev_key`: only the one whose compare on the key's version
succeeds compacts in an interval (kube-apiserver's etcd3/compact.go, same key, same protocol). So
clients always have at least one interval in which a continue token or a watch may resume.
"""

import asyncio
import logging
from typing import Final

from etcdclient.client import EtcdClient
from etcdclient.errors import EtcdError
from etcdclient.pb.rpc_pb2 import (
    CompactionRequest,
    Compare,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)

log = logging.getLogger("apiserver.compactor")

KEY: Final = b"compact_rev_key"


class Compactor:
    """One per API server; `run` takes part in the agreement."""

    def __init__(self, client: EtcdClient, interval_s: float) -> None:
        assert interval_s > 0, interval_s
        self._client = client
        self._interval_s = interval_s
        # The key's version that we expect, and the store's revision one interval ago.
        self._key_version = 0
        self._revision = 0

    async def run(self) -> None:
        """Compact once an interval, if no other server does, until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.compact_once()
            except EtcdError as error:
                log.info("compaction is put off: %s", error)

    async def compact_once(self) -> None:
        """Take a turn: compact to the revision of the last turn if nobody else had one since."""
        put = PutRequest(key=KEY, value=str(self._revision).encode())
        response = await self._client.txn(
            TxnRequest(
                compare=[Compare(key=KEY, target=Compare.VERSION, version=self._key_version)],
                success=[RequestOp(request_put=put)],
                failure=[RequestOp(request_range=RangeRequest(key=KEY, limit=1))],
            )
        )
        to_compact, self._revision = self._revision, response.header.revision
        if not response.succeeded:
            kvs = response.responses[0].response_range.kvs
            self._key_version = kvs[0].version if kvs else 0
            return
        self._key_version += 1
        if to_compact:
            await self._client.compact(CompactionRequest(revision=to_compact))
            log.info("compacted the store to revision %d", to_compact)
