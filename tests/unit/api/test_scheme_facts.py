"""The scheme: the facts are current, and the resources are those of a real v1.36 cluster."""

from __future__ import annotations

import sys

import pytest

from apiserver.api.scheme import FACTS, SCHEME, Resource
from apiserver.api.tables_patch import PATCH_META
from apiserver.api.tables_pointers import KEPT_WHEN_EMPTY
from apiserver.api.types import field_kind, fields_of, go_name
from tools.generate_scheme import regenerate

API_RESOURCES = """
configmaps cm v1 true ConfigMap
endpoints ep v1 true Endpoints
events ev v1 true Event
limitranges limits v1 true LimitRange
namespaces ns v1 false Namespace
nodes no v1 false Node
persistentvolumeclaims pvc v1 true PersistentVolumeClaim
persistentvolumes pv v1 false PersistentVolume
pods po v1 true Pod
podtemplates - v1 true PodTemplate
replicationcontrollers rc v1 true ReplicationController
resourcequotas quota v1 true ResourceQuota
secrets - v1 true Secret
serviceaccounts sa v1 true ServiceAccount
services svc v1 true Service
mutatingadmissionpolicies - admissionregistration.k8s.io/v1 false MutatingAdmissionPolicy
validatingadmissionpolicies - admissionregistration.k8s.io/v1 false ValidatingAdmissionPolicy
controllerrevisions - apps/v1 true ControllerRevision
daemonsets ds apps/v1 true DaemonSet
deployments deploy apps/v1 true Deployment
replicasets rs apps/v1 true ReplicaSet
statefulsets sts apps/v1 true StatefulSet
horizontalpodautoscalers hpa autoscaling/v2 true HorizontalPodAutoscaler
cronjobs cj batch/v1 true CronJob
jobs - batch/v1 true Job
certificatesigningrequests csr certificates.k8s.io/v1 false CertificateSigningRequest
leases - coordination.k8s.io/v1 true Lease
endpointslices - discovery.k8s.io/v1 true EndpointSlice
events ev events.k8s.io/v1 true Event
flowschemas - flowcontrol.apiserver.k8s.io/v1 false FlowSchema
ingressclasses - networking.k8s.io/v1 false IngressClass
ingresses ing networking.k8s.io/v1 true Ingress
ipaddresses ip networking.k8s.io/v1 false IPAddress
networkpolicies netpol networking.k8s.io/v1 true NetworkPolicy
runtimeclasses - node.k8s.io/v1 false RuntimeClass
poddisruptionbudgets pdb policy/v1 true PodDisruptionBudget
clusterroles - rbac.authorization.k8s.io/v1 false ClusterRole
roles - rbac.authorization.k8s.io/v1 true Role
resourceclaims - resource.k8s.io/v1 true ResourceClaim
resourceslices - resource.k8s.io/v1 false ResourceSlice
priorityclasses pc scheduling.k8s.io/v1 false PriorityClass
csinodes - storage.k8s.io/v1 false CSINode
storageclasses sc storage.k8s.io/v1 false StorageClass
volumeattributesclasses vac storage.k8s.io/v1 false VolumeAttributesClass
"""


def find(api_version: str, plural: str) -> Resource:
    group, _, version = api_version.rpartition("/")
    resource = SCHEME.lookup(group, version, plural)
    assert resource is not None, f"{api_version} {plural}"
    return resource


def test_checked_in_facts_equal_a_regeneration() -> None:
    files = regenerate()
    assert files.keys() == {path.name for path in FACTS.glob("*.json")}
    stale = [
        name for name, text in files.items() if (FACTS / name).read_text(encoding="utf-8") != text
    ]
    assert stale == []


@pytest.mark.parametrize("line", API_RESOURCES.strip().splitlines())
def test_api_resources_read_as_on_a_real_cluster(line: str) -> None:
    plural, short_names, api_version, namespaced, kind = line.split()
    resource = find(api_version, plural)
    assert ",".join(resource.short_names) == short_names.replace("-", "")
    assert resource.namespaced is (namespaced == "true")
    assert resource.kind == kind


