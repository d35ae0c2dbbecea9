"""Small pieces of text for people: tables as kubectl prints them, counted nouns."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path


def program() -> str:
    """How to call this program again: by its name if PATH has it, else by its path from here."""
    if shutil.which("triplane") is not None:
        return "triplane"
    beside = Path(sys.executable).with_name("triplane")
    if not beside.exists():
        return f"{sys.executable} -m triplane"
    relative = os.path.relpath(beside)
    return str(beside) if relative.startswith("..") else relative


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, three blanks apart; no blanks at the ends of lines."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    lines = (
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heading, *rows)
    )
    return "\n".join(lines)


def counted(count: int, noun: str) -> str:
    """`1 member`, `3 members`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
