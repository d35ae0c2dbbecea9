"""Protobuf fields newer than the programs that `generate_protobuf_facts` reads, by hand."""

COPIED_MODULES = {
    "admissionregistration_v1": "admissionregistration_v1alpha1",
    "resource_v1": "resource_v1beta2",
    "storage_v1": "storage_v1beta1",
}

NEWER_FIELDS: dict[str, list[tuple[int, str, str]]] = {}
