"""kill -9 every member, start all again: what was acknowledged is there, and all hold the same."""

import asyncio

from chaos.check.verdict import Kind, Violation
from chaos.live.cluster import Cluster
from chaos.live.store import MemberHash
from chaos.scenarios.plan import Emit, Plan, ScenarioError
from chaos.scenarios.stage import RECOVERY_TIMEOUT_S, Stage, open_stage
from chaos.scenarios.verdict import Verdict
from etcdclient.errors import EtcdError

DURATION_S = 10.0
STEADY_INCREMENTS = 20


async def run(cluster: Cluster, plan: Plan, emit: Emit) -> Verdict:
    """Raises ScenarioError if the members cannot be killed and started."""
    components = [f"raftstore-{member.node}" for member in cluster.members]
    async with open_stage("power_cut", cluster, plan, emit) as stage:
        async with stage.load():
            async with stage.phase(f"{plan.writers} writers increment one counter") as result:
                await stage.acknowledge_more(STEADY_INCREMENTS)
                await asyncio.sleep(plan.duration_s / 2)
                result.append(f"{stage.acknowledged} acknowledged")
            async with stage.phase("kill -9 of all members"):
                for component in components:
                    await stage.fault("kill", component, cluster.kill(component))
            async with stage.phase("starting them again") as result:
                for component in components:
                    await stage.fault("start", component, cluster.start(component))
                await stage.acknowledge_more(STEADY_INCREMENTS)
                await asyncio.sleep(plan.duration_s / 2)
                result.append(f"{await stage.leader()} leads; {stage.acknowledged} acknowledged")
        async with stage.phase("comparing the members' hashes") as result:
            hashes = await _settled_hashes(stage)
            result.append(f"revision {hashes[0].revision}: {hashes[0].hash:08x}")
        return await stage.judge(["kill"], _compare(hashes))


async def _settled_hashes(stage: Stage) -> list[MemberHash]:
    """Equal hashes, or what they are when they have had time to become equal."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + RECOVERY_TIMEOUT_S
    while True:
        try:
            hashes = await stage.probe.hashes()
        except EtcdError as error:
            if loop.time() > deadline:
                raise ScenarioError(f"the members do not tell their hashes: {error}") from error
        else:
            # A compaction that is under way differs for a moment; a difference in data stays.
            if not _compare(hashes) or loop.time() > deadline:
                return hashes
        await asyncio.sleep(0.2)


def _compare(hashes: list[MemberHash]) -> list[Violation]:
    if len({(found.hash, found.compact_revision) for found in hashes}) == 1:
        return []
    told = ", ".join(f"{found.node} {found.hash:08x}" for found in hashes)
    text = f"hashes at revision {hashes[0].revision}: {told}"
    return [Violation(Kind.DIVERGED, text, [])]
