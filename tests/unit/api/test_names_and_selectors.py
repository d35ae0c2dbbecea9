"""Names, label and field selectors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api import names
from apiserver.api.scheme import SCHEME, Resource
from apiserver.api.selectors import (
    SELECTOR_LENGTH_MAX,
    SelectorError,
    from_label_selector,
    parse_fields,
    parse_labels,
)


def resource(group: str, plural: str) -> Resource:
    found = SCHEME.lookup(group, "v1", plural)
    assert found is not None
    return found


PODS = resource("", "pods")


@pytest.mark.parametrize(
    ("check", "name", "findings"),
    [
        (names.subdomain_errors, "a.b-c", []),
        (names.subdomain_errors, "A_b", [names.SUBDOMAIN_MESSAGE]),
        (names.subdomain_errors, "a\n", [names.SUBDOMAIN_MESSAGE]),
        (names.subdomain_errors, "a" * 254, ["must be no more than 253 bytes"]),
        (names.label_errors, "a-b", []),
        (names.label_errors, "a.b", ["must not contain dots"]),
        (names.label_errors, "-a", [names.LABEL_MESSAGE]),
        (names.label_1035_errors, "1a", [names.LABEL_1035_MESSAGE]),
        (names.path_segment_errors, "system:a", []),
        (names.path_segment_errors, "..", ["may not be '..'"]),
        (names.path_segment_errors, "a/b%", ["may not contain '/'", "may not contain '%'"]),
        (names.qualified_name_errors, "example.com/a_B", []),
        (names.qualified_name_errors, "/a", ["prefix part must be non-empty"]),
        (names.label_value_errors, "", []),
        (names.label_value_errors, "a" * 64, ["must be no more than 63 bytes"]),
        (names.config_key_errors, "..a", ["must not start with '..'"]),
        (names.env_name_errors, "a=b", [names.ENV_NAME_MESSAGE]),
        (names.port_name_errors, "http", []),
        (names.port_name_errors, "a--b", ["must not contain consecutive hyphens"]),
    ],
)
def test_rules_for_names(check: names.NameCheck, name: str, findings: list[str]) -> None:
    assert check(name) == findings


def test_generate_name_may_end_in_a_hyphen() -> None:
    check = names.as_prefix(names.subdomain_errors)
    assert check("web-") == []
    assert check("Web-") == [names.SUBDOMAIN_MESSAGE]


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a in (b,c)", {"a": "c"}, True),
        ("a in (b,c)", {}, False),
        ("a notin (b, c)", {"a": "d"}, True),
        ("a notin (b,c)", {}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        (" ! a , b ", {"b": "1"}, True),
        ("a>5", {"a": "6"}, True),
        ("a<5", {"a": "x"}, False),
        ("a=", {"a": ""}, True),
        ("a in (,b)", {"a": ""}, True),
        ("example.com/a=b,c=d", {"example.com/a": "b", "c": "d"}, True),
    ],
)
def test_label_selectors(text: str, labels: dict[str, str], matches: bool) -> None:
    assert parse_labels(text).matches({"metadata": {"labels": labels}}) is matches


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a=b,", "found '', expected: identifier after ','"),
        ("=a", "found '=', expected: !, identifier"),
        ("a b", "found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in b", "found 'b', expected: '('"),
        ("a in (b", "found '', expected: ',', ')' or identifier"),
        ("a=%%", 'Invalid value: "%%"'),
        ("a>x", "the value must be an integer"),
        ("-a", 'Invalid value: "-a"'),
        ("a" * (SELECTOR_LENGTH_MAX + 1), "longer than"),
    ],
)
def test_bad_label_selectors(text: str, why: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_labels(text)
    assert why in str(caught.value)


@given(st.text(alphabet="ab=!,()<> in", max_size=12))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        selector = parse_labels(text)
    except SelectorError:
        return
    assert selector.matches_labels({"a": "b"}) in (True, False)


def test_label_selector_objects() -> None:
    selector = from_label_selector(
        {
            "matchLabels": {"a": "b"},
            "matchExpressions": [{"key": "c", "operator": "DoesNotExist"}],
        }
    )
    assert selector is not None
    assert selector.matches_labels({"a": "b"})
    assert not selector.matches_labels({"a": "b", "c": ""})
    assert from_label_selector(None) is None
    with pytest.raises(SelectorError, match='"Like" is not a valid label selector operator'):
        from_label_selector({"matchExpressions": [{"key": "c", "operator": "Like"}]})


POD: dict[str, Any] = {
    "metadata": {"name": "p,=", "namespace": "n"},
    "spec": {"nodeName": "node-1"},
    "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]},
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        (r"metadata.name=p\,\=", True),
        ("metadata.name!=p,metadata.namespace=n", True),
        ("spec.nodeName==node-1", True),
        ("spec.host=node-2", False),
        ("spec.hostNetwork=false", True),
        ("status.phase!=Running", False),
        ("status.podIP=10.0.0.1", True),
        ("status.nominatedNodeName=", True),
    ],
)
def test_field_selectors_of_pods(text: str, matches: bool) -> None:
    assert parse_fields(PODS, text).matches(POD) is matches


@pytest.mark.parametrize(
    ("of", "text", "why"),
    [
        (PODS, "spec.image=x", "field label not supported: spec.image"),
        (
            resource("", "configmaps"),
            "data=x",
            '"data" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        (PODS, "metadata.name", "can't understand 'metadata.name'"),
        (PODS, r"metadata.name=a\b", "invalid escape sequence"),
        (PODS, "metadata.name=a=b", "unescaped character"),
    ],
)
def test_bad_field_selectors(of: Resource, text: str, why: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_fields(of, text)
    assert why in str(caught.value)


def test_an_exact_name_is_found_in_the_selector() -> None:
    selector = parse_fields(PODS, "status.phase=Running,metadata.name=a")
    assert selector.exact("metadata.name") == "a"
    assert parse_fields(PODS, "metadata.name!=a").exact("metadata.name") is None


def test_both_groups_select_the_same_stored_events() -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p"},
        "reportingComponent": "kubelet",
    }
    core = parse_fields(resource("", "events"), "involvedObject.name=p,source=kubelet")
    new = parse_fields(
        resource("events.k8s.io", "events"), "regarding.kind=Pod,reportingController=kubelet"
    )
    assert core.matches(event)
    assert new.matches(event)
