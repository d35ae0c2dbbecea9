"""Tables for people, as kubectl prints them."""

from collections.abc import Sequence


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, three blanks apart; no blanks at the ends of lines."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    lines = (
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heading, *rows)
    )
    return "\n".join(lines)
