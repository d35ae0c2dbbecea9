"""`up`, `down`, `status`, `start`, `stop`, `kubeconfig`."""

import signal
import time
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from pki.layout import KeyAlgorithm
from triplane.commands.options import DataDirOption, Output, OutputOption, default_data_dir
from triplane.text import counted, program
from triplane.topology import Network

if TYPE_CHECKING:
    from triplane.launcher import Launcher

_WATCH_S = 0.5
"""How often `up` in the foreground looks whether a component has ended."""

ComponentArgument = Annotated[
    str, typer.Argument(metavar="COMPONENT", help="Its name, as `apiserver-cp2`.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (up, down, status, start, stop, kubeconfig):
        app.command()(command)


def up(
    data_dir: DataDirOption,
    replicas: Annotated[
        int | None, typer.Option(help="Store members: 1, 3 or 5.", show_default="3")
    ] = None,
    apiservers: Annotated[int | None, typer.Option(help="API servers.", show_default="3")] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when the cluster is ready; it goes on running.")
    ] = False,
    address_range: Annotated[
        str | None,
        typer.Option(
            help="Node cpN gets its (10+N)th address, the virtual IP its tenth.",
            show_default="127.0.0.0/24",
        ),
    ] = None,
    etcd_client_port: Annotated[int | None, typer.Option(show_default="2379")] = None,
    etcd_peer_port: Annotated[int | None, typer.Option(show_default="2380")] = None,
    apiserver_port: Annotated[
        int | None, typer.Option(help="Also the virtual IP's.", show_default="6443")
    ] = None,
    service_cluster_ip_range: Annotated[
        str | None, typer.Option(show_default="10.96.0.0/12")
    ] = None,
    encryption_algorithm: Annotated[
        KeyAlgorithm | None,
        typer.Option(help="Of new certificates' keys.", show_default=KeyAlgorithm.ECDSA_P256),
    ] = None,
    network: Annotated[
        Network | None,
        typer.Option(
            help="For faults: `proxy` between the members, or a namespace for each node (root).",
            show_default="direct",
        ),
    ] = None,
) -> None:
    """Start the cluster and wait until it is ready; stop it on Ctrl-C unless detached."""
    from triplane.launcher import Launcher
    from triplane.request import UpRequest, resolve_topology

    request = UpRequest(
        replicas=replicas,
        apiservers=apiservers,
        address_range=address_range,
        client_port=etcd_client_port,
        peer_port=etcd_peer_port,
        apiserver_port=apiserver_port,
        service_cidr=service_cluster_ip_range,
        network=network,
        key_algorithm=encryption_algorithm,
    )
    launcher = Launcher(data_dir, resolve_topology(request, data_dir))
    if detach:
        launcher.up()
        typer.echo(_welcome(launcher))
        return
    _run_in_foreground(launcher)


def down(data_dir: DataDirOption) -> None:
    """Stop every component of the cluster; its data stays."""
    from triplane.launcher import Launcher

    stopped = Launcher.of_data_dir(data_dir).down()
    if stopped:
        typer.echo(f"Stopped {counted(len(stopped), 'component')}; the data stays in {data_dir}.")
    else:
        typer.echo(f"Nothing runs from {data_dir}.")


def status(data_dir: DataDirOption, output: OutputOption = Output.TEXT) -> None:
    """Show members, leader, revisions, API servers and who holds the virtual IP.

    Exit code 1 if the virtual IP does not answer or the store has no leader.
    """
    from triplane import status as status_module
    from triplane.launcher import Launcher

    launcher = Launcher.of_data_dir(data_dir)
    found = status_module.collect_status(launcher)
    as_json = output is Output.JSON
    typer.echo(status_module.as_json(found) if as_json else status_module.as_text(found))
    if not found.ready:
        raise typer.Exit(1)


def start(component: ComponentArgument, data_dir: DataDirOption) -> None:
    """Start one component of a running cluster and wait until it serves."""
    from triplane.launcher import Launcher

    Launcher.of_data_dir(data_dir).start(component)
    typer.echo(f"{component} serves.")


def stop(component: ComponentArgument, data_dir: DataDirOption) -> None:
    """Stop one component; the cluster should hardly notice."""
    from triplane.launcher import Launcher

    Launcher.of_data_dir(data_dir).stop(component)
    typer.echo(f"{component} stopped; bring it back with `triplane start {component}`.")


def kubeconfig(
    data_dir: DataDirOption,
    raw: Annotated[bool, typer.Option("--raw", help="Print the content, not the path.")] = False,
) -> None:
    """Print the path of the administrator's kubeconfig, for `export KUBECONFIG=$(...)`."""
    from triplane.errors import CommandError

    path = (data_dir / "admin.conf").absolute()
    if not path.is_file():
        raise CommandError(f"{path} does not exist", "create a cluster with `triplane up`")
    typer.echo(path.read_text() if raw else str(path), nl=not raw)


def _run_in_foreground(launcher: "Launcher") -> None:
    endings = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in endings:
        signal.signal(number, _interrupt)
    try:
        launcher.up()
    except KeyboardInterrupt:
        typer.echo("Interrupted; nothing runs.")
        raise typer.Exit(1) from None
    try:
        typer.echo(_welcome(launcher))
        typer.echo("Ctrl-C stops it.")
        while True:
            _tell_of_ended(launcher)
            time.sleep(_WATCH_S)
    except KeyboardInterrupt:
        for number in endings:
            signal.signal(number, signal.SIG_IGN)
        launcher.down()
    typer.echo("Stopped; the data stays.")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _tell_of_ended(launcher: "Launcher") -> None:
    for running, code in launcher.ended():
        how = "" if code is None else f" with exit code {code}"
        typer.echo(
            f"{running.name} ended{how}: {launcher.last_log_line(running) or 'it logged nothing'}; "
            f"bring it back with `triplane start {running.name}`",
            err=True,
        )


def _welcome(launcher: "Launcher") -> str:
    topology = launcher.topology
    option = "" if launcher.data.root == default_data_dir() else f" --data-dir {launcher.data.root}"
    return "\n".join(
        [
            f"Ready at {topology.vip_url}: {counted(topology.replicas, 'store member')}, "
            f"{counted(topology.apiservers, 'API server')}, one virtual IP.",
            f"Data and logs are in {launcher.data.root}.",
            "",
            f"  export KUBECONFIG={launcher.data.admin_kubeconfig}",
            "  kubectl get namespaces",
            f"  {program()} status{option}",
            f"  {program()} down{option}",
        ]
    )
