"""The demo: a whole cluster, faults under load, the verdict from the history, how to go on.

Its directory is its own, emptied before each run, and never anybody else's.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import assert_never

from rich.console import Console
from rich.markup import escape

from chaos.check.verdict import Outcome
from chaos.kubeconfig import KubeconfigError, load_access
from chaos.live.cluster import Cluster
from chaos.live.network import NetworkError
from chaos.report import as_json, as_text, conclusion, rows
from chaos.scenarios import SCENARIOS
from chaos.scenarios.plan import Counted, PhaseBegan, PhaseEnded, Plan, Progress, ScenarioError
from chaos.scenarios.verdict import Verdict
from chaos.workload.client import Answer, ApiClient
from chaos.workload.client import Outcome as Done
from pki.files import PRIVATE_MODE, make_private_directory, write_files
from triplane.configfile import FILE_NAME
from triplane.errors import CommandError
from triplane.launcher import Launcher
from triplane.live_cluster import LiveCluster
from triplane.text import program

MARKER = "this-is-a-demo"
"""A file of this name says that a demo made the directory, so that a demo may empty it."""
NAMESPACE = "demo"
CONFIG_MAPS = 5


def prepare_demo_dir(data_dir: Path) -> None:
    """Make `data_dir` the empty directory of a demo.

    Raises CommandError if a cluster runs from it, or if it holds anything that no demo made.
    """
    if (data_dir / FILE_NAME).is_file():
        _check_not_running(data_dir)
    if (data_dir / MARKER).is_file():
        shutil.rmtree(data_dir)
    elif data_dir.exists() and any(data_dir.iterdir()):
        raise CommandError(
            f"{data_dir} holds something that no demo made",
            "choose another --data-dir: a demo begins with an empty one",
        )
    make_private_directory(data_dir)
    write_files([(data_dir / MARKER, b"The next demo empties this directory.\n", PRIVATE_MODE)])


def _check_not_running(data_dir: Path) -> None:
    if Launcher.of_data_dir(data_dir).running():
        raise CommandError(
            f"a cluster runs from {data_dir}", f"end it with `triplane down --data-dir {data_dir}`"
        )


def run_demo(
    launcher: Launcher, scenario: str, *, seed: int, duration_s: float | None, keep: bool
) -> Verdict:
    """Start the cluster, let faults strike it under load, show the verdict and how to go on.

    `duration_s` None: the scenario's own. Ends what it started unless `keep`. Raises CommandError
    or PkiError if the demo itself cannot be carried out.
    """
    import uvloop

    screen = Screen()
    topology = launcher.topology
    what = (
        f"starting {topology.replicas} store members, {topology.apiservers} API servers and the "
        f"virtual IP {topology.vip_address}"
    )
    try:
        screen.show(PhaseBegan(what))
        launcher.up()
        screen.show(PhaseEnded("the virtual IP answers /readyz"))
        with _as_command_errors(launcher):
            verdict: Verdict = uvloop.run(
                _play(launcher, screen, scenario, seed=seed, duration_s=duration_s)
            )
    except BaseException:
        screen.close()
        launcher.down()
        raise
    if not keep:
        launcher.down()
    screen.conclude(verdict)
    screen.tell_how_to_go_on(launcher, running=keep)
    return verdict


async def run_scenario(
    launcher: Launcher,
    scenario: str,
    *,
    directory: Path,
    seed: int,
    duration_s: float | None,
    console: Console | None = None,
    namespace: str = "default",
) -> Verdict:
    """Run a scenario against the running cluster, show it, and leave history and report behind.

    `directory` gets `history.jsonl`, `report.txt` and `report.json`; its name becomes the
    counter's. Raises CommandError if the scenario cannot be carried out.
    """
    screen = Screen(console)
    try:
        with _as_command_errors(launcher):
            verdict = await _run_scenario(
                launcher,
                screen,
                scenario,
                directory=directory,
                seed=seed,
                duration_s=duration_s,
                namespace=namespace,
            )
    finally:
        screen.close()
    screen.conclude(verdict)
    return verdict


async def _play(
    launcher: Launcher, screen: "Screen", scenario: str, *, seed: int, duration_s: float | None
) -> Verdict:
    screen.show(PhaseBegan(f"creating namespace {NAMESPACE} and {CONFIG_MAPS} ConfigMaps"))
    created = await _create_objects(LiveCluster(launcher))
    screen.show(PhaseEnded(f"{created} read back, all as written"))
    return await _run_scenario(
        launcher,
        screen,
        scenario,
        directory=launcher.data.root / "reports" / "demo",
        seed=seed,
        duration_s=duration_s,
        namespace=NAMESPACE,
    )


async def _run_scenario(
    launcher: Launcher,
    screen: "Screen",
    scenario: str,
    *,
    directory: Path,
    seed: int,
    duration_s: float | None,
    namespace: str,
) -> Verdict:
    chosen = SCENARIOS[scenario]
    plan = Plan(
        directory=directory,
        seed=seed,
        duration_s=chosen.duration_s if duration_s is None else duration_s,
        namespace=namespace,
        counter=f"counter-{directory.name}".lower().replace("_", "-"),
    )
    verdict = await chosen.run(LiveCluster(launcher), plan, screen.show)
    (directory / "report.txt").write_text(as_text(verdict))
    (directory / "report.json").write_text(as_json(verdict))
    return verdict


@contextlib.contextmanager
def _as_command_errors(launcher: Launcher) -> Iterator[None]:
    """What keeps a scenario from being carried out, also out of a task group, as CommandError."""
    remedy = f"look into {launcher.data.logs}"
    try:
        yield
    except (ScenarioError, NetworkError, KubeconfigError) as error:
        raise CommandError(str(error), remedy) from error
    except ExceptionGroup as group:
        first = _first(group)
        if not isinstance(first, ScenarioError | NetworkError | KubeconfigError):
            raise
        raise CommandError(str(first), remedy) from group


def _first(error: Exception) -> Exception:
    """The first error in a group of groups."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _create_objects(cluster: Cluster) -> int:
    """Write through the virtual IP and read back. Raises ScenarioError if that does not agree."""
    access = load_access(cluster.kubeconfig)
    collection = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    written = {f"greeting-{number}": {"hello": str(number)} for number in range(CONFIG_MAPS)}
    async with ApiClient(access.server, access.context, timeout_s=10.0) as client:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        _require(await client.post("/api/v1/namespaces", namespace), f"create {NAMESPACE}")
        for name, data in written.items():
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
            _require(await client.post(collection, {**body, "data": data}), f"create {name}")
        for name, data in written.items():
            answer = _require(await client.get(f"{collection}/{name}"), f"read {name}")
            if answer.body.get("data") != data:
                raise ScenarioError(f"{name} was written as {data}, read as {answer.body}")
    return len(written)


