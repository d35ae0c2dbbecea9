"""The first start of a member: is it a founder, may it join, or has it lost its disk?

A member votes and acknowledges under its id. One that begins anew under an id that has done so
already could vote twice, or outvote what it acknowledged: so whoever has an empty data directory
asks the others first (etcd server/etcdserver/bootstrap.go, isMemberBootstrapped). If none can be
asked, its incarnation, which is published in the log, gives it away to the first that it meets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from etcdclient.pb.rpc_pb2 import Member
from raftstore.config import ConfigError, NodeConfig
from raftstore.engine.identity import Identity, RecoveryError
from raftstore.membership import Membership
from raftstore.raft.types import MemberId
from raftstore.transport.inquiry import Report

JOIN_TIMEOUT_S = 5.0
"""How long a joiner waits for a member that knows of it: the one asked may lag."""
JOIN_RETRY_S = 0.1

Ask = Callable[[NodeConfig], Awaitable[Sequence[Report]]]


async def first_identity(config: NodeConfig, incarnation: int, ask: Ask) -> Identity:
    """Who this member is, whose data directory is empty. Raises RecoveryError, ConfigError."""
    if config.initial_cluster_state == "existing":
        return await _join(config, incarnation, ask)
    founder = Identity.founder(config, incarnation)
    for report in await ask(config):
        if report.membership.cluster_id == founder.initial.cluster_id:
            _check_unknown(report, config, founder.member_id)
    return founder


async def _join(config: NodeConfig, incarnation: int, ask: Ask) -> Identity:
    """The id that `member add` gave us, from the member that is furthest ahead."""
    if set(config.initial_cluster) == {config.name}:
        raise ConfigError(
            "--initial-cluster-state=existing, but --initial-cluster names no other member to join"
        )
    refusal = RecoveryError("")
    try:
        async with asyncio.timeout(JOIN_TIMEOUT_S):
            while True:
                reports = sorted(await ask(config), key=lambda report: -report.applied_index)
                try:
                    return _identity_in(reports, config, incarnation)
                except _NotYetError as error:
                    refusal = RecoveryError(str(error))
                await asyncio.sleep(JOIN_RETRY_S)
    except TimeoutError:
        raise refusal from None


class _NotYetError(Exception):
    """No member knows of us; one that lags may yet learn."""


def _identity_in(reports: Sequence[Report], config: NodeConfig, incarnation: int) -> Identity:
    if not reports:
        others = ", ".join(sorted(set(config.initial_cluster) - {config.name}))
        raise _NotYetError(
            f"--initial-cluster-state=existing, but none of the other members ({others}) answers: "
            "start them first, or check --initial-cluster and the peer certificates"
        )
    membership = reports[0].membership
    own = config.initial_cluster[config.name]
    member = _with_urls(membership, own)
    if member is None:
        raise _NotYetError(
            f"no member of the cluster has the peer URL {', '.join(own)}: add this one first with "
            f"etcdctl member add {config.name} --peer-urls={','.join(own)}"
        )
    _check_same_members(membership, config)
    for report in reports:
        _check_unknown(report, config, MemberId(member.ID))
    return Identity(
        name=config.name,
        member_id=MemberId(member.ID),
        initial=membership,
        joined=True,
        incarnation=incarnation,
    )


def _with_urls(membership: Membership, urls: Sequence[str]) -> Member | None:
    for member in membership.all():
        if sorted(member.peerURLs) == sorted(urls):
            return member
    return None


def _check_same_members(membership: Membership, config: NodeConfig) -> None:
    """As etcd's ValidateClusterAndAssignIDs: flags that say something else are a mistake."""
    told = {tuple(sorted(urls)) for urls in config.initial_cluster.values()}
    found = {tuple(sorted(member.peerURLs)) for member in membership.all()}
    if told != found:
        shown = ",".join(
            f"{member.name or config.name}={url}"
            for member in membership.all()
            for url in member.peerURLs
        )
        raise RecoveryError(
            f"--initial-cluster does not name the members of the cluster, which are {shown}"
        )


def _check_unknown(report: Report, config: NodeConfig, member_id: MemberId) -> None:
    """Raise RecoveryError if the member has taken part before, from a disk that is gone."""
    membership = report.membership
    if membership.is_removed(member_id):
        raise RecoveryError(removed_text(member_id))
    if member_id in report.heard or membership.incarnation_of(member_id):
        raise RecoveryError(
            f"member {member_id:016x} ({config.name}) has already been bootstrapped, as "
            f"{report.url} knows, but {config.data_dir} is empty: it has forgotten what it "
            "promised and must not vote under this id. Bring its data directory back, or "
            f"etcdctl member remove {member_id:x}, member add {config.name} --peer-urls="
            f"{','.join(config.initial_cluster[config.name])}, and start it with "
            "--initial-cluster-state=existing"
        )


def removed_text(member_id: MemberId) -> str:
    """What a member that was removed says, whenever it learns of it."""
    return (
        f"member {member_id:016x} has been permanently removed from the cluster: to bring this "
        "machine back, etcdctl member add it under a new id and start it with an empty data "
        "directory and --initial-cluster-state=existing"
    )
