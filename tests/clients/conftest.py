"""One cluster for all tests with real clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import RunningCluster, start_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    data_dir = tmp_path_factory.mktemp("cluster") / "state"
    running = start_cluster(data_dir, "127.0.40.0/24")
    yield running
    stopped = running.triplane("down")
    assert stopped.returncode == 0, stopped.stderr
