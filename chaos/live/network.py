"""The network between members as the fault injector sees it: cut, delay, heal.

`Network` is what scenarios use. `ProxyNetwork` does it by the proxies of `chaos.live.proxy`, over
their control socket: one JSON object per line there and back.
"""

import asyncio
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

CONTROL_TIMEOUT_S = 5.0
CONTROL_LINE_BYTES_MAX = 1 << 16

Link = tuple[str, str]
"""A direction: bytes from the first node to the second."""


class NetworkError(Exception):
    """The network refused a command or cannot be reached; it is as it was."""


class Network(Protocol):
    """Links between nodes, by node name."""

    async def partition(self, groups: Sequence[Collection[str]]) -> None:
        """Cut every link between nodes of different groups, both ways. Adds to what is cut."""

    async def cut(self, source: str, target: str, *, both_ways: bool = True) -> None:
        """Cut one link."""

    async def delay(self, source: str, target: str, *, delay_ms: int) -> None:
        """Let bytes from source to target arrive `delay_ms` later; 0 ends it."""

    async def heal(self) -> None:
        """End every cut and delay. No stream resumes with a hole: connections that were cut are
        reset (proxy), or go on where they were by TCP's retransmission (netns).
        """


def links_between(groups: Sequence[Collection[str]]) -> list[Link]:
    """Every direction that leads from one group into another, sorted."""
    return sorted(
        (source, target)
        for here in groups
        for there in groups
        if here is not there
        for source in here
        for target in there
    )


class ProxyNetwork:
    """A client of the proxy network's control socket; connects anew for each command."""

    def __init__(self, control: Path) -> None:
        self._control = control

    async def partition(self, groups: Sequence[Collection[str]]) -> None:
        await self._cut(links_between(groups))

    async def cut(self, source: str, target: str, *, both_ways: bool = True) -> None:
        await self._cut([(source, target), (target, source)] if both_ways else [(source, target)])

    async def delay(self, source: str, target: str, *, delay_ms: int) -> None:
        await self._command({"do": "delay", "link": [source, target], "delay_ms": delay_ms})

    async def heal(self) -> None:
        await self._command({"do": "heal"})

    async def state(self) -> dict[str, Any]:
        """Cut links, delays and the number of open connections, as the proxy tells them."""
        return await self._command({"do": "state"})

    async def _cut(self, links: Iterable[Link]) -> None:
        await self._command({"do": "cut", "links": [list(link) for link in links]})

    async def _command(self, command: dict[str, Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(CONTROL_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(
                    str(self._control), limit=CONTROL_LINE_BYTES_MAX
                )
                try:
                    writer.write(json.dumps(command).encode() + b"\n")
                    line = await reader.readline()
                finally:
                    writer.close()
            answer = json.loads(line)
        except (OSError, ValueError) as error:
            raise NetworkError(f"the proxy network at {self._control}: {error!r}") from error
        if not isinstance(answer, dict) or "error" in answer:
            raise NetworkError(f"the proxy network refused {command}: {answer}")
        return answer
