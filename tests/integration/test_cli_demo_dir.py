"""A demo empties its own directory and nobody else's."""

from pathlib import Path

import pytest

from triplane.demo import prepare_demo_dir
from triplane.errors import CommandError


def test_what_an_earlier_demo_left_is_emptied(tmp_path: Path) -> None:
    demo_dir = tmp_path / "demo"
    prepare_demo_dir(demo_dir)
    (demo_dir / "nodes").mkdir()
    (demo_dir / "nodes" / "journal").write_text("old")
    prepare_demo_dir(demo_dir)
    assert [path.name for path in demo_dir.iterdir()] == ["this-is-a-demo"]


def test_what_is_not_a_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(CommandError, match="holds something that no demo made; choose another"):
        prepare_demo_dir(tmp_path)
    assert (tmp_path / "precious").read_text() == "data"
