"""Field numbers of the types whose protobuf bodies we read. PURE.

Facts of Kubernetes' public wire contract (generated.proto), for what kubectl's generators and
delete calls send; the rest is refused until it is here. Each line: `number name kind`. Kinds: s
string, i integer, b bool, y bytes, t Time, u MicroTime, q Quantity, o IntOrString, j raw JSON,
@T message; a capital letter is a field whose zero means something (a pointer in Go); `[` repeats,
`{` maps strings to.
"""

from functools import cache
from typing import Final

Fields = dict[int, tuple[str, str]]

_META: Final = "1 metadata @ObjectMeta"

_TABLES: Final = {
    "ObjectMeta": """1 name s, 2 generateName s, 3 namespace s, 4 selfLink s, 5 uid s,
        6 resourceVersion s, 7 generation i, 8 creationTimestamp t, 9 deletionTimestamp t,
        10 deletionGracePeriodSeconds I, 11 labels {s, 12 annotations {s,
        13 ownerReferences [@OwnerReference, 14 finalizers [s, 17 managedFields [@ManagedFields""",
    "OwnerReference": """1 kind s, 3 name s, 4 uid s, 5 apiVersion s, 6 controller B,
        7 blockOwnerDeletion B""",
    "ManagedFields": """1 manager s, 2 operation s, 3 apiVersion s, 4 time t, 6 fieldsType s,
        7 fieldsV1 j, 8 subresource s""",
    "LabelSelector": "1 matchLabels {s, 2 matchExpressions [@LabelSelectorRequirement",
    "LabelSelectorRequirement": "1 key s, 2 operator s, 3 values [s",
    "DeleteOptions": """1 gracePeriodSeconds I, 2 preconditions @Preconditions,
        3 orphanDependents B, 4 propagationPolicy S, 5 dryRun [s""",
    "Preconditions": "1 uid S, 2 resourceVersion S",
    "Namespace": f"{_META}, 2 spec @NamespaceSpec, 3 status @NamespaceStatus",
    "NamespaceSpec": "1 finalizers [s",
    "NamespaceStatus": "1 phase s",
    "ConfigMap": f"{_META}, 2 data {{s, 3 binaryData {{y, 4 immutable B",
    "Secret": f"{_META}, 2 data {{y, 3 type s, 4 stringData {{s, 5 immutable B",
    "ServiceAccount": f"""{_META}, 2 secrets [@ObjectReference,
        3 imagePullSecrets [@LocalObjectReference, 4 automountServiceAccountToken B""",
    "LocalObjectReference": "1 name s",
    "ObjectReference": """1 kind s, 2 namespace s, 3 name s, 4 uid s, 5 apiVersion s,
        6 resourceVersion s, 7 fieldPath s""",
    "Service": f"{_META}, 2 spec @ServiceSpec, 3 status @ServiceStatus",
    "ServiceStatus": "1 loadBalancer @Empty",
    "ServiceSpec": """1 ports [@ServicePort, 2 selector {s, 3 clusterIP s, 4 type s,
        5 externalIPs [s, 7 sessionAffinity s, 8 loadBalancerIP s, 9 loadBalancerSourceRanges [s,
        10 externalName s, 11 externalTrafficPolicy s, 12 healthCheckNodePort i,
        13 publishNotReadyAddresses b, 17 ipFamilyPolicy S, 18 clusterIPs [s, 19 ipFamilies [s,
        20 allocateLoadBalancerNodePorts B, 21 loadBalancerClass S, 22 internalTrafficPolicy S,
        23 trafficDistribution S""",
    "ServicePort": """1 name s, 2 protocol s, 3 port i, 4 targetPort o, 5 nodePort i,
        6 appProtocol S""",
    "Pod": f"{_META}, 2 spec @PodSpec, 3 status @Empty",
    "PodTemplateSpec": f"{_META}, 2 spec @PodSpec",
    "PodSpec": """1 volumes [@Volume, 2 containers [@Container, 3 restartPolicy s,
        4 terminationGracePeriodSeconds I, 5 activeDeadlineSeconds I, 6 dnsPolicy s,
        7 nodeSelector {s, 8 serviceAccountName s, 9 serviceAccount s, 10 nodeName s,
        11 hostNetwork b, 12 hostPID b, 13 hostIPC b, 14 securityContext @Empty,
        15 imagePullSecrets [@LocalObjectReference, 16 hostname s, 17 subdomain s,
        19 schedulerName s, 20 initContainers [@Container, 21 automountServiceAccountToken B,
        24 priorityClassName s, 25 priority I, 27 shareProcessNamespace B, 29 runtimeClassName S,
        30 enableServiceLinks B, 31 preemptionPolicy S, 35 setHostnameAsFQDN B, 37 hostUsers B""",
    "Volume": "1 name s",
    "Container": """1 name s, 2 image s, 3 command [s, 4 args [s, 5 workingDir s,
        6 ports [@ContainerPort, 7 env [@EnvVar, 8 resources @ResourceRequirements,
        9 volumeMounts [@VolumeMount, 13 terminationMessagePath s, 14 imagePullPolicy s,
        15 securityContext @Empty, 16 stdin b, 17 stdinOnce b, 18 tty b,
        20 terminationMessagePolicy s, 24 restartPolicy S""",
    "ContainerPort": "1 name s, 2 hostPort i, 3 containerPort i, 4 protocol s, 5 hostIP s",
    "EnvVar": "1 name s, 2 value s",
    "ResourceRequirements": "1 limits {q, 2 requests {q",
    "VolumeMount": "1 name s, 2 readOnly b, 3 mountPath s, 4 subPath s",
    "Deployment": f"{_META}, 2 spec @DeploymentSpec, 3 status @Empty",
    "DeploymentSpec": """1 replicas I, 2 selector @LabelSelector, 3 template @PodTemplateSpec,
        4 strategy @DeploymentStrategy, 5 minReadySeconds i, 6 revisionHistoryLimit I, 7 paused b,
        9 progressDeadlineSeconds I""",
    "DeploymentStrategy": "1 type s, 2 rollingUpdate @RollingUpdateDeployment",
    "RollingUpdateDeployment": "1 maxUnavailable o, 2 maxSurge o",
    "Job": f"{_META}, 2 spec @JobSpec, 3 status @Empty",
    "JobSpec": """1 parallelism I, 2 completions I, 3 activeDeadlineSeconds I,
        4 selector @LabelSelector, 5 manualSelector B, 6 template @PodTemplateSpec,
        7 backoffLimit I, 8 ttlSecondsAfterFinished I, 9 completionMode S, 10 suspend B""",
    "CronJob": f"{_META}, 2 spec @CronJobSpec, 3 status @Empty",
    "CronJobSpec": """1 schedule s, 2 startingDeadlineSeconds I, 3 concurrencyPolicy s,
        4 suspend B, 5 jobTemplate @JobTemplateSpec, 6 successfulJobsHistoryLimit I,
        7 failedJobsHistoryLimit I, 8 timeZone S""",
    "JobTemplateSpec": f"{_META}, 2 spec @JobSpec",
    "Role": f"{_META}, 2 rules [@PolicyRule",
    "ClusterRole": f"{_META}, 2 rules [@PolicyRule",
    "PolicyRule": """1 verbs [s, 2 apiGroups [s, 3 resources [s, 4 resourceNames [s,
        5 nonResourceURLs [s""",
    "RoleBinding": f"{_META}, 2 subjects [@Subject, 3 roleRef @RoleRef",
    "ClusterRoleBinding": f"{_META}, 2 subjects [@Subject, 3 roleRef @RoleRef",
    "Subject": "1 kind s, 2 apiGroup s, 3 name s, 4 namespace s",
    "RoleRef": "1 apiGroup s, 2 kind s, 3 name s",
    "Lease": f"{_META}, 2 spec @LeaseSpec",
    "LeaseSpec": """1 holderIdentity S, 2 leaseDurationSeconds I, 3 acquireTime u, 4 renewTime u,
        5 leaseTransitions I, 6 strategy S, 7 preferredHolder S""",
    "ResourceQuota": f"{_META}, 2 spec @ResourceQuotaSpec, 3 status @Empty",
    "ResourceQuotaSpec": "1 hard {q, 2 scopes [s",
    "PodDisruptionBudget": f"{_META}, 2 spec @PodDisruptionBudgetSpec, 3 status @Empty",
    "PodDisruptionBudgetSpec": """1 minAvailable o, 2 selector @LabelSelector, 3 maxUnavailable o,
        4 unhealthyPodEvictionPolicy S""",
    "PriorityClass": f"""{_META}, 2 value i, 3 globalDefault b, 4 description s,
        5 preemptionPolicy S""",
    # Whatever is in here besides zeroes is refused.
    "Empty": "",
}

