"""Asking members who belongs to their cluster, before this one has an identity of its own."""

from __future__ import annotations

import asyncio
import dataclasses
import logging

from raftstore.config import NodeConfig
from raftstore.membership import Membership
from raftstore.raft.types import NO_MEMBER, MemberId
from raftstore.transport.hello import HelloRefusedError
from raftstore.transport.identity import PeerContexts
from raftstore.transport.network import local_host
from raftstore.transport.peer import Dialer

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What one member knows of its cluster, as applied there up to `applied_index`.

    `heard` are the members that have called it since its process began.
    """

    url: str
    membership: Membership
    applied_index: int
    heard: frozenset[MemberId] = frozenset()


async def ask_members(config: NodeConfig) -> list[Report]:
    """Ask every other member that the flags name, all at once; who does not answer is left out.

    Takes a second at most. Raises ConfigError if the TLS files do not fit.
    """
    dialer = Dialer(
        self_id=NO_MEMBER,
        context=PeerContexts(config.peer_tls).client,
        local_host=local_host(config),
        limits=config.limits,
    )
    urls = [
        url for name, urls in config.initial_cluster.items() if name != config.name for url in urls
    ]
    answers = await asyncio.gather(*(_ask(dialer, url) for url in urls))
    return [report for report in answers if report is not None]


async def _ask(dialer: Dialer, url: str) -> Report | None:
    try:
        answer = await dialer.inquire(url)
        return Report(
            url=url,
            membership=Membership.from_json(answer.membership),
            applied_index=answer.applied_index,
            heard=frozenset(MemberId(member_id) for member_id in answer.heard),
        )
    except (OSError, TimeoutError, HelloRefusedError, ValueError, KeyError) as error:
        log.debug("peer at %s does not say who belongs to the cluster: %s", url, error)
        return None
