"""`demo` and `chaos list|run`: fault injection against a cluster, judged by its history."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triplane.commands.options import DataDirOption, default_data_dir
from triplane.errors import CommandError, UsageError
from triplane.topology import Network

if TYPE_CHECKING:
    from chaos.scenarios.verdict import Verdict
    from triplane.launcher import Launcher

DEMO_SCENARIO = "leader_partition"

app = typer.Typer(help="Faults under load, judged by their history.", no_args_is_help=True)

SeedOption = Annotated[int, typer.Option(help="All chance comes from it.")]
DurationOption = Annotated[
    float | None,
    typer.Option(min=1.0, help="Seconds under load.", show_default="the scenario's own"),
]


def default_demo_dir() -> Path:
    """Beside the default data directory, never in it."""
    return default_data_dir().with_name("triplane-demo")


def register(app: typer.Typer) -> None:
    """Add the demo to the command line."""
    app.command()(demo)


def demo(
    data_dir: Annotated[
        Path,
        typer.Option(
            default_factory=default_demo_dir,
            show_default="~/.local/state/triplane-demo",
            help="A directory of its own: the next demo empties it.",
        ),
    ],
    keep: Annotated[bool, typer.Option("--keep", help="Leave the cluster running.")] = False,
    seed: SeedOption = 1,
    duration: DurationOption = None,
    address_range: Annotated[
        str | None, typer.Option(show_default="127.0.0.0/24", help="As of `up`.")
    ] = None,
    network: Annotated[
        Network, typer.Option(help="Where cuts happen; `netns` needs root.")
    ] = Network.PROXY,
) -> None:
    """Cut off the leader of a fresh cluster under load and see whether an update is lost."""
    from triplane.demo import prepare_demo_dir, run_demo
    from triplane.launcher import Launcher
    from triplane.request import UpRequest, resolve_topology

    prepare_demo_dir(data_dir)
    request = UpRequest(address_range=address_range, network=network)
    launcher = Launcher(data_dir, resolve_topology(request, data_dir))
    verdict = run_demo(launcher, DEMO_SCENARIO, seed=seed, duration_s=duration, keep=keep)
    _exit_with(verdict)


@app.command("list")
def list_scenarios() -> None:
    """List the scenarios and what each does to the cluster."""
    from chaos.scenarios import SCENARIOS
    from triplane.text import table

    rows = [(name.replace("_", "-"), scenario.summary) for name, scenario in SCENARIOS.items()]
    typer.echo(table(("SCENARIO", "WHAT IT DOES"), rows))


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="As `chaos list` names it.")],
    data_dir: DataDirOption,
    seed: SeedOption = 1,
    duration: DurationOption = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Where history and report go.", show_default="DIR/reports/…"),
    ] = None,
) -> None:
    """Run a scenario against the running cluster; exit code 1 unless its verdict is ok."""
    from chaos.scenarios import SCENARIOS
    from triplane.demo import run_scenario
    from triplane.launcher import Launcher

    name = scenario.replace("-", "_")
    if name not in SCENARIOS:
        known = ", ".join(known.replace("_", "-") for known in SCENARIOS)
        raise UsageError(f"no scenario is named {scenario}", f"choose of {known}")
    launcher = Launcher.of_data_dir(data_dir)
    _check_running(launcher)
    now = datetime.now(UTC)
    directory = report or data_dir / "reports" / f"{scenario}-{now:%Y%m%dT%H%M%S}"
    verdict = asyncio.run(
        run_scenario(
            launcher,
            name,
            directory=directory.absolute(),
            seed=seed,
            duration_s=duration,
        )
    )
    _exit_with(verdict)


def _check_running(launcher: "Launcher") -> None:
    missing = [c.name for c in launcher.components if launcher.find(c.name) is None]
    if missing:
        raise CommandError(
            f"{', '.join(missing)} of the cluster in {launcher.data.root} does not run",
            "start it with `triplane up`, for cuts of the network with --network proxy",
        )


def _exit_with(verdict: "Verdict") -> None:
    from chaos.check.verdict import Outcome

    if verdict.outcome is not Outcome.OK:
        raise typer.Exit(1)
