"""The proxy network as a process of its own, with real connections through it."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chaos.live.network import NetworkError, ProxyNetwork
from tests.support.vip_world import free_port

HOSTS = {"cp1": "127.0.28.21", "cp2": "127.0.28.22", "cp3": "127.0.28.23"}
SILENCE_S = 0.3
"""How long nothing may arrive for a link to count as cut."""


class Line:
    """A connection from one member to another through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, text: bytes, *, timeout_s: float = 5.0) -> bytes:
        """Send a line and return the echo. Raises TimeoutError if none comes."""
        self.writer.write(text + b"\n")
        async with asyncio.timeout(timeout_s):
            return (await self.reader.readline()).removesuffix(b"\n")

    async def is_silent(self) -> bool:
        try:
            await self.ask(b"anybody?", timeout_s=SILENCE_S)
        except TimeoutError:
            return True
        return False

    async def is_reset(self) -> bool:
        try:
            async with asyncio.timeout(5):
                return await self.reader.read(1 << 16) == b""
        except ConnectionResetError:
            return True


class Members:
    """An echo server at each member's listening address, the proxy at the advertised ones."""

    def __init__(self, directory: Path) -> None:
        self.control = directory / "proxy.sock"
        self.advertised = {node: free_port(host) for node, host in HOSTS.items()}
        self.listening = {node: free_port(host) for node, host in HOSTS.items()}
        self.network = ProxyNetwork(self.control)
        self.heard: list[bytes] = []
        self._lines: list[Line] = []
        self._served: set[asyncio.StreamWriter] = set()
        self.process: subprocess.Popen[str] | None = None

    @property
    def flags(self) -> list[str]:
        members = ",".join(
            f"{node}={host}:{self.advertised[node]}>{host}:{self.listening[node]}"
            for node, host in HOSTS.items()
        )
        return ["--members", members, "--control", str(self.control)]

    async def start(self) -> None:
        command = [sys.executable, "-m", "chaos.live.proxy", *self.flags]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 10
        while True:
            try:
                await self.network.state()
                return
            except NetworkError:
                assert time.monotonic() < deadline, "the proxy did not start"
                await asyncio.sleep(0.02)

    async def echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._served.add(writer)
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                self.heard.append(line.removesuffix(b"\n"))
                writer.write(line)
                await writer.drain()
        writer.close()
        self._served.discard(writer)

    async def dial(self, source: str, target: str) -> Line:
        reader, writer = await asyncio.open_connection(
            HOSTS[target],
            self.advertised[target],
            local_addr=(HOSTS.get(source, "127.0.0.1"), 0),
        )
        line = Line(reader, writer)
        self._lines.append(line)
        return line

    async def close(self) -> None:
        for writer in (*(line.writer for line in self._lines), *self._served):
            writer.transport.abort()
        while self._served:
            await asyncio.sleep(0.01)
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
async def members(tmp_path: Path) -> AsyncIterator[Members]:
    members = Members(tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        for node, host in HOSTS.items():
            server = await asyncio.start_server(members.echo, host, members.listening[node])
            stack.callback(server.close)
        stack.push_async_callback(members.close)
        await members.start()
        yield members


async def test_bytes_pass_and_the_target_sees_the_source(members: Members) -> None:
    line = await members.dial("cp1", "cp2")
    assert await line.ask(b"hello") == b"hello"
    assert (await members.network.state())["connections"] == 1


async def test_large_streams_pass_whole(members: Members) -> None:
    line = await members.dial("cp1", "cp2")
    block = bytes(range(1, 10)) * 5_000  # no newline in it
    for _ in range(40):
        assert await line.ask(block) == block


async def test_partition_silences_connections_and_dials_without_closing_any(
    members: Members,
) -> None:
    line = await members.dial("cp1", "cp2")
    other = await members.dial("cp2", "cp3")
    assert await line.ask(b"before") == b"before"
    await members.network.partition([["cp1"], ["cp2", "cp3"]])
    assert await line.is_silent()
    late = await members.dial("cp3", "cp1")
    assert await late.is_silent()
    assert await other.ask(b"the majority talks") == b"the majority talks"
    assert b"anybody?" not in members.heard
    assert not line.reader.at_eof(), "a partition closes nothing"


async def test_heal_resets_what_was_cut_and_lets_new_connections_through(members: Members) -> None:
    line = await members.dial("cp1", "cp2")
    untouched = await members.dial("cp2", "cp3")
    assert await line.ask(b"before") == b"before"
    await members.network.cut("cp1", "cp2")
    assert await line.is_silent()
    await members.network.heal()
    assert await line.is_reset()
    fresh = await members.dial("cp1", "cp2")
    assert await fresh.ask(b"after") == b"after"
    assert await untouched.ask(b"still here") == b"still here"
    assert b"anybody?" not in members.heard, "no byte from before the heal arrives after it"


async def test_one_way_cut_lets_the_other_way_pass(members: Members) -> None:
    line = await members.dial("cp1", "cp2")
    assert await line.ask(b"before") == b"before"
    await members.network.cut("cp2", "cp1", both_ways=False)
    assert await line.is_silent()
    assert members.heard[-1] == b"anybody?", "the question arrived, the answer did not"


async def test_a_closing_end_is_not_heard_of_across_a_cut(members: Members) -> None:
    line = await members.dial("cp1", "cp2")
    assert await line.ask(b"before") == b"before"
    await members.network.cut("cp1", "cp2")
    line.writer.transport.abort()
    assert (await members.network.state())["connections"] == 1
    await members.network.heal()
    deadline = time.monotonic() + 5
    while (await members.network.state())["connections"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_delay_holds_bytes_back_in_order(members: Members) -> None:
    line = await members.dial("cp1", "cp2")
    assert await line.ask(b"warm") == b"warm"
    await members.network.delay("cp1", "cp2", delay_ms=120)
    began = time.monotonic()
    assert await line.ask(b"slow") == b"slow"
    assert 0.12 <= time.monotonic() - began < 2
    line.writer.write(b"first\n")
    await line.writer.drain()
    await members.network.delay("cp1", "cp2", delay_ms=0)
    assert await line.ask(b"second") == b"first"


async def test_strangers_are_never_cut(members: Members) -> None:
    await members.network.partition([["cp1"], ["cp2"], ["cp3"]])
    line = await members.dial("a stranger", "cp2")
    assert await line.ask(b"hello") == b"hello"


async def test_unknown_nodes_and_commands_are_refused(members: Members) -> None:
    with pytest.raises(NetworkError, match="no node is named cp9"):
        await members.network.cut("cp1", "cp9")
    reader, writer = await asyncio.open_unix_connection(str(members.control))
    for line in (b"nonsense\n", b"{}\n", b'{"do": "explode"}\n', b"[]\n"):
        writer.write(line)
        assert b"error" in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert (await members.network.state())["cut"] == []


async def test_sigterm_ends_it_in_good_order(members: Members) -> None:
    line = await members.dial("cp1", "cp2")
    assert await line.ask(b"hello") == b"hello"
    assert members.process is not None
    members.process.send_signal(signal.SIGTERM)
    _, logged = await asyncio.to_thread(members.process.communicate, timeout=10)
    assert members.process.returncode == 0
    assert "ready cp1=" in logged
    assert not members.control.exists()


async def test_a_taken_address_is_named(members: Members) -> None:
    command = [sys.executable, "-m", "chaos.live.proxy", *members.flags]
    ended = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 1
    assert "cannot start" in ended.stderr
    assert "in use" in ended.stderr
    assert (await members.network.state())["cut"] == [], "the one that runs is unharmed"


def test_wrong_flags_exit_with_two(tmp_path: Path) -> None:
    flags = ["--members", "cp1=nowhere", "--control", str(tmp_path / "s")]
    command = [sys.executable, "-m", "chaos.live.proxy", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert "is not NODE=" in ended.stderr