# Kinds whose names stand for other types in other groups; each listed kind is of these versions.
KNOWN: Final = frozenset(
    {
        *(("v1", kind) for kind in ("Namespace", "ConfigMap", "Secret", "ServiceAccount")),
        *(("v1", kind) for kind in ("Service", "Pod", "ResourceQuota", "DeleteOptions")),
        ("meta.k8s.io/v1", "DeleteOptions"),
        ("apps/v1", "Deployment"),
        ("batch/v1", "Job"),
        ("batch/v1", "CronJob"),
        *(("rbac.authorization.k8s.io/v1", kind) for kind in ("Role", "ClusterRole")),
        *(("rbac.authorization.k8s.io/v1", kind) for kind in ("RoleBinding", "ClusterRoleBinding")),
        ("coordination.k8s.io/v1", "Lease"),
        ("policy/v1", "PodDisruptionBudget"),
        ("scheduling.k8s.io/v1", "PriorityClass"),
    }
)


@cache
def fields_of(type_name: str) -> Fields:
    """The fields of a type by number. Raises `KeyError` for a type that is not listed."""
    found: Fields = {}
    for line in filter(None, (part.strip() for part in _TABLES[type_name].split(","))):
        number, name, kind = line.split()
        found[int(number)] = (name, kind)
    return found
