"""One real store and API servers over it, shared by the tests of a module."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.apiservers import ApiClient, ApiServerProcess, admin_tls, namespace
from tests.support.stores import StoreCluster, make_store


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module over each store that its `STORE_KINDS` names; over Debian's etcd by default."""
    if "store_kind" in metafunc.fixturenames:
        kinds = getattr(metafunc.module, "STORE_KINDS", ("etcd",))
        metafunc.parametrize("store_kind", kinds, scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(
    store_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StoreCluster]:
    """A store of one member."""
    cluster = make_store(store_kind, Path(tmp_path_factory.mktemp("store")), 1)
    cluster.start()
    try:
        await cluster.wait_until_serving()
        yield cluster
    finally:
        cluster.stop_all()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(store: StoreCluster) -> AsyncIterator[ApiServerProcess]:
    """A running API server."""
    process = ApiServerProcess(store, "a")
    await process.start()
    try:
        yield process
    finally:
        if process.process is not None:
            assert process.stop() == 0, process.log_path.read_text()
    assert "Traceback" not in process.log_path.read_text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(server: ApiServerProcess) -> AsyncIterator[ApiClient]:
    """An administrator's client."""
    client = ApiClient(server.url, admin_tls(server.store.root))
    try:
        yield client
    finally:
        await client.close()


_numbers = itertools.count(1)


@pytest_asyncio.fixture(loop_scope="module")
async def ns(api: ApiClient) -> str:
    """The path of a namespace of the test's own: `/api/v1/namespaces/<name>`."""
    name = f"test-{next(_numbers)}"
    created = await api.post("/api/v1/namespaces", namespace(name))
    assert created.status == 201, created.body
    return f"/api/v1/namespaces/{name}"


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that no other test uses."""
    return lambda stem: f"{stem}-{next(_numbers)}"
