"""The same kill again and again under load: what the scenarios that repeat one fault share."""

import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable

from chaos.live.cluster import Cluster
from chaos.scenarios.plan import Emit, Plan
from chaos.scenarios.stage import Stage, open_stage
from chaos.scenarios.verdict import Verdict

STEADY_INCREMENTS = 20
"""Acknowledged before, between and after the faults of one kill."""
PAUSE_S = (0.5, 1.5)
"""Between one kill's end and the next kill: at least, at most."""


async def run_repeated(
    name: str,
    cluster: Cluster,
    plan: Plan,
    emit: Emit,
    kill: Callable[[Stage, int], Awaitable[None]],
    *,
    kills_max: int,
) -> Verdict:
    """Call `kill` up to `kills_max` times, fewer if the duration ends first.

    `kill` injects, waits for writes to go on, and heals. Raises ScenarioError.
    """
    rng = random.Random(f"{plan.seed}/pauses")
    loop = asyncio.get_running_loop()
    async with open_stage(name, cluster, plan, emit) as stage:
        until = loop.time() + plan.duration_s
        async with stage.load():
            async with stage.phase(f"{plan.writers} writers increment one counter"):
                await stage.acknowledge_more(STEADY_INCREMENTS)
            for number in range(1, kills_max + 1):
                await kill(stage, number)
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
