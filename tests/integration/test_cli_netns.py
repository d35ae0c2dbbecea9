"""A cluster whose nodes are network namespaces: real addresses, real cuts. Needs root, as CI is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.cluster import run_triplane

pytestmark = pytest.mark.serial

RANGE = "10.88.77.0/24"


def namespaces() -> set[str]:
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True)
    return {line.split()[0] for line in listed.stdout.splitlines() if line}


def test_partition_between_namespaces_loses_no_update(tmp_path: Path) -> None:
    """Without root there is an error that says so, and what to do instead."""
    data_dir = tmp_path / "state"
    before = namespaces()
    where = ("--data-dir", str(data_dir))
    up = run_triplane("up", "--detach", "--network", "netns", "--address-range", RANGE, *where)
    if os.geteuid() != 0:
        assert up.returncode == 2
        assert "needs root; run it as root, or use --network proxy" in up.stderr
        return
    assert up.returncode == 0, up.stderr
    try:
        assert len(namespaces() - before) == 3
        chaos = run_triplane("chaos", "run", "leader-partition", "--duration", "6", *where)
        assert chaos.returncode == 0, chaos.stdout + chaos.stderr
        assert "no update lost" in chaos.stdout
    finally:
        down = run_triplane("down", *where)
    assert down.returncode == 0, down.stderr
    assert namespaces() == before
    # The next start remembers where the nodes live.
    again = run_triplane("up", "--detach", *where)
    try:
        assert again.returncode == 0, again.stderr
        assert "10.88.77.10" in again.stdout
    finally:
        assert run_triplane("down", *where).returncode == 0
    assert namespaces() == before


def test_loopback_cannot_be_bridged(tmp_path: Path) -> None:
    refused = run_triplane(
        *("up", "--detach", "--network", "netns", "--address-range", "127.0.36.0/24"),
        *("--data-dir", str(tmp_path / "state")),
    )
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "loopback" in refused.stderr or "needs root" in refused.stderr
