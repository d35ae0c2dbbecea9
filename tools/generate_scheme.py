"""Write the checked-in facts about Kubernetes' API types from lightkube-models.

    python tools/generate_scheme.py          rewrites apiserver/api/facts/*.json
    python tools/generate_scheme.py --check  exits 1 if they differ from a regeneration

The generator reads the sources of `lightkube.models` and `lightkube.resources` (generated from the
OpenAPI document of the Kubernetes release that the pinned version names) as syntax trees, so
nothing of lightkube is imported, here or in the server. What that document loses (map item types,
int64, base64 bytes) stands in the tables below, taken from the public API reference.

Facts, all sorted so that a regeneration is byte for byte the same:

- `resources.json`: a list of resources with verbs and subresources.
- `types_<module>.json`: `{type: {field: kind}}`. A kind is `s` string, `b` bool, `i` int32, `l`
  int64, `f` float64, `q` Quantity, `t` Time, `u` MicroTime, `y` base64 bytes, `o` IntOrString, `*`
  any JSON, `@module.Type` a struct, `[kind` a list, `{kind` a map from strings. A leading `!` says
  required.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

FACTS = Path(__file__).resolve().parent.parent / "apiserver" / "api" / "facts"

GA = re.compile(r"_v\d+$")
"""Only stable versions: kube-apiserver v1.36 serves no beta unless it is switched on."""

NOT_SERVED_GROUPS = frozenset({"internal.apiserver.k8s.io", "storagemigration.k8s.io"})

VERBS = {"post": "create", "put": "update"}
"""How the OpenAPI document's actions read in discovery; the others keep their names."""

PRIMITIVE_KINDS = {
    "str": "s",
    "bool": "b",
    "int": "i",
    "float": "f",
    "dict": "{s",
    "resource.Quantity": "q",
    "meta_v1.Time": "t",
    "meta_v1.MicroTime": "u",
    "util_intstr.IntOrString": "o",
    "runtime.RawExtension": "*",
    "meta_v1.FieldsV1": "*",
    "meta_v1.Patch": "*",
    "apiextensions_v1.JSON": "*",
    "apiextensions_v1.JSONSchemaPropsOrArray": "*",
    "apiextensions_v1.JSONSchemaPropsOrBool": "*",
    "apiextensions_v1.JSONSchemaPropsOrStringArray": "*",
    "apiextensions_v1.CustomResourceSubresourceStatus": "*",
}

INT64_FIELDS = frozenset(
    {
        "activeDeadlineSeconds", "capacity", "deletionGracePeriodSeconds", "fsGroup",
        "generation", "gid", "gracePeriodSeconds", "int", "ints", "maxItems", "maxLength",
        "maxProperties", "minItems", "minLength", "minProperties",
        "nodeAllocatableUpdatePeriodSeconds", "observedGeneration", "remainingItemCount",
        "resourceSliceCount", "revision", "runAsGroup", "runAsUser", "seconds", "sizeBytes",
        "startingDeadlineSeconds", "supplementalGroups", "terminationGracePeriodSeconds",
        "tolerationSeconds", "uid",
        "resource_v1.DeviceSubRequest.count", "resource_v1.ExactDeviceRequest.count",
        "authentication_v1.TokenRequestSpec.expirationSeconds",
        "core_v1.ServiceAccountTokenProjection.expirationSeconds",
        "storage_v1.TokenRequest.expirationSeconds",
    }
)  # fmt: skip
"""Integers of 64 bits, by field name or by module, type and field; all others have 32."""

