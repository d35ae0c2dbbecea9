"""The store beside Debian's etcd: same machine, same client, in alternation; three members, mTLS.

`python -m bench.store --rounds 3 --seconds 4 --clients 1,32,256`. Prints a table of medians over
the rounds: calls a second, latency, processor seconds of the members for a thousand calls, and the
ratio to the peer. It never gates anything: the machine is shared, so only the ratio within one run
means something.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from tests.support.stores import StoreCluster, make_store

KINDS = ("etcd", "raftstore")


@dataclass(frozen=True, slots=True)
class Measured:
    """One load on one store. `cpu_s` is what the members' processes burned meanwhile."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_s_per_1000: float


def _cpu_seconds(store: StoreCluster) -> float:
    total = 0.0
    for member in store.members:
        assert member.process is not None
        times = psutil.Process(member.process.pid).cpu_times()
        total += times.user + times.system
    return total


def measure(store: StoreCluster, call: str, clients: int, seconds: float) -> Measured:
    """Load one store from one process of its own."""
    before = _cpu_seconds(store)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.load", "--endpoints", ",".join(store.endpoints)),
            *("--cacert", str(store.tls.ca), "--cert", str(store.tls.cert)),
            *("--key", str(store.tls.key), "--call", call),
            *("--clients", str(clients), "--seconds", str(seconds)),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    result = json.loads(done.stdout)
    burned = _cpu_seconds(store) - before
    return Measured(
        per_second=result["calls"] / result["seconds"],
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        cpu_s_per_1000=burned / result["calls"] * 1000,
    )


def _median(rounds: list[Measured]) -> Measured:
    return Measured(
        per_second=statistics.median(one.per_second for one in rounds),
        p50_ms=statistics.median(one.p50_ms for one in rounds),
        p99_ms=statistics.median(one.p99_ms for one in rounds),
        cpu_s_per_1000=statistics.median(one.cpu_s_per_1000 for one in rounds),
    )


def _row(call: str, clients: int, kind: str, found: Measured, peer: Measured) -> list[str]:
    return [
        call,
        str(clients),
        kind,
        f"{found.per_second:,.0f}",
        f"{found.p50_ms:.1f}",
        f"{found.p99_ms:.1f}",
        f"{found.cpu_s_per_1000:.2f}",
        f"{found.per_second / peer.per_second:.2f}×",
    ]


def _report(options: argparse.Namespace, stores: dict[str, StoreCluster]) -> Table:
    table = Table(
        "call", "clients", "store", "per second", "p50 ms", "p99 ms", "CPU s/1000", "ratio"
    )
    for call in options.calls.split(","):
        for clients in (int(number) for number in options.clients.split(",")):
            rounds: dict[str, list[Measured]] = {kind: [] for kind in KINDS}
            for _ in range(options.rounds):
                for kind, store in stores.items():
                    rounds[kind].append(measure(store, call, clients, options.seconds))
            peer = _median(rounds["etcd"])
            for kind in KINDS:
                table.add_row(*_row(call, clients, kind, _median(rounds[kind]), peer))
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clients", default="1,32,256")
    parser.add_argument("--calls", default="put,get,txn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="triplane-bench-") as root:
        stores = {}
        for kind in KINDS:
            directory = Path(root) / kind
            directory.mkdir()
            stores[kind] = make_store(kind, directory, 3)
        try:
            for store in stores.values():
                store.start()
                asyncio.run(store.wait_until_serving())
            Console(width=110).print(_report(options, stores))
        finally:
            for store in stores.values():
                store.stop_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
