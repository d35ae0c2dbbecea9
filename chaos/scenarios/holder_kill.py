"""kill -9 the agent that holds the virtual IP, again and again under load; start it anew."""

import asyncio

from chaos.live.cluster import Cluster
from chaos.live.holder import holder_node
from chaos.scenarios.plan import Emit, Plan, ScenarioError
from chaos.scenarios.repeated_kill import STEADY_INCREMENTS, run_repeated
from chaos.scenarios.stage import RECOVERY_TIMEOUT_S, Stage
from chaos.scenarios.verdict import Verdict

DURATION_S = 20.0
KILLS_MAX = 10


async def run(cluster: Cluster, plan: Plan, emit: Emit) -> Verdict:
    """Up to ten kills, fewer if the duration ends first. Raises ScenarioError."""
    return await run_repeated("holder_kill", cluster, plan, emit, _kill_holder, kills_max=KILLS_MAX)


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
