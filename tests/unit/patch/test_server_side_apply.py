"""Server-side apply: cases of the merge, texts of conflicts, and what holds for any objects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api.json_values import clone
from apiserver.patch.apply import (
    LAST_APPLIED,
    ApplyConflictError,
    UntypedConfigurationError,
    server_side_apply,
)
from apiserver.patch.errors import PatchError
from apiserver.patch.managed_fields import Author, Scope, settle_times, track
from apiserver.patch.managed_fields_sets import difference, intersection, union
from apiserver.patch.managed_fields_shapes import struct_shape
from apiserver.patch.managed_fields_walk import every

Json = dict[str, Any]

DEPLOYMENT = Scope("apps_v1.Deployment", "apps/v1", ignored={"f:status": {}})
SERVICE = Scope("core_v1.Service", "v1", ignored={"f:status": {}})
POD = Scope("core_v1.Pod", "v1", ignored={"f:status": {}})


def at(manager: str, second: int = 0) -> Author:
    return Author(manager, f"2026-01-01T00:00:{second:02}Z")


def empty(scope: Scope) -> Json:
    kind = scope.type_name.rpartition(".")[2]
    return {"apiVersion": scope.api_version, "kind": kind, "metadata": {}}


def config(scope: Scope, spec: Json, **metadata: Any) -> Json:
    return {**empty(scope), "metadata": {"name": "x", **metadata}, "spec": spec}


def pod(*items: Json, **spec: Any) -> Json:
    return config(POD, {"containers": list(items), **spec})


def entries(obj: Json) -> Json:
    found = obj["metadata"].get("managedFields", [])
    return {f"{e['manager']}/{e['operation']}": e["fieldsV1"] for e in found}


def applied(scope: Scope, *steps: tuple[str, Json], force: bool = True) -> Json:
    """Apply one configuration after another to nothing, as different managers."""
    live = empty(scope)
    for number, (manager, wanted) in enumerate(steps):
        live = server_side_apply(scope, live, wanted, at(manager, number), force=force)
        live["metadata"]["uid"] = "u"
    return live


A, B, C = ({"name": name, "image": name} for name in "abc")

MERGES = [
    ("an applier's item joins others", [("m", pod(A)), ("n", pod(B))], [A, B]),
    ("an item no longer applied goes", [("m", pod(A, B)), ("m", pod(B))], [B]),
    ("an item that another owns stays", [("m", pod(A, B)), ("n", pod(A)), ("m", pod(B))], [A, B]),
    ("the last order of shared items holds", [("m", pod(A, B)), ("n", pod(B, A))], [B, A]),
    ("a new item stands where it is applied", [("m", pod(A, C)), ("n", pod(A, B, C))], [A, B, C]),
    ("items of others stay in their place", [("m", pod(A, B, C)), ("n", pod(C))], [A, B, C]),
    (
        "a field no longer applied goes",
        [("m", pod({"name": "a", "image": "a", "command": ["x"]})), ("m", pod(A))],
        [A],
    ),
    (
        "an atomic list is replaced whole",
        [("m", pod({**A, "args": ["1", "2"]})), ("n", pod({"name": "a", "args": ["3"]}))],
        [{**A, "args": ["3"]}],
    ),
    (
        "a key with a default need not be said",
        [
            ("m", pod({**A, "ports": [{"containerPort": 1, "protocol": "TCP"}]})),
            ("n", pod({"name": "a", "ports": [{"containerPort": 1, "name": "p"}]})),
        ],
        [{**A, "ports": [{"containerPort": 1, "protocol": "TCP", "name": "p"}]}],
    ),
    (
        "a port differs by its protocol",
        [
            ("m", pod({**A, "ports": [{"containerPort": 1, "protocol": "TCP"}]})),
            ("n", pod({"name": "a", "ports": [{"containerPort": 1, "protocol": "UDP"}]})),
        ],
        [
            {
                **A,
                "ports": [
                    {"containerPort": 1, "protocol": "TCP"},
                    {"containerPort": 1, "protocol": "UDP"},
                ],
            }
        ],
    ),
]


@pytest.mark.parametrize(("steps", "expected"), [c[1:] for c in MERGES], ids=[c[0] for c in MERGES])
def test_containers(steps: list[tuple[str, Json]], expected: list[Json]) -> None:
    assert applied(POD, *steps)["spec"]["containers"] == expected


def test_sets_and_maps() -> None:
    first = config(POD, {}, labels={"a": "1", "b": "1"}, finalizers=["x/a", "x/b"])
    second = config(POD, {}, labels={"c": "1"}, finalizers=["x/c"])
    live = applied(POD, ("m", first), ("n", second), ("m", config(POD, {}, labels={"a": "1"})))
    assert live["metadata"]["labels"] == {"a": "1", "c": "1"}
    assert live["metadata"]["finalizers"] == ["x/c"]
    assert entries(live)["n/Apply"]["f:metadata"] == {
        "f:finalizers": {'v:"x/c"': {}},
        "f:labels": {"f:c": {}},
    }


def test_letting_go_of_all_metadata_keeps_the_name() -> None:
    first, second = config(POD, {}, labels={"a": "1"}), config(POD, {})
    live = applied(POD, ("m", first), ("m", second))
    live["metadata"].pop("managedFields")
    assert live["metadata"] == {"name": "x", "uid": "u"}


def test_an_atomic_map_belongs_to_one() -> None:
    live = applied(SERVICE, ("m", config(SERVICE, {"selector": {"a": "1"}})))
    with pytest.raises(ApplyConflictError, match=r'conflict with "m": \.spec\.selector$'):
        server_side_apply(SERVICE, live, config(SERVICE, {"selector": {"b": "1"}}), at("n"))


def test_conflicts_are_named_to_the_letter() -> None:
    live = config(DEPLOYMENT, {"replicas": 1, "paused": True})
    track(DEPLOYMENT, live, None, at("kubectl-client-side-apply"))
    live["metadata"]["uid"] = "u"
    with pytest.raises(ApplyConflictError) as one:
        server_side_apply(DEPLOYMENT, live, config(DEPLOYMENT, {"replicas": 2}), at("me"))
    assert str(one.value) == (
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: '
        ".spec.replicas"
    )
    wanted = config(DEPLOYMENT, {"replicas": 2, "paused": False})
    with pytest.raises(ApplyConflictError) as two:
        server_side_apply(DEPLOYMENT, live, wanted, at("me"))
    assert str(two.value) == (
        'Apply failed with 2 conflicts: conflicts with "kubectl-client-side-apply" using apps/v1:\n'
        "- .spec.paused\n- .spec.replicas"
    )
    assert [cause.field for cause in two.value.causes] == [".spec.paused", ".spec.replicas"]


def test_wanting_the_same_is_shared() -> None:
    wanted = config(DEPLOYMENT, {"replicas": 2})
    live = applied(DEPLOYMENT, ("m", wanted), ("n", wanted), force=False)
    assert entries(live)["m/Apply"] == entries(live)["n/Apply"]
    live = server_side_apply(DEPLOYMENT, live, config(DEPLOYMENT, {}), at("m"))
    assert live["spec"]["replicas"] == 2


def test_an_update_takes_over() -> None:
    live = applied(DEPLOYMENT, ("m", config(DEPLOYMENT, {"replicas": 2, "paused": True})))
    new = clone(live)
    new["spec"]["replicas"] = 3
    del new["spec"]["paused"]
    track(DEPLOYMENT, new, live, at("u"))
    assert entries(new) == {"u/Update": {"f:spec": {"f:replicas": {}}}}


def test_client_side_apply_is_upgraded_by_kubectl_alone() -> None:
    last = config(DEPLOYMENT, {"replicas": 1})
    live = config(DEPLOYMENT, {"replicas": 1}, annotations={LAST_APPLIED: json.dumps(last)})
    track(DEPLOYMENT, live, None, at("kubectl-client-side-apply"))
    live["metadata"]["uid"] = "u"
    wanted = config(DEPLOYMENT, {"replicas": 2})
    with pytest.raises(ApplyConflictError):
        server_side_apply(DEPLOYMENT, live, wanted, at("other"))
    result = server_side_apply(DEPLOYMENT, live, wanted, at("kubectl"))
    assert result["spec"] == {"replicas": 2}
    assert json.loads(result["metadata"]["annotations"][LAST_APPLIED]) == wanted


def test_what_nobody_owned_is_owned_from_before() -> None:
    live = config(DEPLOYMENT, {"replicas": 1}, uid="u")
    with pytest.raises(ApplyConflictError, match='"before-first-apply" using apps/v1'):
        server_side_apply(DEPLOYMENT, live, config(DEPLOYMENT, {"replicas": 2}), at("m"))


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (config(DEPLOYMENT, {"foo": 1}), ".spec.foo: field not declared in schema"),
        ({**pod(A), "spec": "bar"}, ".spec: expected map, got &{bar}"),
        (pod(containers="c"), ".spec.containers: expected list, got &{c}"),
        (pod(A, A), '.spec.containers: duplicate entries for key [name="a"]'),
        (
            pod({"image": "i"}),
            ".spec.containers: element 0: associative list with keys has an element that omits key "
            'field "name" (and doesn\'t have default value)',
        ),
    ],
)
def test_configurations_that_do_not_fit(wanted: Json, text: str) -> None:
    scope = POD if wanted["kind"] == "Pod" else DEPLOYMENT
    with pytest.raises(UntypedConfigurationError) as error:
        server_side_apply(scope, empty(scope), wanted, at("m"))
    version = scope.api_version
    start = f"failed to create typed patch object (/x; {version}, Kind={wanted['kind']}): "
    assert str(error.value) == start + text


def test_what_a_configuration_may_not_say() -> None:
    with pytest.raises(PatchError, match="managedFields must be nil"):
        server_side_apply(POD, empty(POD), config(POD, {}, managedFields=[]), at("m"))
    with pytest.raises(PatchError, match="64-bit"):
        server_side_apply(POD, empty(POD), config(POD, {"priority": 1 << 70}), at("m"))
    with pytest.raises(PatchError, match="Specified patch version: v2, expected: v1"):
        server_side_apply(POD, empty(POD), {**pod(A), "apiVersion": "v2"}, at("m"))


def test_the_eleventh_updater_makes_ancient_changes() -> None:
    live = config(DEPLOYMENT, {}, labels={})
    track(DEPLOYMENT, live, None, at("u0"))
    live["metadata"]["uid"] = "u"
    for number in range(12):
        new = clone(live)
        new["metadata"]["labels"][f"l{number:02}"] = "x"
        track(DEPLOYMENT, new, live, at(f"u{number:02}", number))
        live = new
    found = entries(live)
    assert len(found) == 10
    owned = found["ancient-changes/Update"]["f:metadata"]["f:labels"]
    assert owned == {".": {}, "f:l00": {}, "f:l01": {}, "f:l02": {}}


def test_entries_that_a_client_sends() -> None:
    live = config(DEPLOYMENT, {"replicas": 1})
    track(DEPLOYMENT, live, None, at("m"))
    live["metadata"]["uid"] = "u"
    for sent, expected in (
        ([], entries(live)),
        ([{"manager": "x", "operation": "Eat", "apiVersion": "v1"}], entries(live)),
        ([{}], {}),
    ):
        new = clone(live)
        new["metadata"]["managedFields"] = sent
        track(DEPLOYMENT, new, live, at("n"))
        assert entries(new) == expected


def test_times_change_only_with_something_else() -> None:
    live = applied(DEPLOYMENT, ("m", config(DEPLOYMENT, {"replicas": 1})))
    wanted = config(DEPLOYMENT, {"replicas": 1})
    again = server_side_apply(DEPLOYMENT, live, wanted, at("m", 30))
    assert again != live
    settle_times(again, live)
    assert again == live


NAMES = st.sampled_from("abcd")
ITEMS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "image": st.sampled_from("xyz"),
        "args": st.lists(NAMES, min_size=1, max_size=2),
        "env": st.lists(NAMES, min_size=1, max_size=3, unique=True).map(
            lambda names: [{"name": n, "value": "v"} for n in names]
        ),
    },
)
SPECS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {"restartPolicy": st.just("Always")},
    optional={
        "containers": st.lists(
            ITEMS, min_size=1, max_size=3, unique_by=lambda item: str(item["name"])
        ),
        "hostname": NAMES,
    },
)
LABELS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {}, optional={"labels": st.dictionaries(NAMES, NAMES, min_size=1, max_size=3)}
)
CONFIGS = st.builds(lambda spec, metadata: config(POD, spec, **metadata), SPECS, LABELS)
STEPS = st.lists(st.tuples(st.sampled_from("mno"), CONFIGS), min_size=1, max_size=5)


@given(STEPS)
def test_applying_twice_is_applying_once(steps: list[tuple[str, Json]]) -> None:
    live = applied(POD, *steps)
    manager, wanted = steps[-1]
    again = server_side_apply(POD, live, wanted, at(manager, 40))
    settle_times(again, live)
    assert again == live


@given(STEPS)
def test_owners_own_what_is_there(steps: list[tuple[str, Json]]) -> None:
    live = applied(POD, *steps)
    there = every(struct_shape(POD.type_name), live)
    for fields in entries(live).values():
        assert {**fields, ".": {}} == intersection({**fields, ".": {}}, there)


@given(STEPS, st.sampled_from("mno"))
def test_what_was_forced_can_be_applied_in_peace(
    steps: list[tuple[str, Json]], manager: str
) -> None:
    live = applied(POD, *steps)
    wanted = steps[0][1]
    forced = server_side_apply(POD, live, wanted, at(manager), force=True)
    assert server_side_apply(POD, forced, wanted, at(manager)) is not None


@given(CONFIGS, CONFIGS)
def test_sets_are_sets(left: Json, right: Json) -> None:
    shape = struct_shape(POD.type_name)
    a, b = every(shape, left), every(shape, right)
    assert union(a, b) == union(b, a)
    assert intersection(a, b) == intersection(b, a)
    assert difference(union(a, b), b) == difference(a, b)
    assert union(difference(a, b), intersection(a, b)) == a