FIELD_KINDS = {
    "apiextensions_v1.JSONSchemaProps.definitions": "{@apiextensions_v1.JSONSchemaProps",
    "apiextensions_v1.JSONSchemaProps.dependencies": "{*",
    "apiextensions_v1.JSONSchemaProps.patternProperties": "{@apiextensions_v1.JSONSchemaProps",
    "apiextensions_v1.JSONSchemaProps.properties": "{@apiextensions_v1.JSONSchemaProps",
    "apiextensions_v1.ConversionRequest.objects": "[*",
    "apiextensions_v1.WebhookClientConfig.caBundle": "y",
    "admissionregistration_v1.WebhookClientConfig.caBundle": "y",
    "apiregistration_v1.APIServiceSpec.caBundle": "y",
    "authentication_v1.UserInfo.extra": "{[s",
    "authorization_v1.SubjectAccessReviewSpec.extra": "{[s",
    "certificates_v1.CertificateSigningRequestSpec.extra": "{[s",
    "certificates_v1.CertificateSigningRequestSpec.request": "!y",
    "certificates_v1.CertificateSigningRequestStatus.certificate": "y",
    "core_v1.ConfigMap.binaryData": "{y",
    "core_v1.ContainerStatus.allocatedResources": "{q",
    "core_v1.LimitRangeItem.default": "{q",
    "core_v1.LimitRangeItem.defaultRequest": "{q",
    "core_v1.LimitRangeItem.max": "{q",
    "core_v1.LimitRangeItem.maxLimitRequestRatio": "{q",
    "core_v1.LimitRangeItem.min": "{q",
    "core_v1.NodeAllocatableResourceClaimStatus.resources": "{q",
    "core_v1.NodeStatus.allocatable": "{q",
    "core_v1.NodeStatus.capacity": "{q",
    "core_v1.PersistentVolumeClaimStatus.allocatedResources": "{q",
    "core_v1.PersistentVolumeClaimStatus.capacity": "{q",
    "core_v1.PersistentVolumeSpec.capacity": "{q",
    "core_v1.PodSpec.overhead": "{q",
    "core_v1.PodStatus.allocatedResources": "{q",
    "core_v1.ResourceQuotaSpec.hard": "{q",
    "core_v1.ResourceQuotaStatus.hard": "{q",
    "core_v1.ResourceQuotaStatus.used": "{q",
    "core_v1.ResourceRequirements.limits": "{q",
    "core_v1.ResourceRequirements.requests": "{q",
    "core_v1.Secret.data": "{y",
    "core_v1.VolumeResourceRequirements.limits": "{q",
    "core_v1.VolumeResourceRequirements.requests": "{q",
    "node_v1.Overhead.podFixed": "{q",
    "policy_v1.PodDisruptionBudgetStatus.disruptedPods": "{t",
    "resource_v1.CapacityRequirements.requests": "{q",
    "resource_v1.CounterSet.counters": "!{@resource_v1.Counter",
    "resource_v1.Device.attributes": "{@resource_v1.DeviceAttribute",
    "resource_v1.Device.capacity": "{@resource_v1.DeviceCapacity",
    "resource_v1.DeviceCounterConsumption.counters": "!{@resource_v1.Counter",
    "resource_v1.DeviceRequestAllocationResult.consumedCapacity": "{q",
}  # fmt: skip
"""Kinds that the OpenAPI document does not tell apart from a string or a map of strings."""


