"""The client against servers that die at the worst moment: is what it concludes true?"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chaos.workload.client import ApiClient, Outcome
from pki.issue import ensure_pki
from pki.layout import ClusterNames, Node
from tests.support.vip_world import free_port

HOST = "127.0.28.61"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CONFLICT = b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("client")
    names = ClusterNames((Node("cp1", HOST),), endpoint_host=HOST)
    ensure_pki(directory, names, now=datetime.now(UTC))
    return directory / "pki"


class Server:
    """Answers requests by a script: each entry is a response, or None to die without one."""

    def __init__(self, script: list[bytes | None]) -> None:
        self.script = script
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                await reader.readexactly(int(fields[b"Content-Length"]))
                self.requests.append(head.split()[0])
                response = self.script.pop(0)
                if response is None:
                    return
                writer.write(response)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.transport.abort()


@asynccontextmanager
async def serving(pki: Path, script: list[bytes | None]) -> AsyncIterator[tuple[Server, ApiClient]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    port = free_port(HOST)
    server = Server(script)
    listener = await asyncio.start_server(server.serve, HOST, port, ssl=context)
    trust = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    async with ApiClient(f"https://{HOST}:{port}", trust, timeout_s=2.0) as client:
        try:
            yield server, client
        finally:
            listener.close()


async def test_conflict_is_definite(pki: Path) -> None:
    async with serving(pki, [CONFLICT]) as (_, client):
        answer = await client.put("/x", {})
    assert (answer.outcome, answer.is_conflict) == (Outcome.FAILED, True)


async def test_death_after_the_request_is_unknown(pki: Path) -> None:
    async with serving(pki, [None, None]) as (server, client):
        answer = await client.put("/x", {})
        assert server.requests == [b"PUT", b"PUT"], "aiohttp sends it twice"
    assert answer.outcome is Outcome.UNKNOWN


async def test_conflict_after_a_silent_second_sending_is_unknown(pki: Path) -> None:
    """The first PUT may have taken effect before the server died; the conflict is with itself."""
    async with serving(pki, [OK, None, CONFLICT]) as (server, client):
        assert (await client.put("/x", {})).outcome is Outcome.DONE
        answer = await client.put("/x", {})
        assert server.requests == [b"PUT", b"PUT", b"PUT"], "the second one was sent twice"
    assert answer.is_conflict
    assert answer.outcome is Outcome.UNKNOWN


async def test_silence_is_unknown(pki: Path) -> None:
    partial = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"
    async with serving(pki, [partial]) as (_, client):
        answer = await client.put("/x", {})
    assert answer.outcome is Outcome.UNKNOWN


async def test_refused_connection_is_definite(pki: Path) -> None:
    trust = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    async with ApiClient(f"https://{HOST}:{free_port(HOST)}", trust) as client:
        assert (await client.put("/x", {})).outcome is Outcome.FAILED


async def test_untrusted_server_is_definite(pki: Path) -> None:
    async with serving(pki, [OK]) as (server, trusted):
        async with ApiClient(trusted.server, ssl.create_default_context()) as client:
            assert (await client.put("/x", {})).outcome is Outcome.FAILED
        assert server.requests == []
