"""Decoding: types, unknown and duplicate fields, kinds and versions, canonical values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api.decode import Decoded, FieldValidation, Target, decode_body
from apiserver.api.errors import ApiError
from apiserver.api.scheme import SCHEME


def target(api_version: str, plural: str) -> Target:
    group, _, version = api_version.rpartition("/")
    resource = SCHEME.lookup(group, version, plural)
    assert resource is not None
    return Target.of(resource)


CONFIG_MAP = target("v1", "configmaps")
SECRET = target("v1", "secrets")
POD = target("v1", "pods")
DEPLOYMENT = target("apps/v1", "deployments")
LEASE = target("coordination.k8s.io/v1", "leases")


def decode(to: Target, body: str | dict[str, Any], validation: str = "", **more: Any) -> Decoded:
    text = body if isinstance(body, str) else json.dumps(body)
    return decode_body(to, text.encode(), validation=FieldValidation.of(validation), **more)


def refusal(to: Target, body: str | dict[str, Any], validation: str = "", **more: Any) -> str:
    with pytest.raises(ApiError) as caught:
        decode(to, body, validation, **more)
    assert (caught.value.status_code, caught.value.reason) == (400, "BadRequest")
    return caught.value.message


@pytest.mark.parametrize(
    ("to", "body", "why"),
    [
        (
            CONFIG_MAP,
            {"data": {"a": 1}},
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            POD,
            {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": 1}]}]}},
            "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value "
            "of type string",
        ),
        (
            POD,
            {"spec": []},
            "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec",
        ),
        (
            POD,
            {"spec": {"containers": {}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers "
            "of type []v1.Container",
        ),
        (
            DEPLOYMENT,
            {"spec": {"replicas": "two"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas "
            "of type int32",
        ),
        (
            DEPLOYMENT,
            {"spec": {"replicas": 3000000000}},
            "json: cannot unmarshal number 3000000000 into Go struct field "
            "DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            {"spec": {"paused": "yes"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused "
            "of type bool",
        ),
        (
            POD,
            {"metadata": {"labels": {"a": True}}},
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels "
            "of type string",
        ),
        (SECRET, {"data": {"a": "not base64"}}, "illegal base64 data at input byte 3"),
        (
            POD,
            {"metadata": {"creationTimestamp": "yesterday"}},
            'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as '
            '"2006"',
        ),
        (
            POD,
            {"spec": {"containers": [{"resources": {"limits": {"cpu": "much"}}}]}},
            "quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ],
)
def test_wrong_types_are_refused_in_gos_words(to: Target, body: dict[str, Any], why: str) -> None:
    prefix = f'{to.kind} in version "{to.version}" cannot be handled as a {to.kind}: '
    assert refusal(to, body) == prefix + why


STRICT_BODY = (
    '{"spec": {"replicas": 1, "unknownField": 1, "replicas": 2, '
    '"template": {"spec": {"containers": [{"nme": "x"}]}}}}'
)
STRICT_FINDINGS = (
    'unknown field "spec.unknownField"',
    'duplicate field "spec.replicas"',
    'unknown field "spec.template.spec.containers[0].nme"',
)


def test_strict_validation_names_all_findings_in_document_order() -> None:
    assert refusal(DEPLOYMENT, STRICT_BODY, "Strict") == (
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
        + ", ".join(STRICT_FINDINGS)
    )


def test_warnings_are_the_default_and_unknown_fields_are_dropped() -> None:
    decoded = decode(DEPLOYMENT, STRICT_BODY)
    assert decoded.warnings == STRICT_FINDINGS
    assert decoded.obj["spec"]["replicas"] == 2
    assert "unknownField" not in decoded.obj["spec"]
    assert "nme" not in decoded.obj["spec"]["template"]["spec"]["containers"][0]


def test_ignoring_drops_in_silence() -> None:
    decoded = decode(DEPLOYMENT, STRICT_BODY, "Ignore")
    assert decoded.warnings == ()
    assert "unknownField" not in decoded.obj["spec"]


def test_field_validation_must_be_known() -> None:
    with pytest.raises(ApiError) as caught:
        FieldValidation.of("Loose")
    assert caught.value.status_code == 422
    assert caught.value.message == (
        'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Loose": '
        'supported values: "", "Ignore", "Strict", "Warn"'
    )


@pytest.mark.parametrize(
    ("kind", "api_version", "message"),
    [
        (
            "Pod",
            "v1",
            'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to '
            "(core.ConfigMap): unknown conversion",
        ),
        (
            "Podling",
            "v1",
            'Podling in version "v1" cannot be handled as a ConfigMap: no kind "Podling" is '
            'registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
    ],
)
def test_bodies_of_another_kind(kind: str, api_version: str, message: str) -> None:
    assert refusal(CONFIG_MAP, {"kind": kind, "apiVersion": api_version}) == message


def test_a_body_of_another_version_of_the_group() -> None:
    body = {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v1"}
    assert refusal(target("autoscaling/v2", "horizontalpodautoscalers"), body) == (
        "the API version in the data (autoscaling/v1) does not match the expected API version "
        "(autoscaling/v2)"
    )


def test_kind_and_version_may_be_left_out() -> None:
    obj = decode(CONFIG_MAP, {"metadata": {"name": "a"}}).obj
    assert (obj["apiVersion"], obj["kind"]) == ("v1", "ConfigMap")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "unexpected end of JSON input (<empty>)"),
        ("{bad}", "invalid character 'b' looking for beginning of object key string ({bad})"),
        ('{"a":1', 'unexpected end of JSON input ({"a":1)'),
        ('{"a" 1}', "invalid character '1' after object key ({\"a\" 1})"),
        ('{"a":[1 2]}', "invalid character '2' after array element ({\"a\":[1 2]})"),
        ('{"a":1} x', "invalid character 'x' after top-level value ({\"a\":1} x)"),
        ('{"a":NaN}', "invalid character 'N' looking for beginning of value ({\"a\":NaN})"),
        ("xyz", "invalid character 'x' looking for beginning of value (78797a)"),
    ],
)
def test_what_is_no_json(body: str, why: str) -> None:
    assert refusal(CONFIG_MAP, body) == (
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get "
        f"version/kind; json parse error: {why}"
    )


def test_depth_is_bounded() -> None:
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    assert "exceeded max depth" in refusal(CONFIG_MAP, deep)


@pytest.mark.parametrize("media_type", ["application/json", "application/yaml"])
def test_endless_numbers_are_refused_like_any_wrong_type(media_type: str) -> None:
    for number in ("9" * 5000, "9" * 400 + ".5", "1" + "0" * 30):
        body = '{"spec": {"replicas": ' + number + "}}"
        assert "400" in _answer(DEPLOYMENT, body, media_type)
        cpu = '{"spec": {"containers": [{"resources": {"limits": {"cpu": "' + number + 'Ki"}}}]}}'
        assert _answer(POD, cpu, media_type) in ("400", "decoded")


def _answer(to: Target, body: str, media_type: str) -> str:
    try:
        decode(to, body, media_type=media_type)
    except ApiError as error:
        return str(error.status_code)
    return "decoded"


def test_lone_surrogates_become_replacement_characters() -> None:
    obj = decode(CONFIG_MAP, '{"data": {"a": "x\\ud800"}}').obj
    assert obj["data"]["a"] == "x\ufffd"


def test_null_means_absent_and_empty_collections_vanish() -> None:
    body = {
        "metadata": {"name": "p", "labels": {}, "annotations": None},
        "spec": {"containers": [{"name": "c", "args": [], "command": None}], "volumes": []},
    }
    obj = decode(POD, body).obj
    assert obj["metadata"] == {"name": "p"}
    assert "volumes" not in obj["spec"]
    assert not {"args", "command"} & obj["spec"]["containers"][0].keys()


def test_empty_strings_vanish_unless_they_mean_something() -> None:
    meta = {"name": "a", "namespace": "", "uid": "", "selfLink": "", "generateName": ""}
    assert decode(CONFIG_MAP, {"metadata": meta, "data": {"k": ""}}).obj == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "data": {"k": ""},
    }
    released = {"spec": {"holderIdentity": ""}}
    assert decode(LEASE, released).obj["spec"] == released["spec"]
    claims = target("v1", "persistentvolumeclaims")
    unprovisioned = {"spec": {"storageClassName": "", "volumeName": ""}}
    spec = decode(claims, unprovisioned).obj["spec"]
    assert spec == {"storageClassName": "", "volumeMode": "Filesystem"}


def test_values_become_canonical() -> None:
    resources = {"limits": {"cpu": 1.5, "memory": "1024Mi"}, "requests": {"cpu": "1000m"}}
    body = {
        "metadata": {"creationTimestamp": "2026-01-01T01:00:00.5+01:00"},
        "spec": {"containers": [{"name": "c", "resources": resources}]},
    }
    obj = decode(POD, body).obj
    assert obj["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    found = obj["spec"]["containers"][0]["resources"]
    assert found["limits"] == {"cpu": "1500m", "memory": "1Gi"}
    assert found["requests"]["cpu"] == "1"


def test_micro_times_round_trip_to_the_digit() -> None:
    body = {"spec": {"renewTime": "2026-01-01T00:00:00.000120Z"}}
    assert decode(LEASE, body).obj["spec"] == body["spec"]


def test_int_or_string_takes_both() -> None:
    services = target("v1", "services")
    body = {"spec": {"ports": [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8}]}}
    ports = decode(services, body).obj["spec"]["ports"]
    assert [port["targetPort"] for port in ports] == ["http", 8]
    wrong = {"spec": {"ports": [{"port": 80, "targetPort": True}]}}
    assert "cannot unmarshal bool into Go value of type int32" in refusal(services, wrong)


def test_string_data_of_a_secret_becomes_data() -> None:
    obj = decode(SECRET, {"data": {"a": "AAE="}, "stringData": {"a": "x", "b": "é"}}).obj
    assert obj["data"] == {"a": "eA==", "b": "w6k="}
    assert "stringData" not in obj
    assert obj["type"] == "Opaque"


YAML = b"""\
kind: ConfigMap
apiVersion: v1
metadata: {name: a}
data:
  when: 2026-01-01
  "on": yes please
  clock: 12:30:45
