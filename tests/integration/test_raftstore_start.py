"""`python -m raftstore`: what it says when it cannot start, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from etcdclient.pb.rpc_pb2 import PutRequest, RangeRequest
from tests.support.stores import HOST, StoreCluster, make_store

TIMEOUT_S = 30


@pytest.fixture
def store(tmp_path: Path) -> StoreCluster:
    """One member of ours, not started."""
    return make_store("raftstore", tmp_path, 1)


def refused(store: StoreCluster, *changed: str) -> tuple[int, str]:
    """Start with changed flags; the exit code and the one line it says."""
    done = subprocess.run(
        [sys.executable, "-m", "raftstore", *store.flags(store.members[0]), *changed],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("raftstore: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, lines[0]


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--election-timeout=100", "--election-timeout must be at least 5 times"),
        ("--name=cp9", "--initial-cluster names cp1, but not this member, cp9"),
        ("--listen-client-urls=http://127.0.0.1:1", "is not https://host:port"),
        ("--client-cert-auth=false", "--client-cert-auth=false is not offered"),
        ("--cert-file=", "--cert-file is required"),
        ("--heartbeat-interval=fast", "'fast' is not a duration"),
        ("--max-request-bytes=100000000", "--max-request-bytes must be from 1 to"),
        ("--initial-cluster=cp1", "is not NAME=https://HOST:PORT"),
        ("--initial-advertise-peer-urls=https://192.0.2.1:2380", "make them equal"),
        ("--auth-token=jwt", "unrecognized arguments: --auth-token=jwt"),
        ("--consensus=hope", "invalid choice: 'hope'"),
    ],
)
def test_wrong_flags_exit_2(store: StoreCluster, flag: str, says: str) -> None:
    code, line = refused(store, flag)
    assert code == 2
    assert says in line


def test_help_names_etcds_flags() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "raftstore", "--help"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    for flag in ("--initial-cluster", "--listen-client-urls", "--quota-backend-bytes"):
        assert flag in done.stdout


def test_assertions_may_not_be_switched_off(store: StoreCluster) -> None:
    done = subprocess.run(
        [sys.executable, "-O", "-m", "raftstore", "--help"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 2
    assert "python -O is refused" in done.stderr


@pytest.mark.parametrize("taken", ["client", "peer"])
def test_a_taken_port(store: StoreCluster, taken: str) -> None:
    member = store.members[0]
    port = member.client_port if taken == "client" else member.peer_port
    with socket.socket() as holder:
        holder.bind((HOST, port))
        holder.listen()
        code, line = refused(store)
    assert code == 1
    assert f"cannot listen for {taken}s on" in line
    assert f"--listen-{taken}-urls" in line


def test_an_unwritable_data_dir(store: StoreCluster, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a directory")
    code, line = refused(store, f"--data-dir={in_the_way / 'data'}")
    assert code == 1
    assert str(in_the_way) in line
    assert "--data-dir" in line


@pytest.mark.parametrize("flag", ["cert-file", "key-file", "trusted-ca-file"])
@pytest.mark.parametrize("side", ["", "peer-"])
def test_missing_and_broken_certificates(
    store: StoreCluster, tmp_path: Path, side: str, flag: str
) -> None:
    code, line = refused(store, f"--{side}{flag}={tmp_path / 'absent.pem'}")
    assert code == 1
    assert f"--{side}{flag}" in line
    assert "absent.pem" in line
    broken = tmp_path / "broken.pem"
    broken.write_text("this is no certificate\n")
    code, line = refused(store, f"--{side}{flag}={broken}")
    assert code == 1
    assert "broken.pem" in line


def test_a_key_of_another_certificate(store: StoreCluster, tmp_path: Path) -> None:
    other = tmp_path / "pki" / "etcd" / "peer.key"
    code, line = refused(store, f"--key-file={other}")
    assert code == 1
    assert "do not belong together (key values mismatch)" in line


def test_a_peer_certificate_of_another_ca(store: StoreCluster, tmp_path: Path) -> None:
    stranger = tmp_path / "pki" / "apiserver"
    code, line = refused(
        store, f"--peer-cert-file={stranger}.crt", f"--peer-key-file={stranger}.key"
    )
    assert code == 1
    assert "is not accepted by --peer-trusted-ca-file" in line
    assert "unable to get local issuer certificate" in line


def test_a_corrupt_journal(store: StoreCluster) -> None:
    async def fill() -> None:
        await store.wait_until_serving()
        async with store.client() as client:
            for number in range(20):
                await client.put(PutRequest(key=b"%d" % number, value=bytes(1_000)))

    store.start()
    try:
        asyncio.run(fill())
    finally:
        store.stop_all()
    (segment,) = (store.members[0].data_dir / "member" / "wal").glob("*.wal")
    with segment.open("r+b") as file:
        file.seek(4_000)
        file.write(b"\xff" * 16)
    code, line = refused(store)
    assert code == 1
    assert str(segment) in line


def test_sigterm_ends_in_order_and_keeps_everything(store: StoreCluster) -> None:
    async def write() -> None:
        await store.wait_until_serving()
        async with store.client() as client:
            await client.put(PutRequest(key=b"a", value=b"kept"))

    async def read() -> bytes:
        await store.wait_until_serving()
        async with store.client() as client:
            return (await client.range(RangeRequest(key=b"a"))).kvs[0].value

    try:
        store.start()
        asyncio.run(write())
        assert store.stop(0, signal.SIGTERM) == 0
        log = store.members[0].log_path.read_text()
        assert f"ready: clients {store.endpoints[0]}, peers {store.members[0].peer_url}" in log
        assert log.rstrip().endswith("stopped")
        store.start()
        assert asyncio.run(read()) == b"kept"
        assert store.stop(0, signal.SIGINT) == 0
    finally:
        store.stop_all()


def test_two_members_may_not_share_a_data_dir(store: StoreCluster) -> None:
    try:
        store.start()
        asyncio.run(store.wait_until_serving())
        other = make_store("raftstore", store.root / "other", 1).members[0]
        code, line = refused(
            store,
            f"--listen-client-urls=https://{HOST}:{other.client_port}",
            f"--listen-peer-urls=https://{HOST}:{other.peer_port}",
        )
        assert code == 1
        assert "in use by another member process" in line
    finally:
        store.stop_all()
