"""The header of every response: which cluster, member and term speaks, and of which revision."""

from __future__ import annotations

from typing import Protocol

from etcdclient.pb.rpc_pb2 import ResponseHeader
from raftstore.engine.protocol import NodeStatus
from raftstore.mvcc.store import Store


class Speaker(Protocol):
    """Who answers: `raftstore.node.Node`."""

    @property
    def store(self) -> Store: ...
    def status(self) -> NodeStatus: ...


class Headers:
    """Fills headers for one member (etcd v3rpc/header.go)."""

    def __init__(self, node: Speaker) -> None:
        self._node = node
        status = node.status()
        self._cluster_id = status.cluster_id
        self._member_id = status.member_id

    def fill_member(self, header: ResponseHeader) -> None:
        """Who speaks. The revision stays what it is: apply has set it, or the service has none."""
        header.cluster_id = self._cluster_id
        header.member_id = self._member_id
        header.raft_term = self._node.status().term

    def fill(self, header: ResponseHeader) -> None:
        """Who speaks, and the store's revision of now unless apply has set one."""
        self.fill_member(header)
        if not header.revision:
            header.revision = self._node.store.revision
