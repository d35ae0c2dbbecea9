"""What a delete does to an object, case by case."""

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.api.errors import ApiError
from apiserver.api.scheme import SCHEME
from apiserver.endpoints.delete_options import DeleteOptions, parse_delete_options
from apiserver.endpoints.removal import decide_removal, is_finished
from apiserver.endpoints.target import Target
from apiserver.store.etcd3 import KEEP, Put, Remove

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _target(kind: str) -> Target:
    resource = SCHEME.by_kind("v1", kind)
    assert resource is not None
    return Target(resource, "default", "x")


def _object(kind: str = "ConfigMap", **metadata: Any) -> dict[str, Any]:
    meta = {"name": "x", "uid": "u", "resourceVersion": "5", **metadata}
    return {"kind": kind, "apiVersion": "v1", "metadata": meta}


def _decide(obj: dict[str, Any], **options: Any) -> Any:
    return decide_removal(_target(obj["kind"]), obj, DeleteOptions(**options), NOW)


def test_nothing_holds_it() -> None:
    assert _decide(_object()) == Remove()


def test_finalizers_hold_it() -> None:
    decision = _decide(_object(finalizers=["a.b/c"], generation=3))
    assert isinstance(decision, Put)
    metadata = decision.obj["metadata"]
    assert metadata["deletionTimestamp"] == "2026-01-02T03:04:05Z"
    assert metadata["deletionGracePeriodSeconds"] == 0
    assert metadata["generation"] == 4
    assert _decide(decision.obj) is KEEP


@pytest.mark.parametrize(
    ("existing", "policy", "finalizers"),
    [
        ([], "Orphan", ["orphan"]),
        ([], "Foreground", ["foregroundDeletion"]),
        (["orphan"], "Foreground", ["foregroundDeletion"]),
        (["a.b/c", "orphan"], None, ["a.b/c", "orphan"]),
        (["a.b/c", "foregroundDeletion"], "Background", ["a.b/c"]),
    ],
)
def test_policies_become_finalizers(
    existing: list[str], policy: str | None, finalizers: list[str]
) -> None:
    decision = _decide(_object(finalizers=existing), propagation_policy=policy)
    assert decision.obj["metadata"]["finalizers"] == finalizers


def test_background_releases_orphans() -> None:
    assert _decide(_object(finalizers=["orphan"]), propagation_policy="Background") == Remove()


def _pod(**spec: Any) -> dict[str, Any]:
    return {**_object("Pod"), "spec": spec, "status": {"phase": "Running"}}


def test_assigned_pods_get_their_grace() -> None:
    decision = _decide(_pod(nodeName="n", terminationGracePeriodSeconds=7))
    assert decision.obj["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:12Z"
    assert decision.obj["metadata"]["deletionGracePeriodSeconds"] == 7
    assert not is_finished(decision.obj)
    shorter = _decide(decision.obj, grace_period_s=2)
    assert shorter.obj["metadata"]["deletionGracePeriodSeconds"] == 2
    assert _decide(shorter.obj, grace_period_s=60) is KEEP
    assert _decide(shorter.obj, grace_period_s=0) == Remove()


def test_unassigned_and_finished_pods_go_at_once() -> None:
    assert _decide(_pod()) == Remove()
    finished = _pod(nodeName="n")
    finished["status"]["phase"] = "Succeeded"
    assert _decide(finished) == Remove()


def test_namespaces_wait_for_their_content() -> None:
    namespace = {**_object("Namespace"), "spec": {"finalizers": ["kubernetes"]}}
    decision = _decide(namespace)
    assert decision.obj["status"] == {"phase": "Terminating"}
    assert not is_finished(decision.obj)
    decision.obj["spec"] = {}
    assert is_finished(decision.obj)


def test_preconditions() -> None:
    for options in ({"uid": "other"}, {"resource_version": "4"}):
        with pytest.raises(ApiError) as refused:
            _decide(_object(), **options)
        assert refused.value.status_code == 409
    assert _decide(_object(), uid="u", resource_version="5") == Remove()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "Pod"}, 400),
        ({"gracePeriodSeconds": "soon"}, 400),
        ({"propagationPolicy": "Sideways"}, 422),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422),
        ({"dryRun": ["Some"]}, 422),
        ({"preconditions": []}, None),
    ],
)
def test_options_are_checked(body: dict[str, Any], status: int | None) -> None:
    if status is None:
        assert parse_delete_options(body, {}) == DeleteOptions()
        return
    with pytest.raises(ApiError) as refused:
        parse_delete_options(body, {})
    assert refused.value.status_code == status


def test_options_from_the_query() -> None:
    options = parse_delete_options(
        None, {"gracePeriodSeconds": "3", "propagationPolicy": "Orphan", "dryRun": "All"}
    )
    assert (options.grace_period_s, options.orphans, options.dry_run) == (3, True, True)
