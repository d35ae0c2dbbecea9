"""A whole cluster, started and stopped as a user does: by the `triplane` command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 90


@dataclass(frozen=True, slots=True)
class RunningCluster:
    """Where a cluster lives and answers. `vip` is `host:port`."""

    data_dir: Path
    vip: str

    @property
    def kubeconfig(self) -> Path:
        return self.data_dir / "admin.conf"

    def triplane(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run `triplane ARGS --data-dir …` for this cluster and return how it ended."""
        return run_triplane(*args, "--data-dir", str(self.data_dir))

    def status(self) -> dict[str, Any]:
        """What `triplane status -o json` says."""
        done = self.triplane("status", "-o", "json")
        parsed = json.loads(done.stdout)
        assert isinstance(parsed, dict)
        return parsed


def run_triplane(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with this interpreter; never raises on a non-zero exit."""
    return subprocess.run(
        [sys.executable, "-m", "triplane", *args],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def start_cluster(data_dir: Path, address_range: str, *flags: str) -> RunningCluster:
    """Bring a cluster up on loopback addresses of its own; fails the test if it does not serve."""
    started = run_triplane(
        *("up", "--detach", "--data-dir", str(data_dir), "--address-range", address_range),
        *flags,
    )
    assert started.returncode == 0, started.stderr + started.stdout
    host = address_range.removesuffix("0/24") + "10"
    return RunningCluster(data_dir=data_dir, vip=f"{host}:6443")
