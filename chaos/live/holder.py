"""Asks the store which node holds the virtual IP: the record at `/triplane/vip/<address:port>`."""

import json
from urllib.parse import urlsplit

from chaos.live.cluster import Cluster
from etcdclient.client import EtcdClient
from etcdclient.errors import EtcdError
from etcdclient.pb import rpc_pb2 as pb
from etcdclient.tls import TlsFiles

ASK_TIMEOUT_S = 2.0


async def holder_node(cluster: Cluster, server: str) -> str | None:
    """The node whose agent holds the address of `server` (a URL); None if no record says so."""
    tls = cluster.store_tls
    urls = [member.client_url for member in cluster.members]
    key = f"/triplane/vip/{urlsplit(server).netloc}".encode()
    files = TlsFiles(tls.ca, tls.cert, tls.key)
    async with EtcdClient(urls, tls=files, timeout_s=ASK_TIMEOUT_S) as client:
        try:
            found = await client.range(pb.RangeRequest(key=key))
        except EtcdError:
            return None
    return str(json.loads(found.kvs[0].value)["node"]) if found.kvs else None
