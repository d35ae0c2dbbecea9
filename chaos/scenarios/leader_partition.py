"""The demo's scenario: the Raft leader is cut off from its peers, then an API server is killed."""

import asyncio
import random

from chaos.live.cluster import Cluster
from chaos.live.store import Leadership
from chaos.scenarios.plan import Emit, Plan, ScenarioError
from chaos.scenarios.stage import Stage, open_stage
from chaos.scenarios.verdict import Verdict

DURATION_S = 12.0
STEADY_INCREMENTS = 20
CUT_SHARE = 0.35
"""The part of the duration for which the leader is cut off."""


async def run(cluster: Cluster, plan: Plan, emit: Emit) -> Verdict:
    """Raises ScenarioError if the faults cannot be carried out."""
    if cluster.network is None:
        raise ScenarioError("this cluster's network cannot be cut; start it with the peer proxy")
    if len(cluster.members) < 3:
        raise ScenarioError("a partition that leaves a majority needs three members")
    async with open_stage("leader_partition", cluster, plan, emit) as stage:
        async with stage.load():
            async with stage.phase(f"{plan.writers} writers increment one counter") as result:
                await stage.acknowledge_more(STEADY_INCREMENTS)
                await asyncio.sleep(plan.duration_s * (1 - CUT_SHARE) / 3)
                result.append(f"{stage.acknowledged} acknowledged")
            await _partition(stage)
            victim = await _kill_an_api_server(stage)
        async with stage.phase(f"starting {victim} again, reading the counter everywhere"):
            await stage.fault("start", victim, cluster.start(victim))
            verdict = await stage.judge(["partition", "kill"])
    return verdict


async def _partition(stage: Stage) -> None:
    network, plan = stage.cluster.network, stage.plan
    assert network is not None
    leader = await stage.leader()
    nodes = sorted(member.node for member in stage.cluster.members)
    others = [node for node in nodes if node != leader.node]
    async with stage.phase(f"cutting the leader {leader.node} off from its peers") as result:
        await stage.fault("partition", leader.node, network.partition([[leader.node], others]))
        await asyncio.sleep(plan.duration_s * CUT_SHARE)
        successor = await _await_successor(stage, leader)
        await stage.acknowledge_more(1)
        result.append(f"{successor} leads; writes go on")
    async with stage.phase("healing the network") as result:
        await stage.fault("heal", leader.node, network.heal())
        await stage.acknowledge_more(STEADY_INCREMENTS)
        await asyncio.sleep(plan.duration_s * (1 - CUT_SHARE) / 3)
        result.append(f"{stage.acknowledged} acknowledged")


async def _await_successor(stage: Stage, old: Leadership) -> Leadership:
    while (now := await stage.leader()).term == old.term:
        await stage.acknowledge_more(1)  # raises when writes have stopped for good
    return now


async def _kill_an_api_server(stage: Stage) -> str:
    rng = random.Random(f"{stage.plan.seed}/api-server")
    victim = f"apiserver-{rng.choice([server.node for server in stage.cluster.api_servers])}"
    async with stage.phase(f"kill -9 {victim}") as result:
        await stage.fault("kill", victim, stage.cluster.kill(victim))
        await stage.acknowledge_more(STEADY_INCREMENTS)
        await asyncio.sleep(stage.plan.duration_s * (1 - CUT_SHARE) / 3)
        result.append(f"writes go on through the others; {stage.acknowledged} acknowledged")
    return victim
