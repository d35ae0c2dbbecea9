"""Where a scenario plays: workload, nemesis, history and observers, opened and closed together."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

from chaos.check.counter import INCREMENT, check_counter
from chaos.check.gaps import fired_faults, measure_gaps
from chaos.check.verdict import Violation
from chaos.history import NEMESIS, EventType, HistoryWriter, read_history
from chaos.kubeconfig import load_access
from chaos.live.cluster import Cluster
from chaos.live.store import Leadership, StoreProbe
from chaos.scenarios.plan import Counted, Emit, PhaseBegan, PhaseEnded, Plan, ScenarioError
from chaos.scenarios.verdict import Verdict
from chaos.workload.client import ApiClient
from chaos.workload.counter import CounterOptions, CounterWorkload

HISTORY_NAME = "history.jsonl"
OBSERVE_EVERY_S = 0.2
RECOVERY_TIMEOUT_S = 30.0
_POLL_S = 0.02


class Stage:
    """One run of a scenario. Use `open_stage`."""

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        plan: Plan,
        emit: Emit,
        history: HistoryWriter,
        probe: StoreProbe,
    ) -> None:
        self.name = name
        self.cluster = cluster
        self.plan = plan
        self.probe = probe
        self._emit = emit
        self._history = history
        self._access = load_access(cluster.kubeconfig)
        self._leaders: dict[Leadership, None] = {}
        self._planned: list[str] = []
        self._stop_writers = asyncio.Event()
        self._began = time.monotonic()
        options = CounterOptions(plan.namespace, plan.counter, plan.writers)
        self.workload = CounterWorkload(options, self.connect, history, seed=plan.seed)

    def connect(self, server: str | None = None) -> ApiClient:
        """A client of the virtual IP, or of one API server."""
        return ApiClient(server or self._access.server, self._access.context)

    @property
    def server(self) -> str:
        """The URL of the virtual IP."""
        return self._access.server

    @property
    def acknowledged(self) -> int:
        return self.workload.tally.acknowledged

    # -- phases and faults -----------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def phase(self, text: str) -> AsyncIterator[list[str]]:
        """Tell that something begins and what came of it: append that to the list."""
        self._emit(PhaseBegan(text))
        result: list[str] = []
        yield result
        self._emit(PhaseEnded("; ".join(result)))

    async def fault(self, name: str, target: str, act: Awaitable[None]) -> None:
        """Do something to the cluster, and write down that it was done. Raises ScenarioError."""
        self._planned.append(name)
        self._history.append(NEMESIS, EventType.INVOKE, name, {"target": target})
        try:
            await act
        except Exception as error:
            self._history.append(NEMESIS, EventType.INFO, name, {}, error=repr(error))
            raise ScenarioError(f"{name} of {target} failed: {error}") from error
        self._history.append(NEMESIS, EventType.OK, name, {})

    async def leader(self) -> Leadership:
        """Who leads now. Raises ScenarioError if nobody comes to."""
        deadline = time.monotonic() + RECOVERY_TIMEOUT_S
        while (leadership := await self.probe.leader()) is None:
            if time.monotonic() > deadline:
                raise ScenarioError(f"no leader for {RECOVERY_TIMEOUT_S:.0f} s")
            await asyncio.sleep(_POLL_S)
        self._leaders[leadership] = None
        return leadership

    async def acknowledge_more(self, count: int) -> None:
        """Return after so many more acknowledgements. Raises ScenarioError if they do not come."""
        await self.wait_for(_at_least(self, self.acknowledged + count), f"{count} acknowledgements")

    async def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Poll until the condition holds. Raises ScenarioError when it does not come to."""
        deadline = time.monotonic() + RECOVERY_TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                raise ScenarioError(f"{what} did not come within {RECOVERY_TIMEOUT_S:.0f} s")
            await asyncio.sleep(_POLL_S)

    # -- load and verdict ------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Writers write and observers observe while the body runs."""
        await self.workload.set_up()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.workload.run(self._stop_writers), name="writers")
            observing = group.create_task(self._observe(), name="observer")
            try:
                yield
            finally:
                self._stop_writers.set()
                observing.cancel()

    async def judge(
        self, gap_faults: Iterable[str], violations: Sequence[Violation] = ()
    ) -> Verdict:
        """Read the counter everywhere, then let the checkers judge the history alone."""
        await self._read_everywhere()
        self._history.close()
        events = read_history(self._history.path)
        counter = check_counter(events)
        fired = fired_faults(events)
        names = [fault.name for fault in fired]
        missing = [name for name in dict.fromkeys(self._planned) if name not in names]
        return Verdict(
            scenario=self.name,
            seed=self.plan.seed,
            counter=counter,
            gaps=measure_gaps(events, write=INCREMENT, faults=frozenset(gap_faults)),
            leaders=[str(leadership) for leadership in sorted(self._leaders)],
            faults=[f"{fault.name} {fault.target}".strip() for fault in fired],
            missing_faults=missing if fired else ["all of them"],
            violations=[*counter.violations, *violations],
            history=self._history.path,
            duration_s=time.monotonic() - self._began,
        )

    async def _read_everywhere(self) -> None:
        running = await self.cluster.running()
        servers = [
            server.url
            for server in self.cluster.api_servers
            if f"apiserver-{server.node}" in running
        ]
        for server in (*servers, self._access.server):
            deadline = time.monotonic() + RECOVERY_TIMEOUT_S
            async with self.connect(server) as client:
                # Not one that fails to answer is left out in silence: the history tells.
                while await self.workload.final_read(client, server) is None:
                    if time.monotonic() > deadline:
                        break
                    await asyncio.sleep(0.1)

    async def _observe(self) -> None:
        while True:
            leadership = await self.probe.leader()
            if leadership is not None:
                self._leaders[leadership] = None
            tally = self.workload.tally
            leader = "nobody" if leadership is None else leadership.node
            self._emit(Counted(tally.acknowledged, tally.conflicts, tally.unknown, leader))
            await asyncio.sleep(OBSERVE_EVERY_S)


def _at_least(stage: Stage, count: int) -> Callable[[], bool]:
    return lambda: stage.acknowledged >= count


@contextlib.asynccontextmanager
async def open_stage(name: str, cluster: Cluster, plan: Plan, emit: Emit) -> AsyncIterator[Stage]:
    """A stage with a new history. Raises ScenarioError if `plan.directory` holds one already."""
    plan.directory.mkdir(parents=True, exist_ok=True)
    path = plan.directory / HISTORY_NAME
    try:
        history = HistoryWriter(path, time.monotonic_ns)
    except FileExistsError as error:
        raise ScenarioError(f"{path} exists; choose another directory for the report") from error
    with history:
        async with StoreProbe(cluster.members, cluster.store_tls) as probe:
            yield Stage(name, cluster, plan, emit, history, probe)
