"""kill -9 the Raft leader again and again under load, and start it anew each time."""

from chaos.live.cluster import Cluster
from chaos.scenarios.plan import Emit, Plan, ScenarioError
from chaos.scenarios.repeated_kill import STEADY_INCREMENTS, run_repeated
from chaos.scenarios.stage import Stage
from chaos.scenarios.verdict import Verdict

DURATION_S = 120.0
KILLS_MAX = 20


async def run(cluster: Cluster, plan: Plan, emit: Emit) -> Verdict:
    """Up to 20 kills, fewer if the duration ends first. Raises ScenarioError."""
    if len(cluster.members) < 3:
        raise ScenarioError("a cluster that survives its leader needs three members")
    return await run_repeated("leader_kill", cluster, plan, emit, _kill_leader, kills_max=KILLS_MAX)


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
