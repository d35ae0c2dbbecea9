"""Tables and counted nouns."""

from triplane.text import counted, table


def test_columns_are_as_wide_as_their_widest_cell_and_lines_end_without_blanks() -> None:
    assert table(("A", "LONG", "C"), [("wide", "x", ""), ("", "y", "z")]) == (
        "A      LONG   C\nwide   x\n       y      z"
    )


def test_a_table_without_rows_is_its_heading() -> None:
    assert table(("NAME", "STATE"), []) == "NAME   STATE"


def test_one_and_many() -> None:
    assert [counted(number, "member") for number in (0, 1, 2)] == [
        *("0 members", "1 member", "2 members"),
    ]