def test_what_is_advertised_can_be_garbage_collected_or_cannot_be_deleted() -> None:
    for resource in SCHEME:
        if "delete" in resource.verbs:
            assert {"list", "watch"} <= set(resource.verbs), resource.plural


def test_virtual_resources_and_betas_are_not_served() -> None:
    served = {resource.qualified_name for resource in SCHEME}
    assert not served & {
        "bindings",
        "componentstatuses",
        "tokenreviews.authentication.k8s.io",
        "subjectaccessreviews.authorization.k8s.io",
        "apiservices.apiregistration.k8s.io",
    }
    assert {resource.version for resource in SCHEME} == {"v1", "v2"}


def test_custom_resource_definitions_can_be_read_only() -> None:
    definitions = find("apiextensions.k8s.io/v1", "customresourcedefinitions")
    assert definitions.verbs == ("get", "list", "watch")
    assert definitions.subresources == ()


@pytest.mark.parametrize(
    ("api_version", "plural", "prefix"),
    [
        ("v1", "pods", "pods"),
        ("v1", "services", "services/specs"),
        ("v1", "endpoints", "services/endpoints"),
        ("v1", "nodes", "minions"),
        ("v1", "replicationcontrollers", "controllers"),
        ("v1", "events", "events"),
        ("events.k8s.io/v1", "events", "events"),
        ("networking.k8s.io/v1", "ingresses", "ingress"),
        ("apps/v1", "replicasets", "replicasets"),
        ("coordination.k8s.io/v1", "leases", "leases"),
    ],
)
def test_keys_lie_where_kube_apiserver_puts_them(
    api_version: str, plural: str, prefix: str
) -> None:
    assert find(api_version, plural).storage_prefix == prefix


@pytest.mark.parametrize(
    ("api_version", "plural", "expected"),
    [
        ("v1", "pods", "xPOwRZ+Yhw8="),
        ("v1", "configmaps", "qFsyl6wFWjQ="),
        ("apps/v1", "deployments", "8aSe+NMegvE="),
    ],
)
def test_storage_version_hashes_are_the_originals(
    api_version: str, plural: str, expected: str
) -> None:
    assert find(api_version, plural).storage_version_hash == expected


def test_every_type_that_a_field_names_exists() -> None:
    for path in FACTS.glob("types_*.json"):
        module = path.stem.removeprefix("types_")
        for name in sorted(set(_type_names(module))):
            for kind in fields_of(f"{module}.{name}").values():
                bare = kind.lstrip("![{")
                if bare.startswith("@"):
                    assert fields_of(bare[1:]) is not None


def test_pointer_tables_name_optional_strings_that_exist() -> None:
    for type_name, fields in KEPT_WHEN_EMPTY.items():
        for field in fields:
            assert fields_of(type_name).get(field) == "s", f"{type_name}.{field}"


def test_merge_keys_name_fields_that_exist() -> None:
    for (type_name, field), meta in PATCH_META.items():
        kind = field_kind(type_name, field)
        assert kind is not None, f"{type_name}.{field}"
        if meta.merge:
            assert kind[0] == "[", f"{type_name}.{field}"
        if meta.merge_key:
            assert meta.merge_key in fields_of(kind.removeprefix("[@")), f"{type_name}.{field}"


def _type_names(module: str) -> list[str]:
    import orjson

    return list(orjson.loads((FACTS / f"types_{module}.json").read_bytes()))


def test_kinds_and_their_go_names() -> None:
    assert field_kind("core_v1.Container", "name") == "s"
    assert field_kind("core_v1.Container", "nosuch") is None
    assert go_name("[@core_v1.Container") == "[]v1.Container"
    assert go_name("{q") == "map[string]resource.Quantity"


def test_the_server_never_imports_the_models() -> None:
    loaded = [name for name in sys.modules if name.startswith("lightkube")]
    assert loaded == []
