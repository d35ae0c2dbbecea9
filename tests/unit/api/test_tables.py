"""Tables: what `kubectl get` shows, to the letter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.api.errors import ApiError
from apiserver.api.scheme import SCHEME
from apiserver.api.table import IncludeObject, table

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CREATED = "2025-12-31T23:55:00Z"

Json = dict[str, Any]


def show(api_version: str, kind: str, obj: Json, **more: Any) -> Json:
    resource = SCHEME.by_kind(api_version, kind)
    assert resource is not None
    meta = {"name": "x", "creationTimestamp": CREATED, **obj.pop("metadata", {})}
    body = {"apiVersion": api_version, "kind": kind, "metadata": meta, **obj}
    return table(resource, [body], {"resourceVersion": "7", "uid": "u"}, now=NOW, **more)


def text(shown: Json, *, wide: bool = False) -> tuple[str, str]:
    """The header and the row, as kubectl lays them out but for the padding."""
    columns = shown["columnDefinitions"]
    kept = [index for index, column in enumerate(columns) if wide or column["priority"] == 0]
    header = " ".join(columns[index]["name"].upper().replace(" ", "-") for index in kept)
    return header, " ".join(str(shown["rows"][0]["cells"][index]) for index in kept)


def test_running_pod() -> None:
    started = {"restartCount": 2, "ready": True, "state": {"running": {}}}
    last = {"lastState": {"terminated": {"finishedAt": "2025-12-31T23:58:00Z"}}}
    shown = show(
        "v1",
        "Pod",
        {
            "spec": {"nodeName": "n1", "containers": [{"name": "a"}, {"name": "b"}]},
            "status": {
                "phase": "Running",
                "podIPs": [{"ip": "10.0.0.1"}],
                "containerStatuses": [{**started, **last}, {"ready": False, "state": {}}],
            },
        },
    )
    assert text(shown, wide=True) == (
        "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED-NODE READINESS-GATES",
        "x 1/2 Running 2 (2m ago) 5m 10.0.0.1 n1 <none> <none>",
    )


@pytest.mark.parametrize(
    ("status", "meta", "expected"),
    [
        ({"phase": "Pending"}, {}, "Pending"),
        ({"phase": "Running"}, {"deletionTimestamp": CREATED}, "Terminating"),
        ({"phase": "Failed", "reason": "Evicted"}, {}, "Evicted"),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}],
            },
            {},
            "SchedulingGated",
        ),
        (
            {
                "phase": "Running",
                "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
            },
            {},
            "CrashLoopBackOff",
        ),
        (
            {"phase": "Running", "containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]},
            {},
            "ExitCode:3",
        ),
        (
            {"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]},
            {},
            "Init:0/1",
        ),
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [{"state": {"terminated": {"exitCode": 1}}}],
            },
            {},
            "Init:ExitCode:1",
        ),
    ],
)
def test_what_a_pods_status_column_tells(status: Json, meta: Json, expected: str) -> None:
    spec = {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]}
    shown = show("v1", "Pod", {"spec": spec, "status": status, "metadata": meta})
    assert shown["rows"][0]["cells"][2] == expected


def test_a_finished_pod_has_a_row_condition() -> None:
    shown = show("v1", "Pod", {"status": {"phase": "Succeeded"}})
    assert shown["rows"][0]["conditions"] == [
        {
            "type": "Completed",
            "status": "True",
            "reason": "Succeeded",
            "message": "The pod has completed successfully.",
        }
    ]


TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j"}]}}
SELECTOR = {
    "matchLabels": {"z": "1"},
    "matchExpressions": [{"key": "b", "operator": "In", "values": ["y", "x"]}],
}


@pytest.mark.parametrize(
    ("api_version", "kind", "obj", "header", "row"),
    [
        (
            "apps/v1",
            "Deployment",
            {
                "spec": {"replicas": 3, "template": TEMPLATE, "selector": SELECTOR},
                "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1},
            },
            "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR",
            "x 2/3 3 1 5m a,b i:1,j b in (x,y),z=1",
        ),
        (
            "apps/v1",
            "ReplicaSet",
            {"spec": {"replicas": 3, "template": TEMPLATE}, "status": {"replicas": 1}},
            "NAME DESIRED CURRENT READY AGE CONTAINERS IMAGES SELECTOR",
            "x 3 1 0 5m a,b i:1,j <none>",
        ),
        (
            "batch/v1",
            "Job",
            {
                "spec": {"completions": 2, "template": TEMPLATE},
                "status": {"succeeded": 1, "startTime": "2025-12-31T23:59:00Z"},
            },
            "NAME STATUS COMPLETIONS DURATION AGE CONTAINERS IMAGES SELECTOR",
            "x Running 1/2 60s 5m a,b i:1,j <none>",
        ),
        (
            "batch/v1",
            "CronJob",
            {"spec": {"schedule": "* * * * *", "suspend": False}},
            "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST-SCHEDULE AGE CONTAINERS IMAGES SELECTOR",
            "x * * * * * <none> False 0 <none> 5m   <none>",
        ),
        (
            "v1",
            "Service",
            {
                "spec": {
                    "type": "NodePort",
                    "clusterIP": "10.0.0.9",
                    "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53}],
                    "selector": {"b": "2", "a": "1"},
                }
            },
            "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR",
            "x NodePort 10.0.0.9 <none> 80:30080/TCP,53/TCP 5m a=1,b=2",
        ),
        (
            "v1",
            "Service",
            {"spec": {"type": "LoadBalancer", "clusterIP": "None"}},
            "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR",
            "x LoadBalancer None <pending> <none> 5m <none>",
        ),
        (
            "v1",
            "Node",
            {
                "metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}},
                "spec": {"unschedulable": True},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "addresses": [{"type": "InternalIP", "address": "10.1.0.1"}],
                    "nodeInfo": {"kubeletVersion": "v1.36.0"},
                },
            },
            "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION "
            "CONTAINER-RUNTIME",
            "x Ready,SchedulingDisabled control-plane 5m v1.36.0 10.1.0.1 <none> <unknown> "
            "<unknown> <unknown>",
        ),
        (
            "v1",
            "Event",
            {
                "type": "Normal",
                "reason": "Pulled",
                "message": "done\n",
                "count": 3,
                "involvedObject": {"kind": "Pod", "name": "p"},
                "source": {"component": "kubelet", "host": "n1"},
                "firstTimestamp": CREATED,
                "lastTimestamp": "2025-12-31T23:59:00Z",
            },
            "LAST-SEEN TYPE REASON OBJECT SUBOBJECT SOURCE MESSAGE FIRST-SEEN COUNT NAME",
            "60s Normal Pulled pod/p  kubelet, n1 done 5m 3 x",
        ),
        (
            "v1",
            "Endpoints",
            {
                "subsets": [
                    {
                        "addresses": [{"ip": f"10.0.0.{n}"} for n in range(5)],
                        "ports": [{"port": 6443}],
                    }
                ]
            },
            "NAME ENDPOINTS AGE",
            "x 10.0.0.0:6443,10.0.0.1:6443,10.0.0.2:6443 + 2 more... 5m",
        ),
        (
            "discovery.k8s.io/v1",
            "EndpointSlice",
            {
                "addressType": "IPv4",
                "ports": [{"port": 80}],
                "endpoints": [{"addresses": ["1.1.1.1"]}],
            },
            "NAME ADDRESSTYPE PORTS ENDPOINTS AGE",
            "x IPv4 80 1.1.1.1 5m",
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            {
                "spec": {"volumeName": "pv-1", "storageClassName": "fast"},
                "status": {
                    "phase": "Bound",
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                },
            },
            "NAME STATUS VOLUME CAPACITY ACCESS-MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE "
            "VOLUMEMODE",
            "x Bound pv-1 1Gi RWO,RWX fast <unset> 5m <unset>",
        ),
        (
            "v1",
            "ResourceQuota",
            {
                "status": {
                    "hard": {"pods": "4", "limits.cpu": "2", "cpu": "1"},
                    "used": {"pods": "1", "limits.cpu": "1", "cpu": "0"},
                }
            },
            "NAME REQUEST LIMIT AGE",
            "x cpu: 0/1, pods: 1/4 limits.cpu: 1/2 5m",
        ),
        (
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            {
                "spec": {
                    "scaleTargetRef": {"kind": "Deployment", "name": "web"},
                    "minReplicas": 1,
                    "maxReplicas": 5,
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {"name": "cpu", "target": {"averageUtilization": 80}},
                        }
                    ],
                }
            },
            "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE",
            "x Deployment/web cpu: <unknown>/80% 1 5 0 5m",
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            {
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [
                    {"kind": "User", "name": "u"},
                    {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
                ],
            },
            "NAME ROLE AGE USERS GROUPS SERVICEACCOUNTS",
            "x Role/r 5m u  n/s",
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "Role",
            {},
            "NAME CREATED-AT",
            f"x {CREATED}",
        ),
        (
            "storage.k8s.io/v1",
            "StorageClass",
            {
                "metadata": {
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}
                },
                "provisioner": "p",
            },
            "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE",
            "x (default) p Delete Immediate False 5m",
        ),
        (
            "networking.k8s.io/v1",
            "Ingress",
            {
                "spec": {"rules": [{"host": "a.b"}, {"host": "c.d"}], "tls": [{}]},
                "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
            },
            "NAME CLASS HOSTS ADDRESS PORTS AGE",
            "x <none> a.b,c.d 1.2.3.4 80, 443 5m",
        ),
        (
            "certificates.k8s.io/v1",
            "CertificateSigningRequest",
            {
                "spec": {"signerName": "s/n", "username": "u", "expirationSeconds": 3600},
                "status": {"conditions": [{"type": "Approved"}], "certificate": "AA=="},
            },
            "NAME AGE SIGNERNAME REQUESTOR REQUESTEDDURATION CONDITION",
            "x 5m s/n u 60m Approved,Issued",
        ),
    ],
)
def test_rows(api_version: str, kind: str, obj: Json, header: str, row: str) -> None:
    assert text(show(api_version, kind, obj), wide=True) == (header, row)


@pytest.mark.parametrize("resource", list(SCHEME), ids=lambda resource: resource.qualified_name)
def test_every_kind_prints_even_an_empty_object(resource: Any) -> None:
    shown = show(resource.api_version, resource.kind, {})
    assert len(shown["rows"][0]["cells"]) == len(shown["columnDefinitions"])


def test_the_table_itself() -> None:
    shown = show("v1", "ConfigMap", {"data": {"a": "1"}})
    assert shown["kind"] == "Table"
    assert shown["apiVersion"] == "meta.k8s.io/v1"
    assert shown["metadata"] == {"resourceVersion": "7"}
    assert shown["rows"][0]["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "x", "creationTimestamp": CREATED},
    }


def test_include_object() -> None:
    obj: Json = {"data": {"a": "1"}}
    whole = show("v1", "ConfigMap", dict(obj), include_object=IncludeObject.OBJECT)
    assert whole["rows"][0]["object"]["data"] == {"a": "1"}
    none = show("v1", "ConfigMap", dict(obj), include_object=IncludeObject.of("None"))
    assert none["rows"][0]["object"] is None
    assert IncludeObject.of("") is IncludeObject.METADATA
    with pytest.raises(ApiError, match="must be 'Metadata', 'Object', 'None', or empty"):
        IncludeObject.of("Everything")


def test_watches_send_columns_once() -> None:
    assert show("v1", "ConfigMap", {}, with_columns=False)["columnDefinitions"] is None