class Generator:
    """Reads one installation of lightkube-models; `facts()` is what the JSON files shall hold."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._models = {
            path.stem: self._classes(path)
            for path in sorted((root / "models").glob("*.py"))
            if GA.search(path.stem)
        }

    @staticmethod
    def _classes(path: Path) -> dict[str, ast.ClassDef]:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        return {node.name: node for node in body if isinstance(node, ast.ClassDef)}

    def facts(self) -> dict[str, Any]:
        """All facts by file name."""
        files: dict[str, Any] = {"resources.json": self._resources()}
        for module in self._models:
            files[f"types_{module}.json"] = self._types(module)
        return files

    def _types(self, module: str) -> dict[str, dict[str, str]]:
        return {
            name: self._fields(module, node) for name, node in sorted(self._models[module].items())
        }

    def _fields(self, module: str, node: ast.ClassDef) -> dict[str, str]:
        fields = {}
        for item in node.body:
            if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
                continue
            json_name = _json_name(item)
            annotation = ast.literal_eval(item.annotation)
            assert isinstance(annotation, str), annotation
            fields[json_name] = self._kind(module, node.name, json_name, annotation)
        return dict(sorted(fields.items()))

    def _kind(self, module: str, type_name: str, field: str, annotation: str) -> str:
        full = f"{module}.{type_name}.{field}"
        if full in FIELD_KINDS:
            return FIELD_KINDS[full]
        optional = annotation.startswith("Optional[")
        bare = annotation[len("Optional[") : -1] if optional else annotation
        kind = self._bare_kind(module, bare)
        if INT64_FIELDS & {field, full}:
            kind = kind.replace("i", "l") if kind in ("i", "[i") else kind
        return kind if optional else "!" + kind

    def _bare_kind(self, module: str, bare: str) -> str:
        if bare.startswith("List["):
            return "[" + self._bare_kind(module, bare[len("List[") : -1])
        if bare in PRIMITIVE_KINDS:
            return PRIMITIVE_KINDS[bare]
        full = bare if "." in bare else f"{module}.{bare}"
        if full in PRIMITIVE_KINDS:
            return PRIMITIVE_KINDS[full]
        owner, name = full.split(".")
        assert name in self._models[owner], f"unknown type {full}"
        return "@" + full

    def _resources(self) -> list[dict[str, Any]]:
        found: dict[tuple[str, str, str], dict[str, Any]] = {}
        subresources: list[tuple[tuple[str, str, str], dict[str, Any]]] = []
        for path in sorted((self._root / "resources").glob("*.py")):
            if not GA.search(path.stem):
                continue
            for node in self._classes(path).values():
                if len(node.bases) == 1:
                    continue  # a stream without a body type: log, exec, attach, proxy
                key, entry, is_subresource = _resource(node)
                if key[0] in NOT_SERVED_GROUPS:
                    continue
                if is_subresource:
                    subresources.append((key, entry))
                else:
                    found[key] = entry
        for key, entry in subresources:
            found[key]["subresources"].append(entry)
        for entry in found.values():
            entry["subresources"].sort(key=lambda sub: sub["name"])
        return [found[key] for key in sorted(found)]


def _json_name(item: ast.AnnAssign) -> str:
    assert isinstance(item.target, ast.Name)
    if isinstance(item.value, ast.Call):
        for keyword in item.value.keywords:
            if keyword.arg == "metadata":
                return str(ast.literal_eval(keyword.value)["json"])
    return item.target.id


def _resource(node: ast.ClassDef) -> tuple[tuple[str, str, str], dict[str, Any], bool]:
    """A resource class as (group, version, plural), its entry, and whether it is a subresource."""
    base = ast.unparse(node.bases[0]).removeprefix("res.")
    model = ast.unparse(node.bases[1]).removeprefix("m_")
    assign = next(item for item in node.body if isinstance(item, ast.Assign))
    assert isinstance(assign.value, ast.Call), node.name
    info = {keyword.arg: keyword.value for keyword in assign.value.keywords}
    group, version, kind = _resource_def(info["resource"])
    plural = str(ast.literal_eval(info["plural"]))
    actions = ast.literal_eval(info["verbs"])
    verbs = sorted({VERBS.get(action, action.removeprefix("global_")) for action in actions})
    if "parent" in info:
        parent_group, parent_version, _ = _resource_def(info["parent"])
        entry = {
            "name": ast.literal_eval(info["action"]),
            "group": group,
            "version": version,
            "kind": kind,
            "type": model,
            "verbs": verbs,
        }
        return (parent_group, parent_version, plural), entry, True
    entry = {
        "group": group,
        "version": version,
        "kind": kind,
        "plural": plural,
        "namespaced": base.startswith("Namespaced"),
        "type": model,
        "verbs": verbs,
        "subresources": [],
    }
    return (group, version, plural), entry, False


def _resource_def(node: ast.expr) -> tuple[str, str, str]:
    assert isinstance(node, ast.Call), ast.unparse(node)
    group, version, kind = (str(ast.literal_eval(argument)) for argument in node.args)
    return group, version, kind


def installed_models() -> Path:
    """The directory of the installed lightkube-models; it refuses if there is none."""
    spec = importlib.util.find_spec("lightkube")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("lightkube-models is not installed: pip install -e .[dev]")
    return Path(next(iter(spec.submodule_search_locations)))


def render(facts: Any) -> str:
    """One fact file's text: an entry per line, so that diffs between releases read well."""
    if isinstance(facts, list):
        lines = (json.dumps(item, separators=(",", ":")) for item in facts)
        return "[\n" + ",\n".join(lines) + "\n]\n"
    items = (
        json.dumps(key) + ":" + json.dumps(value, separators=(",", ":"))
        for key, value in facts.items()
    )
    return "{\n" + ",\n".join(items) + "\n}\n"


def regenerate() -> dict[str, str]:
    """Every fact file's text by its name, from the installed lightkube-models."""
    facts = Generator(installed_models()).facts()
    return {name: render(content) for name, content in facts.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    files = regenerate()
    if arguments.check:
        stale = sorted(
            name
            for name, text in files.items()
            if not (FACTS / name).exists() or (FACTS / name).read_text(encoding="utf-8") != text
        )
        extra = sorted(path.name for path in FACTS.glob("*.json") if path.name not in files)
        for name in stale + extra:
            sys.stderr.write(f"{name}: differs; run python tools/generate_scheme.py\n")
        return 1 if stale or extra else 0
    FACTS.mkdir(parents=True, exist_ok=True)
    for path in FACTS.glob("*.json"):
        path.unlink()
    for name, text in files.items():
        (FACTS / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
