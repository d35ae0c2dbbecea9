"""`demo` and `chaos list|run`: the fault injection that proves the rest."""

import typer

app = typer.Typer(help="Faults under load, judged by their history.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the demo to the command line."""
