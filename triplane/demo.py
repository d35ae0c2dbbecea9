"""The directory of the demo: its own, emptied before each run, and never anybody else's."""

import shutil
from pathlib import Path

from pki.files import PRIVATE_MODE, make_private_directory, write_files
from triplane.configfile import FILE_NAME
from triplane.errors import CommandError
from triplane.launcher import Launcher

MARKER = "this-is-a-demo"
"""A file of this name says that a demo made the directory, so that a demo may empty it."""


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
