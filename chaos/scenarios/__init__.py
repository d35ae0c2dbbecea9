"""Workload and faults together, by name. Each scenario is a module with a `run`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos.live.cluster import Cluster
from chaos.scenarios import holder_kill, leader_kill, leader_partition, power_cut
from chaos.scenarios.plan import Emit, Plan
from chaos.scenarios.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Scenario:
    """What `triplane chaos list` shows and `run` calls. `duration_s`: how long unless told."""

    name: str
    summary: str
    duration_s: float
    run: Callable[[Cluster, Plan, Emit], Awaitable[Verdict]]


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "leader_partition",
            "cut the Raft leader off from its peers, heal, then kill -9 an API server",
            leader_partition.DURATION_S,
            leader_partition.run,
        ),
        Scenario(
            "leader_kill",
            "kill -9 the Raft leader again and again and start it anew, under load",
            leader_kill.DURATION_S,
            leader_kill.run,
        ),
        Scenario(
            "holder_kill",
            "kill -9 the virtual IP's holder again and again and start it anew, under load",
            holder_kill.DURATION_S,
            holder_kill.run,
        ),
        Scenario(
            "power_cut",
            "kill -9 all members at once, start them again, compare what they hold",
            power_cut.DURATION_S,
            power_cut.run,
        ),
    )
}