def _require(answer: Answer, what: str) -> Answer:
    if answer.outcome is not Done.DONE:
        raise ScenarioError(f"cannot {what} through the virtual IP: {answer.error}")
    return answer


class Screen:
    """Shows progress on a terminal as it happens, elsewhere as one line for each finished phase."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._status = self._console.status("") if self._console.is_terminal else None
        self._phase = ""
        self._began = 0.0

    def show(self, progress: Progress) -> None:
        """Take in one event of a scenario."""
        match progress:
            case PhaseBegan(text):
                self._phase, self._began = text, time.monotonic()
                self._spin(text)
            case PhaseEnded(text):
                self._end_phase(text)
            case Counted(acknowledged, conflicts, unknown, leader):
                self._spin(
                    f"{self._phase}   [bold]{acknowledged}[/] acknowledged · {conflicts} conflicts "
                    f"· {unknown} unknown · leader {leader}"
                )
            case _:
                assert_never(progress)

    def conclude(self, verdict: Verdict) -> None:
        """The table and the verdict; on a violation what was lost, and where the history is."""
        counted = rows(verdict)
        width = max(len(name) for name, _ in counted)
        self._print()
        for name, value in counted:
            self._print(f"  [dim]{name:<{width}}[/]  {escape(value)}")
        self._print()
        if verdict.outcome is Outcome.OK:
            acked = verdict.counter.acknowledged
            self._print(
                f"[bold green]✓ no update lost[/]: all {acked} acknowledged writes are there, "
                f"by the history in {verdict.history}"
            )
            return
        self._print(f"[bold red]✗ {escape(conclusion(verdict))}[/]")
        for violation in verdict.violations:
            self._print(escape(str(violation)))
        self._print(f"The whole history: {verdict.history}")

    def tell_how_to_go_on(self, launcher: Launcher, *, running: bool) -> None:
        """The next commands to type."""
        data = launcher.data
        here = f"--data-dir {data.root}"
        lines = [f"export KUBECONFIG={data.admin_kubeconfig}", f"kubectl get cm -n {NAMESPACE}"]
        if running:
            lines += [f"{program()} status {here}", f"{program()} down {here}"]
            self._print("\nThe cluster goes on running. Try:")
        else:
            lines.insert(0, f"{program()} up --detach {here}")
            self._print("\nThe cluster is stopped, its data stays (KEEP=1 keeps it up). Try:")
        for line in lines:
            self._print(f"  {line}", markup=False)

    def close(self) -> None:
        """Leave the terminal as it was. A phase that has not ended is marked as failed."""
        if self._status is not None:
            self._status.stop()
        if self._phase:
            self._print(f"[red]✗[/] {escape(self._phase)}")
            self._phase = ""

    def _print(self, text: str = "", *, markup: bool = True) -> None:
        """One line as it is: a terminal may wrap it, a file must not hold a break inside."""
        self._console.print(text, markup=markup, soft_wrap=True)

    def _end_phase(self, result: str) -> None:
        if self._status is not None:
            self._status.stop()
        took_s = time.monotonic() - self._began
        told = f": {escape(result)}" if result else ""
        self._print(f"[green]✓[/] {escape(self._phase)}{told} [dim]({took_s:.1f} s)[/]")
        self._phase = ""

    def _spin(self, text: str) -> None:
        if self._status is not None:
            self._status.update(text)
            self._status.start()
