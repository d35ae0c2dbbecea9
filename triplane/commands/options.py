"""Options that several commands share."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Output(StrEnum):
    """How a command answers."""

    TEXT = "text"
    JSON = "json"


def default_data_dir() -> Path:
    """`$XDG_STATE_HOME/triplane`, by default `~/.local/state/triplane`."""
    state_home = os.environ.get("XDG_STATE_HOME")
    return (Path(state_home) if state_home else Path.home() / ".local" / "state") / "triplane"


DataDirOption = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="TRIPLANE_DATA_DIR",
        default_factory=default_data_dir,
        show_default="~/.local/state/triplane",
        help="Where the cluster keeps everything: data, certificates, logs.",
    ),
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to answer.")]
