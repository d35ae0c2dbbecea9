"""Debian's etcdctl against a store of ours, as an operator types it."""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass
from typing import Any

from tests.support.stores import StoreCluster

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Said:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output of a command with `-w json`."""
        assert self.code == 0, self.err
        return json.loads(self.out)


async def etcdctl(store: StoreCluster, *arguments: str, place: int | None = None) -> Said:
    """Run etcdctl at all endpoints, or at that of one member."""
    endpoints = store.endpoints if place is None else [store.members[place].endpoint]
    process = await asyncio.create_subprocess_exec(
        "etcdctl",
        f"--endpoints={','.join(endpoints)}",
        f"--cacert={store.tls.ca}",
        f"--cert={store.tls.cert}",
        f"--key={store.tls.key}",
        *arguments,
        env={**os.environ, "ETCDCTL_API": "3"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(TIMEOUT_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


async def until_said(store: StoreCluster, wanted: str, *arguments: str) -> Said:
    """Repeat a command until its output or error matches."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            said = await etcdctl(store, *arguments)
            if re.search(wanted, said.out + said.err):
                return said
            await asyncio.sleep(0.05)


async def members(store: StoreCluster, place: int = 0) -> dict[str, int]:
    """Names (or the peer URL of one that has not started) and ids, as one member lists them."""
    listed = (await etcdctl(store, "member", "list", "-w", "json", place=place)).json["members"]
    return {member.get("name") or member["peerURLs"][0]: member["ID"] for member in listed}


async def add(store: StoreCluster, name: str, url: str, *flags: str) -> Said:
    """`member add`, repeated while the cluster is too young for it (`unhealthy cluster`)."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            said = await etcdctl(store, "member", "add", name, f"--peer-urls={url}", *flags)
            if "unhealthy cluster" not in said.err:
                return said
            await asyncio.sleep(0.1)
