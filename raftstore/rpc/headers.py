"""The header of every response: which cluster, member and term speaks, and of which revision."""

from __future__ import annotations

from etcdclient.pb.rpc_pb2 import ResponseHeader
from raftstore.node import Node


class Headers:
    """Fills headers for one member (etcd v3rpc/header.go)."""

    def __init__(self, node: Node) -> None:
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
