"""kill -9 the agent that holds the virtual IP, again and again under load; start it anew."""

import asyncio
import random
import statistics

from chaos.live.cluster import Cluster
from chaos.live.holder import holder_node
from chaos.scenarios.plan import Emit, Plan, ScenarioError
from chaos.scenarios.stage import RECOVERY_TIMEOUT_S, Stage, open_stage
from chaos.scenarios.verdict import Verdict

DURATION_S = 20.0
KILLS_MAX = 10
STEADY_INCREMENTS = 20
PAUSE_S = (0.5, 1.5)


async def run(cluster: Cluster, plan: Plan, emit: Emit) -> Verdict:
    """Up to ten kills, fewer if the duration ends first. Raises ScenarioError."""
    rng = random.Random(f"{plan.seed}/pauses")
    loop = asyncio.get_running_loop()
    async with open_stage("holder_kill", cluster, plan, emit) as stage:
        until = loop.time() + plan.duration_s
        async with stage.load():
            async with stage.phase(f"{plan.writers} writers increment one counter"):
                await stage.acknowledge_more(STEADY_INCREMENTS)
            for number in range(1, KILLS_MAX + 1):
                await _kill_holder(stage, number)
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


async def _kill_holder(stage: Stage, number: int) -> None:
    node = await _await_holder(stage)
    victim = f"vip-{node}"
    async with stage.phase(f"kill -9 the holder, {number}: {victim}") as result:
        await stage.fault("kill", victim, stage.cluster.kill(victim))
        await stage.acknowledge_more(STEADY_INCREMENTS)
        await stage.fault("start", victim, stage.cluster.start(victim))
        result.append(f"{await _await_holder(stage)} holds it; {stage.acknowledged} acknowledged")


async def _await_holder(stage: Stage) -> str:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + RECOVERY_TIMEOUT_S
    while (node := await holder_node(stage.cluster, stage.server)) is None:
        if loop.time() > deadline:
            raise ScenarioError(f"nobody holds the virtual IP for {RECOVERY_TIMEOUT_S:.0f} s")
        await asyncio.sleep(0.05)
    return node
