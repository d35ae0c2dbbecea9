"""The tree keeps its shape: short functions and files, unique test names, no machine in the text.

`ratchet.json` lists the offenders that we have not yet cut down, each with its length. A listed one
may only shrink, and its entry must follow it down; nothing new may be listed.
"""

import ast
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RATCHET = Path(__file__).with_name("ratchet.json")
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 600
LISTED_MAX = 12
"""How many offenders the ratchet may list; lower it whenever the list gets shorter."""

MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|home|Users|root)/[A-Za-z0-9_.-]+")
BANNED_NAMES = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}


@cache
def tracked_files() -> tuple[Path, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def python_files() -> list[Path]:
    return [
        path
        for path in tracked_files()
        if path.suffix == ".py" and not path.name.endswith("_pb2.py")
    ]


def texts() -> Iterator[tuple[str, str]]:
    for path in tracked_files():
        try:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def lengths() -> dict[str, int]:
    """Everything over its limit: `file.py` or `file.py::function` to its number of lines."""
    found: dict[str, int] = {}
    for path in python_files():
        name = str(path.relative_to(ROOT))
        source = path.read_text(encoding="utf-8")
        lines = len(source.splitlines())
        if lines > FILE_LINES_MAX:
            found[name] = lines
        found |= {f"{name}::{function}": length for function, length in long_functions(source)}
    return found


def long_functions(source: str) -> Iterator[tuple[str, int]]:
    """Names and lengths of functions over the limit, decorators not counted, docstrings counted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield node.name, length


def bare_tasks(source: str) -> Iterator[int]:
    """Lines that start a task on the loop itself and keep no reference to it."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(
                        value=ast.Name(id="asyncio" | "loop"), attr="create_task" | "ensure_future"
                    )
                )
            ):
                yield node.lineno


def test_functions_and_files_stay_short_and_offenders_shrink() -> None:
    allowed: dict[str, int] = json.loads(RATCHET.read_text())
    found = lengths()
    too_long = {name: length for name, length in found.items() if length > allowed.get(name, 0)}
    assert not too_long, "split these up; the ratchet takes no new offenders"
    loose = {name: found.get(name) for name in allowed if found.get(name) != allowed[name]}
    assert not loose, "these shrank: lower or remove their entries in ratchet.json"


def test_the_ratchet_does_not_grow() -> None:
    assert len(json.loads(RATCHET.read_text())) <= LISTED_MAX


def test_the_measure_finds_what_is_too_long() -> None:
    body = "\n".join("    pass" for _ in range(FUNCTION_LINES_MAX))
    assert list(long_functions(f"def long():\n{body}\n")) == [("long", FUNCTION_LINES_MAX + 1)]
    assert list(long_functions(f"def fits():\n{body[: -len('    pass')]}")) == []


def test_names_of_test_files_are_unique() -> None:
    names = Counter(path.name for path in python_files() if path.name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_module_is_named_for_nothing() -> None:
    assert [str(path) for path in python_files() if path.name in BANNED_NAMES] == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    found = {name: match.group() for name, text in texts() if (match := MACHINE_PATH.search(text))}
    found.pop("tests/tidy/test_tidy.py", None)
    assert found == {}


def test_every_task_has_an_owner() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in python_files()
        for line in bare_tasks(path.read_text(encoding="utf-8"))
    ]
    assert found == [], "keep the task, in a TaskGroup or with a named owner that awaits it"


def test_the_search_for_bare_tasks_finds_them() -> None:
    source = "asyncio.create_task(f())\ngroup.create_task(f())\ntask = loop.create_task(f())\n"
    assert list(bare_tasks(source)) == [1]


def test_no_class_manages() -> None:
    found = [
        f"{path.relative_to(ROOT)}::{node.name}"
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Manager", "Helper", "Util"))
    ]
    assert found == [], "name it for what it does"


def test_no_work_is_left_without_an_issue() -> None:
    unnamed = re.compile(r"#\s*(?:TODO|FIXME|XXX)(?!\s*\(?(?:issue )?#?\d+)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if unnamed.search(line)
    ]
    assert found == []
