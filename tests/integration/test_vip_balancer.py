"""The balancer in this process, with real sockets: relaying, bounds, retries, half-close."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import cast

import pytest
import uvloop

from tests.support.vip_world import free_port
from vip.backends import Backend, BackendAddress, Health, Pool
from vip.balancer import Balancer, Limits
from vip.loopback import AddressError, LoopbackAddress, listen

HOST = "127.0.28.41"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def on_uvloop(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """Run as the agent runs: uvloop's transports differ from asyncio's in detail."""

    def run() -> None:
        uvloop.run(test())

    run.__name__ = test.__name__
    return run


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo until the client's end, then say goodbye: a half-closed connection still answers."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if not writer.is_closing():
        writer.write(b"bye")


class World:
    """Backends in this process, a balancer before them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.port = free_port(HOST)
        self.pool = Pool([], dead_after_s=3)
        self.accepted = 0
        self.failed: list[Backend] = []
        self._served: set[asyncio.StreamWriter] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._servers: list[asyncio.Server] = []

    async def add_backend(self, handler: Handler = echo) -> Backend:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.accepted += 1
            self._served.add(writer)
            with contextlib.suppress(ConnectionError):
                await handler(reader, writer)
            writer.close()
            self._served.discard(writer)

        port = free_port(HOST)
        self._servers.append(await asyncio.start_server(serve, HOST, port))
        return self._add(port)

    def add_dead_backend(self) -> Backend:
        return self._add(free_port(HOST))

    def _add(self, port: int) -> Backend:
        backend = Backend(BackendAddress(HOST, port), health=Health.READY)
        self.pool.backends.append(backend)
        return backend

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        self._writers.append(writer)
        return reader, writer

    async def close(self) -> None:
        for writer in (*self._writers, *self._served):
            writer.transport.abort()
        for server in self._servers:
            server.close()
        await until(lambda: not self._served)


