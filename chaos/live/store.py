"""Asks the members who leads, and whether they hold the same."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from chaos.live.cluster import Member, StoreTls
from etcdclient.client import EtcdClient
from etcdclient.errors import EtcdError
from etcdclient.tls import TlsFiles

ASK_TIMEOUT_S = 0.6


@dataclass(frozen=True, slots=True, order=True)
class Leadership:
    """Who led in which term."""

    term: int
    node: str

    def __str__(self) -> str:
        return f"{self.node} (term {self.term})"


@dataclass(frozen=True, slots=True)
class MemberHash:
    """A member's HashKV: equal hashes at equal revisions are equal stores."""

    node: str
    revision: int
    hash: int
    compact_revision: int


class StoreProbe:
    """A client of every member by itself."""

    def __init__(self, members: Sequence[Member], tls: StoreTls | None) -> None:
        self._members = members
        files = None if tls is None else TlsFiles(tls.ca, tls.cert, tls.key)
        urls = [member.client_url for member in members]
        self._client = EtcdClient(urls, tls=files, timeout_s=ASK_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.close()

    async def leader(self) -> Leadership | None:
        """The member that says it leads, in the highest term if two do; None if none does."""
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._leadership(member), name=member.node)
                for member in self._members
            ]
        claims = [claim for task in asked if (claim := task.result()) is not None]
        return max(claims, default=None)

    async def hashes(self) -> list[MemberHash]:
        """Each member's hash at the newest revision that all have. Raises EtcdError."""
        statuses = [await self._client.status(member.client_url) for member in self._members]
        revision = min(status.header.revision for status in statuses)
        hashes = []
        for member in self._members:
            answer = await self._client.hash_kv(member.client_url, revision)
            hashes.append(MemberHash(member.node, revision, answer.hash, answer.compact_revision))
        return hashes

    async def _leadership(self, member: Member) -> Leadership | None:
        try:
            status = await self._client.status(member.client_url)
        except EtcdError:
            return None
        leads = status.leader == status.header.member_id
        return Leadership(status.raftTerm, member.node) if leads else None
