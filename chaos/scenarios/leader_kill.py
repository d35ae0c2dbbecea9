"""kill -9 the Raft leader again and again under load, and start it anew each time."""

import asyncio
import random
import statistics

from chaos.live.cluster import Cluster
from chaos.scenarios.plan import Emit, Plan, ScenarioError
from chaos.scenarios.stage import Stage, open_stage
from chaos.scenarios.verdict import Verdict

DURATION_S = 120.0
KILLS_MAX = 20
STEADY_INCREMENTS = 20
PAUSE_S = (0.5, 1.5)
"""Between a member's return and the next kill: at least, at most."""


async def run(cluster: Cluster, plan: Plan, emit: Emit) -> Verdict:
    """Up to 20 kills, fewer if the duration ends first. Raises ScenarioError."""
    if len(cluster.members) < 3:
        raise ScenarioError("a cluster that survives its leader needs three members")
    rng = random.Random(f"{plan.seed}/pauses")
    loop = asyncio.get_running_loop()
    async with open_stage("leader_kill", cluster, plan, emit) as stage:
        until = loop.time() + plan.duration_s
        async with stage.load():
            async with stage.phase(f"{plan.writers} writers increment one counter"):
                await stage.acknowledge_more(STEADY_INCREMENTS)
            for number in range(1, KILLS_MAX + 1):
                await _kill_leader(stage, number)
                await asyncio.sleep(rng.uniform(*PAUSE_S))
                if loop.time() > until:
                    break
        async with stage.phase("reading the counter everywhere") as result:
            verdict = await stage.judge(["kill"])
            gaps_s = [fault.gap_s for fault in verdict.gaps.faults]
            median_s, worst_s = statistics.median(gaps_s), max(gaps_s)
            result.append(
                f"{len(gaps_s)} kills: median gap {median_s:.2f} s, worst {worst_s:.2f} s"
            )
    return verdict


async def _kill_leader(stage: Stage, number: int) -> None:
    leader = await stage.leader()
    victim = f"raftstore-{leader.node}"
    async with stage.phase(f"kill -9 the leader, {number}: {victim}") as result:
        await stage.fault("kill", victim, stage.cluster.kill(victim))
        await stage.acknowledge_more(STEADY_INCREMENTS)
        successor = await stage.leader()
        await stage.fault("start", victim, stage.cluster.start(victim))
        await stage.acknowledge_more(STEADY_INCREMENTS)
        result.append(f"{successor} leads; {stage.acknowledged} acknowledged")
