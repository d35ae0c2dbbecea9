"""A TLS port under clients that are no good: each gets a line of its own, others notice nothing."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pki.issue import ensure_pki
from pki.layout import ClusterNames, Node
from tlsedge.listener import LINES_PER_PERIOD_MAX, TlsListener

HOST = "127.0.0.1"


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def tree(root: Path) -> Path:
    names = ClusterNames(nodes=(Node("cp1", HOST),), endpoint_host=HOST)
    ensure_pki(root, names, now=datetime.now(UTC))
    return root / "pki" / "etcd"


@pytest.fixture(scope="module")
def etcd_pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def port(etcd_pki: Path) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(etcd_pki / "ca.crt"))
    context.load_cert_chain(etcd_pki / "server.crt", etcd_pki / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    listening = socket.create_server((HOST, 0))
    async with TlsListener(listening, context, Echo):
        yield listening.getsockname()[1]


def client_context(trusted: Path, own: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(trusted / "ca.crt"))
    if own is not None:
        pair = own / "healthcheck-client"
        context.load_cert_chain(pair.with_suffix(".crt"), pair.with_suffix(".key"))
    return context


async def echoes(port: int, context: ssl.SSLContext) -> bool:
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
    writer.write(b"hello")
    try:
        return await reader.readexactly(5) == b"hello"
    finally:
        writer.close()


async def until_logged(caplog: pytest.LogCaptureFixture, text: str) -> str:
    async with asyncio.timeout(10):
        while text not in caplog.text:
            await asyncio.sleep(0.01)
    return caplog.text


async def test_good_client_is_served(port: int, etcd_pki: Path) -> None:
    assert await echoes(port, client_context(etcd_pki, etcd_pki))


async def test_truncated_hello_is_named(
    port: int, etcd_pki: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection(HOST, port)
    address = writer.get_extra_info("sockname")
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    writer.write_eof()
    said = await until_logged(caplog, "TLS handshake error")
    writer.close()
    assert f"from {address[0]}:{address[1]}: it closed the connection before" in said
    assert await echoes(port, client_context(etcd_pki, etcd_pki))


async def test_plain_http_is_told_from_tls(port: int, caplog: pytest.LogCaptureFixture) -> None:
    _, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await until_logged(caplog, "it speaks plain HTTP; this port speaks TLS only")
    writer.close()


async def test_client_of_another_ca_is_refused(
    port: int, etcd_pki: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await echoes(port, client_context(etcd_pki, tree(tmp_path)))
    await until_logged(caplog, "its certificate is refused")


async def test_client_without_a_certificate_is_refused(
    port: int, etcd_pki: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await echoes(port, client_context(etcd_pki, None))
    await until_logged(caplog, "it sent no client certificate; one is required here")


async def test_client_that_distrusts_us_is_named(
    port: int, etcd_pki: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ssl.SSLError):
        await echoes(port, client_context(tree(tmp_path), etcd_pki))
    await until_logged(caplog, "does it speak TLS and trust our CA?")


async def test_silent_clients_do_not_keep_others_out(port: int, etcd_pki: Path) -> None:
    silent = [await asyncio.open_connection(HOST, port) for _ in range(100)]
    assert await echoes(port, client_context(etcd_pki, etcd_pki))
    for _, writer in silent:
        writer.close()


async def test_flood_of_failures_is_not_a_flood_of_lines(
    port: int, etcd_pki: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(3 * LINES_PER_PERIOD_MAX):
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"nonsense, no TLS record\n")
        assert await reader.read() is not None
        writer.close()
    assert await echoes(port, client_context(etcd_pki, etcd_pki))
    assert caplog.text.count("TLS handshake error") == LINES_PER_PERIOD_MAX


async def test_closing_lets_handshakes_in_progress_finish(etcd_pki: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(etcd_pki / "ca.crt"))
    context.load_cert_chain(etcd_pki / "server.crt", etcd_pki / "server.key")
    accepted = asyncio.Event()
    loop = asyncio.get_running_loop()
    listening = socket.create_server((HOST, 0))
    async with TlsListener(listening, context, Echo) as listener:
        plain = socket.socket()
        plain.setblocking(False)
        await loop.sock_connect(plain, listening.getsockname())
        await loop.sock_sendall(plain, b"\x16\x03\x01\x02")  # The beginning of a hello.
        while not listener.handshakes:
            await asyncio.sleep(0.001)
        listener.close()
        waiting = loop.create_task(listener.wait_handshakes(10), name="drain")
        waiting.add_done_callback(lambda _: accepted.set())
        await asyncio.sleep(0)
        assert not accepted.is_set()
        plain.close()
        await waiting
        assert listener.handshakes == 0
