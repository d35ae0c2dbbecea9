"""A load generator as a process of its own: so many clients, one kind of call, for so long.

Prints one JSON line: how many calls were answered, and their latencies in milliseconds. The same
program loads every store, so that what differs is the store.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from etcdclient.client import EtcdClient
from etcdclient.pb import rpc_pb2 as pb
from etcdclient.tls import TlsFiles

VALUE_BYTES = 1024
KEYS = 10_000

Call = Callable[[EtcdClient, int], Awaitable[object]]


def _key(number: int) -> bytes:
    return b"/bench/%08d" % (number % KEYS)


async def _put(client: EtcdClient, number: int) -> object:
    return await client.put(pb.PutRequest(key=_key(number), value=b"v" * VALUE_BYTES))


async def _get(client: EtcdClient, number: int) -> object:
    return await client.range(pb.RangeRequest(key=_key(number)))


async def _txn(client: EtcdClient, number: int) -> object:
    put = pb.RequestOp(request_put=pb.PutRequest(key=_key(number), value=b"v" * VALUE_BYTES))
    return await client.txn(pb.TxnRequest(success=[put]))


CALLS: dict[str, Call] = {"put": _put, "get": _get, "txn": _txn}


async def _one_client(
    client: EtcdClient, call: Call, first: int, step: int, until: float, latencies: list[float]
) -> None:
    number = first
    while (began := time.monotonic()) < until:
        await call(client, number)
        latencies.append((time.monotonic() - began) * 1000)
        number += step


async def _run(options: argparse.Namespace) -> dict[str, object]:
    tls = TlsFiles(ca=options.cacert, cert=options.cert, key=options.key)
    endpoints = options.endpoints.split(",")
    # Clients spread over the members as those of three API servers do.
    clients = [
        EtcdClient([*endpoints[place:], *endpoints[:place]], tls=tls, timeout_s=10.0)
        for place in range(min(len(endpoints), options.clients))
    ]
    latencies: list[float] = []
    await asyncio.gather(*(client.read_revision() for client in clients))
    began = time.monotonic()
    until = began + options.seconds
    async with asyncio.TaskGroup() as group:
        for number in range(options.clients):
            client = clients[number % len(clients)]
            call = _one_client(
                client, CALLS[options.call], number, options.clients, until, latencies
            )
            group.create_task(call, name=f"client {number}")
    took = time.monotonic() - began
    await asyncio.gather(*(client.close() for client in clients))
    latencies.sort()
    return {
        "calls": len(latencies),
        "seconds": took,
        "p50_ms": latencies[len(latencies) // 2],
        "p99_ms": latencies[len(latencies) * 99 // 100],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", required=True)
    parser.add_argument("--cacert", type=Path, required=True)
    parser.add_argument("--cert", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--call", choices=sorted(CALLS), required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    result = uvloop.run(_run(parser.parse_args()))
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
