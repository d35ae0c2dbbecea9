"""What clients see: etcd's v3 gRPC services over one node, one module for each.

Owns headers, limits and streams: what a request does is decided in `apply` and `mvcc`, when it is
done in `node`. Source: etcd server/etcdserver/api/v3rpc.
"""