@asynccontextmanager
async def balancing(limits: Limits = Limits()) -> AsyncIterator[tuple[World, Balancer]]:  # noqa: B008
    world = World(limits)
    async with asyncio.TaskGroup() as tasks:
        balancer = Balancer(world.pool, tasks, limits=limits, on_dial_failed=world.failed.append)
        await balancer.serve(listen(HOST, world.port))
        try:
            yield world, balancer
        finally:
            balancer.stop()
            await world.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def is_ended(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(10):
            return await reader.read(1) == b""
    except ConnectionResetError:
        return True


@on_uvloop
async def test_bytes_pass_and_half_close_is_passed_on() -> None:
    async with balancing() as (world, balancer):
        await world.add_backend()
        reader, writer = await world.dial()
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write_eof()
        assert await reader.read() == b"bye"
        await until(lambda: balancer.connections == 0)
        assert world.pool.backends[0].connections == 0


@on_uvloop
async def test_end_of_stream_right_after_the_first_bytes() -> None:
    async with balancing() as (world, _):
        await world.add_backend()
        for _ in range(20):
            reader, writer = await world.dial()
            writer.write(b"hello")
            writer.write_eof()
            assert await reader.read() == b"hellobye"


@on_uvloop
async def test_a_slow_reader_holds_its_sender_back_and_gets_every_byte() -> None:
    total = 24 << 20
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.read(1)
        while sent < total:
            writer.write(bytes(1 << 16))
            sent += 1 << 16
            await writer.drain()

    async with balancing() as (world, _):
        await world.add_backend(pour)
        reader, writer = await world.dial()
        transport = cast(asyncio.Transport, writer.transport)
        transport.pause_reading()
        writer.write(b"?")
        before = -1
        while before != sent:  # until it stands still
            before = sent
            await asyncio.sleep(0.2)
        assert sent < total, "24 MiB are more than all buffers on the way"
        transport.resume_reading()
        assert len(await reader.readexactly(total)) == total


@on_uvloop
async def test_a_backend_that_refuses_costs_nobody_a_connection() -> None:
    async with balancing() as (world, _):
        dead = world.add_dead_backend()
        await world.add_backend()
        for _ in range(6):
            reader, writer = await world.dial()
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
        assert dead.health.value == "dead"
        assert world.failed == [dead], "the checker hears of it once, then it is not tried"


@on_uvloop
async def test_without_backends_clients_are_turned_away() -> None:
    async with balancing() as (world, balancer):
        world.add_dead_backend()
        reader, writer = await world.dial()
        writer.write(b"hello")
        assert await is_ended(reader)
        await until(lambda: balancer.connections == 0)


@on_uvloop
async def test_silent_clients_cost_no_backend_and_are_bounded() -> None:
    limits = Limits(connections_max=16, silent_max=4)
    async with balancing(limits) as (world, balancer):
        await world.add_backend()
        silent = [await world.dial() for _ in range(8)]
        await until(lambda: balancer.connections == 4)
        assert world.accepted == 0, "no byte came: no backend was dialled"
        for reader, _ in silent[:4]:
            assert await is_ended(reader), "the oldest make room"
        reader, writer = silent[7]
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"


@on_uvloop
async def test_truncated_hellos_do_not_keep_others_out() -> None:
    limits = Limits(connections_max=64, silent_max=16)
    async with balancing(limits) as (world, balancer):
        await world.add_backend()
        for _ in range(40):
            _, writer = await world.dial()
            writer.write(b"\x16\x03\x01\x02\x00\x01\x00")  # a TLS hello that ends early
            await writer.drain()
        await until(lambda: world.accepted == 40)
        reader, writer = await world.dial()
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        assert balancer.connections == 41


@on_uvloop
async def test_connections_beyond_the_bound_are_turned_away() -> None:
    limits = Limits(connections_max=3, silent_max=2)
    async with balancing(limits) as (world, balancer):
        await world.add_backend()
        speaking = [await world.dial() for _ in range(1)]
        for number in range(3):
            reader, writer = speaking[-1]
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            if number < 2:
                speaking.append(await world.dial())
        assert balancer.connections == 3
        reader, _ = await world.dial()
        assert await is_ended(reader)
        assert balancer.connections == 3
        reader, writer = speaking[0]
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello", "those that speak stay"


@on_uvloop
async def test_dropping_a_backend_resets_its_connections_only() -> None:
    async with balancing() as (world, balancer):
        first, second = await world.add_backend(), await world.add_backend()
        lines = []
        for _ in range(2):
            reader, writer = await world.dial()
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            lines.append((reader, writer))
        assert (first.connections, second.connections) == (1, 1)
        assert balancer.drop(first) == 1
        assert await is_ended(lines[0][0])
        await until(lambda: first.connections == 0)
        lines[1][1].write(b"hello")
        assert await lines[1][0].readexactly(5) == b"hello"


@on_uvloop
async def test_stop_closes_the_listener_and_every_connection() -> None:
    async with balancing() as (world, balancer):
        await world.add_backend()
        reader, writer = await world.dial()
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        address = LoopbackAddress(HOST, world.port)
        assert not await address.is_refused()
        balancer.stop()
        assert await is_ended(reader)
        async with asyncio.timeout(5):
            while not await address.is_refused():
                await asyncio.sleep(0.005)


def test_two_cannot_listen_and_the_error_says_so() -> None:
    port = free_port(HOST)
    with listen(HOST, port), pytest.raises(AddressError, match="held by another process"):
        listen(HOST, port)


def test_a_dead_holders_connections_do_not_keep_a_successor_out() -> None:
    port = free_port(HOST)
    listener = listen(HOST, port)
    listener.setblocking(True)
    with socket.create_connection((HOST, port)):
        accepted, _ = listener.accept()
        listener.close()
        accepted.close()  # first to close: TIME_WAIT is ours
        listen(HOST, port).close()
