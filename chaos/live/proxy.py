"""The per-link TCP proxy network between store members: a process of its own, no root needed.

    python -m chaos.live.proxy --members cp1=127.0.0.11:2380>127.0.0.11:2390,… --control SOCKET

stands at each member's advertised peer address (left of `>`) and forwards to the address where it
listens. A connection's source address tells which member it comes from, so members must dial from
their own address. Commands arrive as JSON lines on the control socket (`chaos.live.network`).

What it cannot do: a dial across a cut succeeds in TCP (this process accepted it) and then hangs,
where a real network would leave the dial itself hanging. `chaos.live.netns` does that.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chaos.live.links import LinkError, Links
from chaos.live.network import CONTROL_LINE_BYTES_MAX
from chaos.live.tunnel import End, Tunnel, reset

log = logging.getLogger("chaos.proxy")

TUNNELS_MAX = 1024
BACKLOG = 128
OUTSIDE = "outside"
"""The name of every source that is no member; nothing cuts its links."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A member's advertised address, where the proxy stands, and its own, where it listens."""

    node: str
    host: str
    port: int
    target_host: str
    target_port: int


def parse_members(text: str) -> tuple[Stand, ...]:
    """`cp1=127.0.0.11:2380>127.0.0.11:2390,…`. Raises ValueError that says what is wrong."""
    stands = []
    for item in text.split(","):
        node, equals, addresses = item.strip().partition("=")
        advertised, arrow, listening = addresses.partition(">")
        if not (node and equals and arrow):
            raise ValueError(f"{item!r} is not NODE=ADVERTISED:PORT>LISTENING:PORT")
        stands.append(Stand(node, *_split(advertised), *_split(listening)))
    for what in ("node", "host"):
        values = [getattr(stand, what) for stand in stands]
        if len(set(values)) < len(values):
            raise ValueError(f"two members have the same {what}")
    return tuple(stands)


def _split(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"{address!r} is not HOST:PORT")
    return host, int(port)


class Proxy:
    """All tunnels of the network. `run` owns every task and returns when `stop` is called."""

    def __init__(self, stands: Sequence[Stand], control: Path) -> None:
        self._stands = stands
        self._control = control
        self._links = Links(frozenset(stand.node for stand in stands))
        self._node_of_host = {stand.host: stand.node for stand in stands}
        self._tunnels: dict[Tunnel, None] = {}  # in order of age
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    async def run(self) -> None:
        """Serve until stopped. Raises OSError if an address or the socket cannot be had."""
        listeners = [_bind(stand) for stand in self._stands]
        self._control.unlink(missing_ok=True)
        control = await asyncio.start_unix_server(
            self._serve_commands, str(self._control), limit=CONTROL_LINE_BYTES_MAX
        )
        async with asyncio.TaskGroup() as dials:
            servers = [
                await self._listen(stand, listener, dials)
                for stand, listener in zip(self._stands, listeners, strict=True)
            ]
            log.info("ready %s control=%s", _describe(self._stands), self._control)
            await self._stopped.wait()
            for server in (control, *servers):
                server.close()
            for tunnel in list(self._tunnels):
                tunnel.reset()
        self._control.unlink(missing_ok=True)

    async def _listen(
        self, stand: Stand, listener: socket.socket, dials: asyncio.TaskGroup
    ) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            lambda: _Acceptor(self, stand, dials), sock=listener, backlog=BACKLOG
        )

    def open_tunnel(self, source_host: str, stand: Stand) -> Tunnel | None:
        """A tunnel for a connection that came from `source_host`; None if there are too many."""
        if len(self._tunnels) >= TUNNELS_MAX:
            cut = next((tunnel for tunnel in self._tunnels if tunnel.met_cut), None)
            if cut is None:
                return None
            self._forget(cut)
            cut.reset()
        source = self._node_of_host.get(source_host, OUTSIDE)
        tunnel = Tunnel(source, stand.node, self._links, self._forget)
        self._tunnels[tunnel] = None
        return tunnel

    def _forget(self, tunnel: Tunnel) -> None:
        self._tunnels.pop(tunnel, None)

    async def _serve_commands(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, ValueError), contextlib.closing(writer):
            while line := await reader.readline():
                writer.write(json.dumps(self._answer(line)).encode() + b"\n")
                await writer.drain()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            return self._obey(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:  # LinkError is a ValueError
            return {"error": str(error) or repr(error)}

    def _obey(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["do"]:
            case "cut":
                self._links.cut([(str(a), str(b)) for a, b in command["links"]])
                for tunnel in self._tunnels:
                    tunnel.on_links_changed()
            case "delay":
                source, target = command["link"]
                self._links.delay((str(source), str(target)), int(command["delay_ms"]))
            case "heal":
                self._links.heal()
                for tunnel in [tunnel for tunnel in self._tunnels if tunnel.met_cut]:
                    tunnel.reset()
            case "state":
                pass
            case unknown:
                raise LinkError(f"unknown command {unknown!r}")
        log.info("%s", json.dumps(command))
        return {**self._links.describe(), "connections": len(self._tunnels)}


class _Acceptor(asyncio.Protocol):
    """Makes an accepted connection the near end of a tunnel and has the far end dialled."""

    def __init__(self, proxy: Proxy, stand: Stand, dials: asyncio.TaskGroup) -> None:
        self._proxy = proxy
        self._stand = stand
        self._dials = dials

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        source_host = stream.get_extra_info("peername")[0]
        tunnel = self._proxy.open_tunnel(source_host, self._stand)
        if tunnel is None:
            reset(stream)
            return
        near = End(tunnel, 0)
        stream.set_protocol(near)
        near.connection_made(stream)
        stand = self._stand
        self._dials.create_task(
            tunnel.dial(stand.target_host, stand.target_port, source_host),
            name=f"dial {tunnel.source}->{tunnel.target}",
        )


def _bind(stand: Stand) -> socket.socket:
    family = socket.AF_INET6 if ":" in stand.host else socket.AF_INET
    return socket.create_server((stand.host, stand.port), family=family, backlog=BACKLOG)


def _describe(stands: Sequence[Stand]) -> str:
    return " ".join(f"{stand.node}={stand.host}:{stand.port}" for stand in stands)


async def _serve(stands: Sequence[Stand], control: Path) -> None:
    proxy = Proxy(stands, control)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, proxy.stop)
    await proxy.run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the network until SIGTERM. Exit code 1 if an address cannot be had, 2 for bad flags."""
    import uvloop

    parser = argparse.ArgumentParser(prog="python -m chaos.live.proxy", description=__doc__)
    parser.add_argument("--members", required=True, help="NODE=ADVERTISED:PORT>LISTENING:PORT,…")
    parser.add_argument("--control", required=True, type=Path, help="path of the control socket")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        stands = parse_members(options.members)
    except ValueError as error:
        sys.stderr.write(f"--members: {error}\n")
        return 2
    try:
        uvloop.run(_serve(stands, options.control))
    except OSError as error:
        sys.stderr.write(f"the proxy network cannot start: {error}; end what listens there\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
