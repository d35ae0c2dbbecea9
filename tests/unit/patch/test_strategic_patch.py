"""Strategic merge patch: merge keys, directives, order of items."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.patch.errors import PatchConflictError, PatchError
from apiserver.patch.strategic import apply_strategic_patch

POD = "core_v1.Pod"


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": list(containers), **spec}}


def names(document: dict[str, Any]) -> list[str]:
    return [container["name"] for container in document["spec"]["containers"]]


def test_containers_merge_by_name_and_keep_what_the_patch_does_not_name() -> None:
    document = pod({"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1", "tty": True})
    patched = apply_strategic_patch(
        document, {"spec": {"containers": [{"name": "b", "image": "b:2"}]}}, POD
    )
    assert patched == pod({"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2", "tty": True})
    assert document["spec"]["containers"][1]["image"] == "b:1"


def test_new_items_stand_before_what_only_the_server_has() -> None:
    document = pod({"name": "a"}, {"name": "b"})
    patched = apply_strategic_patch(document, {"spec": {"containers": [{"name": "c"}]}}, POD)
    assert names(patched) == ["c", "a", "b"]


def test_delete_directive_removes_an_item() -> None:
    patch = {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}
    assert names(apply_strategic_patch(pod({"name": "a"}, {"name": "b"}), patch, POD)) == ["b"]


def test_replace_directive_replaces_the_whole_list() -> None:
    patch = {"spec": {"containers": [{"name": "c"}, {"$patch": "replace"}]}}
    assert names(apply_strategic_patch(pod({"name": "a"}, {"name": "b"}), patch, POD)) == ["c"]


def test_replace_directive_replaces_a_map_and_delete_empties_it() -> None:
    document = {"metadata": {"labels": {"a": "1", "b": "2"}, "annotations": {"x": "y"}}}
    patch = {
        "metadata": {"labels": {"c": "3", "$patch": "replace"}, "annotations": {"$patch": "delete"}}
    }
    assert apply_strategic_patch(document, patch, POD) == {
        "metadata": {"labels": {"c": "3"}, "annotations": {}}
    }


def test_retain_keys_drops_the_other_union_members() -> None:
    document = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    patched = apply_strategic_patch(document, patch, "apps_v1.Deployment")
    assert patched == {"spec": {"strategy": {"type": "Recreate"}}}


def test_retain_keys_must_cover_what_the_patch_sets() -> None:
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}}
    with pytest.raises(PatchError, match="invalid patch format of retainKeys"):
        apply_strategic_patch({"spec": {"strategy": {}}}, patch, "apps_v1.Deployment")


def test_finalizers_are_a_set_of_scalars() -> None:
    document = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {"metadata": {"finalizers": ["c", "b"], "$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert apply_strategic_patch(document, patch, POD)["metadata"]["finalizers"] == ["c", "b"]


def test_set_element_order_decides_the_order() -> None:
    document = pod({"name": "a"}, {"name": "b"}, {"name": "server"})
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
            "containers": [{"name": "c", "image": "c"}],
        }
    }
    assert names(apply_strategic_patch(document, patch, POD)) == ["c", "b", "a", "server"]


def test_set_element_order_must_name_what_the_patch_merges() -> None:
    patch = {"spec": {"$setElementOrder/containers": [], "containers": [{"name": "c"}]}}
    with pytest.raises(PatchError, match="invalid patch format of setElementOrder list"):
        apply_strategic_patch(pod({"name": "a"}), patch, POD)


def test_lists_without_a_merge_key_are_replaced() -> None:
    document = pod({"name": "a", "args": ["x", "y"]}, tolerations=[{"key": "a"}])
    patch = {"spec": {"containers": [{"name": "a", "args": ["z"]}], "tolerations": [{"key": "b"}]}}
    assert apply_strategic_patch(document, patch, POD) == pod(
        {"name": "a", "args": ["z"]}, tolerations=[{"key": "b"}]
    )


def test_null_removes_and_new_maps_keep_no_nulls() -> None:
    document = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    patch = {"metadata": {"labels": {"a": None}, "annotations": {"x": "1", "y": None}}}
    assert apply_strategic_patch(document, patch, POD) == {
        "metadata": {"labels": {"b": "2"}, "annotations": {"x": "1"}}
    }


def test_a_budgets_selector_is_replaced_as_a_whole() -> None:
    document = {"spec": {"selector": {"matchLabels": {"a": "1"}}}}
    patch = {"spec": {"selector": {"matchLabels": {"b": "2"}}}}
    patched = apply_strategic_patch(document, patch, "policy_v1.PodDisruptionBudget")
    assert patched == patch


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        ([], "invalid JSON document"),
        ({"spec": {"containers": [{"image": "x"}]}}, "does not contain declared merge key: name"),
        ({"metadata": {"$patch": "explode"}}, "unknown patch type: explode"),
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}}, "of primitive list"),
    ],
)
def test_malformed_patches_are_refused(patch: Any, text: str) -> None:
    with pytest.raises(PatchError, match=text):
        apply_strategic_patch(pod({"name": "a"}), patch, POD)


def test_lists_of_lists_do_not_merge() -> None:
    with pytest.raises(PatchConflictError, match="lists of lists"):
        apply_strategic_patch(pod({"name": "a"}), {"spec": {"containers": [[]]}}, POD)
