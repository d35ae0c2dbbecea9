"""Real processes around one virtual IP: etcd, agents, TLS servers behind it."""

import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pki.issue import ensure_pki
from pki.layout import ClusterNames, Node

_HOSTS = [f"127.0.28.{number}" for number in range(1, 10)]


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str, *, timeout_s: float = 15.0) -> float:
    """Poll until the condition holds; returns how long that took, in seconds."""
    began = time.monotonic()
    while not condition():
        elapsed_s = time.monotonic() - began
        assert elapsed_s < timeout_s, f"{what} did not come to be within {timeout_s} s"
        time.sleep(0.005)
    return time.monotonic() - began


class VipWorld:
    """All processes that a test started; ends them, by pid, when the test is over."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.vip_host = "127.0.28.10"
        self.vip_port = free_port(self.vip_host)
        self.etcd_url = f"http://{_HOSTS[0]}:{free_port(_HOSTS[0])}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        nodes = tuple(Node(f"cp{n}", _HOSTS[n]) for n in range(1, 4))
        self.backends = {node.name: (node.address, free_port(node.address)) for node in nodes}
        names = ClusterNames(nodes=nodes, endpoint_host=self.vip_host, endpoint_port=self.vip_port)
        ensure_pki(directory, names, now=datetime.now(UTC))
        self.context = ssl.create_default_context(cafile=str(directory / "pki" / "ca.crt"))

    @property
    def vip(self) -> str:
        return f"{self.vip_host}:{self.vip_port}"

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.processes[name] = process
        return process

    def start_etcd(self) -> None:
        etcd = shutil.which("etcd")
        assert etcd is not None, "these tests need Debian's etcd-server: run `make apt`"
        peer_url = f"http://{_HOSTS[0]}:{free_port(_HOSTS[0])}"
        flags = {
            "data-dir": str(self.directory / "etcd"),
            "listen-client-urls": self.etcd_url,
            "advertise-client-urls": self.etcd_url,
            "listen-peer-urls": peer_url,
            "initial-advertise-peer-urls": peer_url,
            "initial-cluster": f"default={peer_url}",
            "unsafe-no-fsync": "true",
        }
        self.start("etcd", [etcd, *(f"--{flag}={value}" for flag, value in flags.items())])
        host, port = self.etcd_url.removeprefix("http://").split(":")
        wait_until(lambda: can_connect(host, int(port)), "etcd")

    def start_backend(self, name: str) -> None:
        host, port = self.backends[name]
        pki = self.directory / "pki"
        flags = ["--host", host, "--port", str(port), "--name", name]
        tls = ["--cert", str(pki / "apiserver.crt"), "--key", str(pki / "apiserver.key")]
        module = "tests.support.fake_apiserver"
        self.start(f"backend-{name}", [sys.executable, "-m", module, *flags, *tls])
        wait_until(lambda: can_connect(host, port), f"backend {name}")

    def start_agent(self, name: str, *flags: str) -> subprocess.Popen[bytes]:
        return self.start(f"agent-{name}", [sys.executable, "-m", "vip", *self.flags(name), *flags])

    def flags(self, name: str) -> list[str]:
        backends = ",".join(f"{host}:{port}" for host, port in self.backends.values())
        return [
            *("--address", self.vip),
            *("--node-name", name),
            *("--backends", backends),
            *("--backend-cafile", str(self.directory / "pki" / "ca.crt")),
            *("--etcd-servers", self.etcd_url),
        ]

    def log_of(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    def signal(self, name: str, number: signal.Signals) -> None:
        self.processes[name].send_signal(number)

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def listeners(self) -> list[str]:
        """The agents that listen on the virtual IP now, by asking the kernel."""
        wanted = _proc_address(self.vip_host, self.vip_port)
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        rows = [line.split() for line in lines]
        inodes = {row[9] for row in rows if row[1] == wanted and row[3] == "0A"}
        return [
            name for name, process in self.processes.items() if inodes & _socket_inodes(process.pid)
        ]

    def holder(self) -> str | None:
        """The agent that listens; it is an error if two do."""
        listening = self.listeners()
        assert len(listening) <= 1, f"two holders: {listening}"
        return listening[0] if listening else None

    def get(self, path: str, *, method: str = "GET", timeout_s: float = 2.0) -> tuple[int, str]:
        """One request through the virtual IP on a connection of its own."""
        with self.connection(timeout_s=timeout_s) as connection:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    @contextmanager
    def connection(self, *, timeout_s: float = 2.0) -> Iterator[http.client.HTTPSConnection]:
        connection = http.client.HTTPSConnection(
            self.vip_host, self.vip_port, context=self.context, timeout=timeout_s
        )
        try:
            yield connection
        finally:
            connection.close()

    def answers(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def set_readiness(self, name: str, code: int) -> None:
        host, port = self.backends[name]
        connection = http.client.HTTPSConnection(host, port, context=self.context, timeout=5)
        connection.request("POST", f"/status?code={code}")
        assert connection.getresponse().read() == b"set"
        connection.close()

    def close(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def can_connect(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _proc_address(host: str, port: int) -> str:
    return f"{socket.inet_aton(host)[::-1].hex().upper()}:{port:04X}"


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            found.add(target.removeprefix("socket:[").removesuffix("]"))
    return found
