"""The official `kubernetes` package, unmodified, through the virtual IP."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from tests.support.cluster import RunningCluster

pytestmark = pytest.mark.serial


@pytest.fixture(scope="module")
def core(cluster: RunningCluster) -> Iterator[Any]:
    api_client = config.new_client_from_config(str(cluster.kubeconfig))
    yield client.CoreV1Api(api_client)
    api_client.close()


@pytest.fixture
def namespace(core: Any) -> Iterator[str]:
    name = f"py-{uuid.uuid4().hex[:8]}"
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    yield name
    core.delete_namespace(name)


def config_map(name: str, **data: str) -> Any:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data)


def test_create_list_replace_delete(core: Any, namespace: str) -> None:
    made = core.create_namespaced_config_map(namespace, config_map("one", a="1"))
    assert made.metadata.uid
    assert int(made.metadata.resource_version) > 0
    assert [
        item.metadata.name
        for item in core.list_namespaced_config_map(namespace).items
        if item.metadata.name != "kube-root-ca.crt"
    ] == ["one"]
    made.data = {"a": "2"}
    replaced = core.replace_namespaced_config_map("one", namespace, made)
    assert int(replaced.metadata.resource_version) > int(made.metadata.resource_version)
    core.delete_namespaced_config_map("one", namespace)
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_config_map("one", namespace)
    assert gone.value.status == 404


def test_replace_with_a_stale_resource_version_is_a_conflict(core: Any, namespace: str) -> None:
    stale = core.create_namespaced_config_map(namespace, config_map("raced", n="0"))
    winner = core.read_namespaced_config_map("raced", namespace)
    winner.data = {"n": "winner"}
    core.replace_namespaced_config_map("raced", namespace, winner)
    stale.data = {"n": "loser"}
    with pytest.raises(ApiException) as refused:
        core.replace_namespaced_config_map("raced", namespace, stale)
    assert refused.value.status == 409
    assert '"reason":"Conflict"' in str(refused.value.body).replace(" ", "")
    assert "the object has been modified; please apply your changes" in str(refused.value.body)
    assert core.read_namespaced_config_map("raced", namespace).data == {"n": "winner"}


def test_watch_sees_every_change_in_order(core: Any, namespace: str) -> None:
    start = core.list_namespaced_config_map(namespace).metadata.resource_version

    def write() -> None:
        made = core.create_namespaced_config_map(namespace, config_map("seen", n="0"))
        for number in range(1, 6):
            made.data = {"n": str(number)}
            made = core.replace_namespaced_config_map("seen", namespace, made)
        core.delete_namespaced_config_map("seen", namespace)

    writer = threading.Thread(target=write, name="writer")
    seen: list[tuple[str, str]] = []
    stream = watch.Watch()
    writer.start()
    for event in stream.stream(
        core.list_namespaced_config_map, namespace, resource_version=start, timeout_seconds=30
    ):
        if event["object"].metadata.name != "seen":
            continue
        seen.append((event["type"], event["object"].data["n"]))
        if event["type"] == "DELETED":
            stream.stop()
    writer.join()
    assert seen == [
        ("ADDED", "0"),
        *(("MODIFIED", str(number)) for number in range(1, 6)),
        ("DELETED", "5"),
    ]


def test_patch_and_selectors(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("labelled", a="1"))
    core.patch_namespaced_config_map(
        "labelled", namespace, {"metadata": {"labels": {"tier": "gold"}}, "data": {"b": "2"}}
    )
    found = core.list_namespaced_config_map(namespace, label_selector="tier in (gold, silver)")
    assert [(item.metadata.name, item.data) for item in found.items] == [
        ("labelled", {"a": "1", "b": "2"})
    ]
    by_name = core.list_namespaced_config_map(namespace, field_selector="metadata.name=labelled")
    assert len(by_name.items) == 1


def test_invalid_object_names_the_field(core: Any, namespace: str) -> None:
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_config_map(namespace, config_map("Bad_Name"))
    assert refused.value.status == 422
    assert '"field":"metadata.name"' in str(refused.value.body).replace(" ", "")