"""


def test_yaml_bodies() -> None:
    decoded = decode_body(CONFIG_MAP, YAML, media_type="application/yaml")
    assert decoded.obj["data"] == {
        "when": "2026-01-01",
        "on": "yes please",
        "clock": "12:30:45",
    }


def test_numbers_in_yaml_are_gos() -> None:
    obj = decode(DEPLOYMENT, "spec: {replicas: 1e3}", media_type="application/yaml").obj
    assert obj["spec"]["replicas"] == 1000
    assert "not a finite number" in refusal(
        DEPLOYMENT, "spec: {replicas: 1e999}", media_type="application/yaml"
    )


def test_equal_keys_in_yaml_are_reported_by_line() -> None:
    body = YAML + b"  when: again\n"
    assert refusal(CONFIG_MAP, body.decode(), "Strict", media_type="application/yaml") == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'yaml: unmarshal errors:\n  line 8: key "when" already set in map'
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("a: [", "error converting YAML to JSON: yaml: while parsing"),
        ("a: !!binary aGk=", "unsupported value of type bytes"),
        ("? [a]\n: b", "unsupported map key of type: list"),
        ("- a", "cannot unmarshal array"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n"
            "c: &c [*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]",
            "excessive aliasing",
        ),
        ("a: 1\n---\nb: 2", "expected a single document"),
    ],
)
def test_what_is_no_yaml_document(body: str, why: str) -> None:
    assert why in refusal(CONFIG_MAP, body, media_type="application/yaml")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["metadata", "spec", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "data", "kind", "z"]), JSON_VALUES))
def test_any_document_decodes_or_is_refused_with_400(body: dict[str, Any]) -> None:
    for to in (POD, DEPLOYMENT, CONFIG_MAP):
        try:
            obj = decode(to, body).obj
        except ApiError as error:
            status_code = error.status_code
        else:
            status_code = 400
            assert decode(to, obj, "Strict").obj == obj
        assert status_code == 400
