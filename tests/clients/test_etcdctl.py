"""etcdctl, unmodified: what it prints for our store is what it prints for Debian's etcd."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.stores import StoreCluster, make_store

TIMEOUT_S = 15


@pytest.fixture(scope="module", params=["etcd", "raftstore"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoreCluster]:
    cluster = make_store(request.param, tmp_path_factory.mktemp("etcdctl"), 3)
    cluster.start()
    try:
        asyncio.run(cluster.wait_until_serving())
        yield cluster
    finally:
        cluster.stop_all()


def command(store: StoreCluster, *arguments: str, endpoints: str = "") -> list[str]:
    return [
        *("timeout", str(TIMEOUT_S)),
        "etcdctl",
        f"--endpoints={endpoints or ','.join(store.endpoints)}",
        f"--cacert={store.tls.ca}",
        f"--cert={store.tls.cert}",
        f"--key={store.tls.key}",
        *arguments,
    ]


ENVIRONMENT = {**os.environ, "ETCDCTL_API": "3"}


def run(
    store: StoreCluster, *arguments: str, endpoints: str = "", stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(store, *arguments, endpoints=endpoints),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )


def etcdctl(store: StoreCluster, *arguments: str, endpoints: str = "", stdin: str = "") -> str:
    done = run(store, *arguments, endpoints=endpoints, stdin=stdin)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def as_json(store: StoreCluster, *arguments: str) -> Any:
    return json.loads(etcdctl(store, *arguments, "-w", "json"))


def test_put_get_del(store: StoreCluster) -> None:
    assert etcdctl(store, "put", "kv/a", "1") == "OK\n"
    assert etcdctl(store, "put", "kv/b", "2", "--prev-kv") == "OK\n"
    assert etcdctl(store, "put", "kv/b", "3", "--prev-kv") == "OK\nkv/b\n2\n"
    assert etcdctl(store, "get", "kv/a") == "kv/a\n1\n"
    assert etcdctl(store, "get", "kv/", "--prefix") == "kv/a\n1\nkv/b\n3\n"
    assert etcdctl(store, "get", "kv/", "--prefix", "--limit=1", "--keys-only") == "kv/a\n\n"
    descending = etcdctl(store, "get", "kv/", "--prefix", "--order=DESCEND", "--print-value-only")
    assert descending == "3\n1\n"
    assert etcdctl(store, "get", "kv/a", "--consistency=s") == "kv/a\n1\n"
    assert etcdctl(store, "del", "kv/", "--prefix", "--prev-kv") == "2\nkv/a\n1\nkv/b\n3\n"
    assert etcdctl(store, "get", "kv/", "--prefix") == ""


def test_get_at_an_older_revision(store: StoreCluster) -> None:
    etcdctl(store, "put", "rev/a", "old")
    revision = as_json(store, "get", "rev/a")["header"]["revision"]
    etcdctl(store, "put", "rev/a", "new")
    assert etcdctl(store, "get", "rev/a", f"--rev={revision}") == "rev/a\nold\n"


def test_txn(store: StoreCluster) -> None:
    etcdctl(store, "put", "txn/a", "1")
    script = 'value("txn/a") = "1"\n\nput txn/a 2\nget txn/a\n\nget txn/b\n\n'
    assert etcdctl(store, "txn", stdin=script) == "SUCCESS\n\nOK\n\ntxn/a\n2\n"
    assert etcdctl(store, "txn", stdin=script) == "FAILURE\n\n"


def test_watch(store: StoreCluster) -> None:
    first = as_json(store, "put", "watch/a", "1")["header"]["revision"]
    etcdctl(store, "put", "watch/b", "2")
    etcdctl(store, "del", "watch/a")
    arguments = ("watch", "watch/", "--prefix", f"--rev={first}", "--prev-kv")
    with subprocess.Popen(
        command(store, *arguments), stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as watching:
        assert watching.stdout is not None
        past = [watching.stdout.readline().strip() for _ in range(11)]
        etcdctl(store, "put", "watch/c", "live")
        live = [watching.stdout.readline().strip() for _ in range(3)]
        watching.terminate()
    changed = ["PUT", "watch/a", "1", "PUT", "watch/b", "2"]
    assert past == [*changed, "DELETE", "watch/a", "1", "watch/a", ""]
    assert live == ["PUT", "watch/c", "live"]


def test_watch_of_a_compacted_revision_says_so(store: StoreCluster) -> None:
    etcdctl(store, "put", "late", "1")
    revision = as_json(store, "put", "late", "2")["header"]["revision"]
    assert etcdctl(store, "compaction", str(revision)) == f"compacted revision {revision}\n"
    done = run(store, "watch", "late", "--rev=1")
    assert "watch was canceled (etcdserver: mvcc: required revision has been compacted)" in (
        done.stderr
    )


def test_compaction(store: StoreCluster) -> None:
    etcdctl(store, "put", "compact/a", "1")
    revision = as_json(store, "put", "compact/a", "2")["header"]["revision"]
    printed = etcdctl(store, "compaction", "--physical", str(revision))
    assert printed == f"compacted revision {revision}\n"
    again = run(store, "compaction", str(revision))
    assert again.returncode != 0
    assert "etcdserver: mvcc: required revision has been compacted" in again.stderr
    older = run(store, "get", "compact/a", f"--rev={revision - 1}")
    assert "etcdserver: mvcc: required revision has been compacted" in older.stderr
    future = run(store, "get", "compact/a", "--rev=1000000")
    assert "etcdserver: mvcc: required revision is a future revision" in future.stderr


def test_lease(store: StoreCluster) -> None:
    granted = etcdctl(store, "lease", "grant", "60")
    match = re.fullmatch(r"lease ([0-9a-f]{1,16}) granted with TTL\(60s\)\n", granted)
    assert match, granted
    lease = match[1]
    assert etcdctl(store, "put", "leased", "1", f"--lease={lease}") == "OK\n"
    left = etcdctl(store, "lease", "timetolive", lease, "--keys")
    pattern = (
        r"lease %s granted with TTL\(60s\), remaining\((5\d|60)s\), attached keys\(\[leased\]\)\n"
    )
    assert re.fullmatch(pattern % lease, left), left
    kept = etcdctl(store, "lease", "keep-alive", "--once", lease)
    assert kept == f"lease {lease} keepalived with TTL(60)\n"
    assert lease in etcdctl(store, "lease", "list")
    assert etcdctl(store, "lease", "revoke", lease) == f"lease {lease} revoked\n"
    assert etcdctl(store, "get", "leased") == ""
    gone = etcdctl(store, "lease", "timetolive", lease)
    assert gone == f"lease {lease} already expired\n"
    unknown = run(store, "lease", "revoke", "123")
    assert "etcdserver: requested lease not found" in unknown.stderr


def test_endpoint_health_and_status(store: StoreCluster) -> None:
    for health in as_json(store, "endpoint", "health"):
        assert health["health"], health
    statuses = [one["Status"] for one in as_json(store, "endpoint", "status")]
    assert len({status["header"]["member_id"] for status in statuses}) == 3
    leaders = {status["leader"] for status in statuses}
    assert len(leaders) == 1
    assert leaders <= {status["header"]["member_id"] for status in statuses}
    assert all(re.fullmatch(r"3\.[45]\.\d+", status["version"]) for status in statuses)
    hashes = as_json(store, "endpoint", "hashkv")
    assert len({one["HashKV"]["hash"] for one in hashes}) == 1


def test_member_list(store: StoreCluster) -> None:
    members = as_json(store, "member", "list")["members"]
    assert {member["name"] for member in members} == {"cp1", "cp2", "cp3"}
    assert {url for member in members for url in member["clientURLs"]} == set(store.endpoints)
    assert {url for member in members for url in member["peerURLs"]} == {
        member.peer_url for member in store.members
    }
    lines = etcdctl(store, "member", "list").splitlines()
    assert all(
        re.fullmatch(r"[0-9a-f]{1,16}, started, cp\d, https://\S+, https://\S+, false", line)
        for line in lines
    ), lines


def test_move_leader(store: StoreCluster) -> None:
    statuses = as_json(store, "endpoint", "status")
    leader_id = statuses[0]["Status"]["leader"]
    of_member = {one["Status"]["header"]["member_id"]: one["Endpoint"] for one in statuses}
    target_id = next(member_id for member_id in of_member if member_id != leader_id)
    moved = etcdctl(store, "move-leader", f"{target_id:x}", endpoints=of_member[leader_id])
    assert moved == f"Leadership transferred from {leader_id:x} to {target_id:x}\n"
    assert as_json(store, "endpoint", "status")[0]["Status"]["leader"] == target_id


def test_alarms_and_defragmentation(store: StoreCluster) -> None:
    assert etcdctl(store, "alarm", "list") == ""
    assert etcdctl(store, "alarm", "disarm") == ""
    defragmented = etcdctl(store, "defrag")
    assert defragmented.count("Finished defragmenting etcd member[https://") == 3


def test_large_requests_are_refused(store: StoreCluster) -> None:
    done = run(store, "put", "large", stdin="x" * 1_600_000)
    assert done.returncode != 0
    assert "etcdserver: request is too large" in done.stderr


def test_lock(store: StoreCluster) -> None:
    """A recipe that etcdctl builds from a lease, transactions and watches."""
    with subprocess.Popen(
        command(store, "lock", "mutex"), stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().startswith("mutex/")
        holder.terminate()
