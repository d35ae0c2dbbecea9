"""Real API server processes over a real store, and a small client that hides nothing."""

from __future__ import annotations

import asyncio
import io
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.stores import HOST, StoreCluster

READY = re.compile(r"ready https://[^:]+:(\d+)")
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0


@dataclass(slots=True)
class ApiServerProcess:
    """One `python -m apiserver` on a free port of the store's host, with the store's PKI."""

    store: StoreCluster
    name: str
    extra_flags: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    log_path: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log_path = self.store.root / f"apiserver-{self.name}.log"

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"https://{HOST}:{self.port}"

    def flags(self) -> list[str]:
        """Kube-apiserver's flags; the port of the last start is taken again."""
        pki = self.store.root / "pki"
        return [
            f"--bind-address={HOST}",
            f"--secure-port={self.port}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--etcd-servers={','.join(self.store.endpoints)}",
            f"--etcd-cafile={self.store.tls.ca}",
            f"--etcd-certfile={self.store.tls.cert}",
            f"--etcd-keyfile={self.store.tls.key}",
            *self.extra_flags,
        ]

    async def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "apiserver", *self.flags()], stdout=log, stderr=log
            )
        async with asyncio.timeout(START_TIMEOUT_S):
            while True:
                text = self.log_path.read_text()
                found = READY.search(text)
                if found:
                    self.port = int(found[1])
                    return
                assert self.process.poll() is None, text
                await asyncio.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(STOP_TIMEOUT_S)
        self.process = None
        return code


def admin_tls(root: Path) -> ssl.SSLContext:
    """A client of group system:masters."""
    return client_tls(root, root / "pki" / "apiserver-kubelet-client")


def client_tls(root: Path, stem: Path | None) -> ssl.SSLContext:
    """A client with the certificate and key `stem`.crt and .key, or with none."""
    context = ssl.create_default_context(cafile=str(root / "pki" / "ca.crt"))
    if stem is not None:
        context.load_cert_chain(f"{stem}.crt", f"{stem}.key")
    return context


def issue_client(root: Path, name: str, groups: tuple[str, ...] = (), *, ca: str = "ca") -> Path:
    """A client certificate for a user, signed by `pki/<ca>`; returns its stem."""
    pki = root / "pki"
    authority = x509.load_pem_x509_certificate((pki / f"{ca}.crt").read_bytes())
    signer = serialization.load_pem_private_key((pki / f"{ca}.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    )
    stem = root / f"client-{ca}-{name.replace(':', '-')}"
    stem.with_suffix(".crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    stem.with_suffix(".key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return stem


@dataclass(frozen=True, slots=True)
class Answer:
    """A status code, the headers and the raw body."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return orjson.loads(self.body)


class ApiClient:
    """Plain HTTP with JSON bodies; whatever the server says comes back as it is."""

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        self.url = url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=0), auto_decompress=True
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """One request; `body` is sent as it is when it is bytes."""
        raw = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        data = None if raw is None else io.BytesIO(raw)
        sent = {"Content-Type": content_type, **(headers or {})}
        async with self._session.request(
            method, self.url + path, data=data, headers=sent
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **keywords: Any) -> Answer:
        return await self.call("GET", path, **keywords)

    async def post(self, path: str, body: Any, **keywords: Any) -> Answer:
        return await self.call("POST", path, body, **keywords)

    async def put(self, path: str, body: Any, **keywords: Any) -> Answer:
        return await self.call("PUT", path, body, **keywords)

    async def delete(self, path: str, body: Any = None, **keywords: Any) -> Answer:
        return await self.call("DELETE", path, body, **keywords)

    async def patch(self, path: str, body: Any, kind: str = "merge-patch") -> Answer:
        return await self.call("PATCH", path, body, content_type=f"application/{kind}+json")

    @asynccontextmanager
    async def watch(
        self, path: str, *, headers: dict[str, str] | None = None
    ) -> AsyncIterator[Events]:
        """A watch stream of `path`, which has its query already (`watch=true` is added)."""
        joiner = "&" if "?" in path else "?"
        timeout = aiohttp.ClientTimeout(total=None, sock_read=30)
        async with self._session.get(
            f"{self.url}{path}{joiner}watch=true", headers=headers, timeout=timeout
        ) as response:
            yield Events(response)


class Events:
    """The events of one watch stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.status = response.status

    async def next(self, timeout_s: float = 10.0) -> Any:
        """The next event; None at the clean end of the stream."""
        async with asyncio.timeout(timeout_s):
            line = await self.response.content.readline()
        return orjson.loads(line) if line else None

    async def take(self, count: int) -> list[tuple[str, str]]:
        """Types and names of the next events."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


def config_map(name: str, *, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    """A ConfigMap to create."""
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def namespace(name: str) -> dict[str, Any]:
    """A Namespace to create."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
