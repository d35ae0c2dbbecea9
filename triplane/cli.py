"""The `triplane` command. Imports little: each command imports what it needs when it runs."""

import sys

import typer

from pki.errors import PkiError
from triplane.commands import certs, chaos, cluster
from triplane.errors import CommandError

app = typer.Typer(
    name="triplane",
    help="A highly available Kubernetes control plane that proves itself under fault injection.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
cluster.register(app)
app.add_typer(certs.app, name="certs")
app.add_typer(chaos.app, name="chaos")
chaos.register(app)


def main() -> None:
    """Run the command line: exit code 0 done, 1 failed, 2 wrong usage or configuration."""
    if not __debug__:
        sys.stderr.write("triplane: invariants are asserts; run without python -O\n")
        sys.exit(2)
    try:
        app()
    except CommandError as error:
        _fail(error, error.exit_code)
    except PkiError as error:
        _fail(error, 1)


def _fail(error: Exception, exit_code: int) -> None:
    typer.echo(f"triplane: {error}", err=True)
    sys.exit(exit_code)
