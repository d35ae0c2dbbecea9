"""The protobuf form of OpenAPI v2, read back by google.protobuf from gnostic's message layout."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from apiserver.api.openapi_documents import v2_steps
from apiserver.api.openapi_protobuf import encode_steps
from apiserver.api.scheme import SCHEME

Json = dict[str, Any]
Field = descriptor_pb2.FieldDescriptorProto

LAYOUT = """
Document: 1 swagger s, 2 info Info, 8 paths Paths, 9 definitions Definitions,
 10 parameters ParameterDefinitions
Info: 1 title s, 2 version s
Any: 2 yaml s
NamedAny: 1 name s, 2 value Any
Paths: 2 path NamedPathItem*
NamedPathItem: 1 name s, 2 value PathItem
PathItem: 2 get Operation, 3 put Operation, 4 post Operation, 5 delete Operation,
 8 patch Operation, 9 parameters ParametersItem*
Operation: 1 tags s*, 3 description s, 5 operation_id s, 6 produces s*, 7 consumes s*,
 8 parameters ParametersItem*, 9 responses Responses, 10 schemes s*, 13 vendor_extension NamedAny*
ParametersItem: 1 parameter Parameter, 2 json_reference JsonReference
JsonReference: 1 _ref s
Parameter: 1 body_parameter BodyParameter, 2 non_body_parameter NonBodyParameter
BodyParameter: 2 name s, 3 in s, 4 required b, 5 schema Schema
NonBodyParameter: 3 query_parameter_sub_schema Query, 4 path_parameter_sub_schema Path
Query: 1 required b, 2 in s, 4 name s, 6 type s, 20 unique_items b
Path: 1 required b, 2 in s, 4 name s, 5 type s, 19 unique_items b
ParameterDefinitions: 1 additional_properties NamedParameter*
NamedParameter: 1 name s, 2 value Parameter
Responses: 1 response_code NamedResponseValue*
NamedResponseValue: 1 name s, 2 value ResponseValue
ResponseValue: 1 response Response
Response: 1 description s, 2 schema SchemaItem
SchemaItem: 1 schema Schema
Definitions: 1 additional_properties NamedSchema*
Properties: 1 additional_properties NamedSchema*
NamedSchema: 1 name s, 2 value Schema
Schema: 1 _ref s, 2 format s, 4 description s, 19 required s*, 21 additional_properties Additional,
 22 type TypeItem, 23 items ItemsItem, 25 properties Properties, 31 vendor_extension NamedAny*
Additional: 1 schema Schema
TypeItem: 1 value s*
ItemsItem: 1 schema Schema*
"""
"""The part of openapiv2/OpenAPIv2.proto that Kubernetes' documents need; `*` is repeated."""


@cache
def document_class() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(
        name="openapi.proto", package="openapi.v2", syntax="proto3"
    )
    for line in LAYOUT.replace("\n ", " ").strip().splitlines():
        name, _, fields = line.partition(": ")
        message = file.message_type.add(name=name)
        for field in fields.split(", "):
            number, field_name, kind = field.split()
            added = message.field.add(name=field_name, number=int(number))
            added.label = Field.LABEL_REPEATED if kind[-1] == "*" else Field.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            scalars = {"s": Field.TYPE_STRING, "b": Field.TYPE_BOOL}
            added.type = scalars.get(kind, Field.TYPE_MESSAGE)
            if kind not in scalars:
                added.type_name = f".openapi.v2.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName("openapi.v2.Document")
    return message_factory.GetMessageClass(descriptor)


def named(items: Any) -> dict[str, Any]:
    found = {item.name: item.value for item in items}
    assert len(found) == len(items)
    return found


def extensions(message: Any) -> Json:
    return {name: orjson.loads(v.yaml) for name, v in named(message.vendor_extension).items()}


def read_schema(message: Any) -> Json:
    found = extensions(message)
    for key, text in (("$ref", message._ref), ("format", message.format)):
        if text:
            found[key] = text
    if message.required:
        found["required"] = list(message.required)
    if message.HasField("type"):
        (found["type"],) = message.type.value
    if message.HasField("items"):
        found["items"] = read_schema(*message.items.schema)
    if message.HasField("additional_properties"):
        found["additionalProperties"] = read_schema(message.additional_properties.schema)
    if message.HasField("properties"):
        properties = named(message.properties.additional_properties)
        found["properties"] = {name: read_schema(value) for name, value in properties.items()}
    return found


def read_parameter(message: Any) -> Json:
    if message.HasField("body_parameter"):
        body = message.body_parameter
        found = {"name": body.name, "in": getattr(body, "in"), "schema": read_schema(body.schema)}
    else:
        (_, inner), *others = message.non_body_parameter.ListFields()
        assert not others
        found = {"name": inner.name, "in": getattr(inner, "in"), "type": inner.type}
        found["uniqueItems"] = inner.unique_items
        body = inner
    return {**found, "required": True} if body.required else found


def read_item(message: Any) -> Json:
    if message.HasField("json_reference"):
        return {"$ref": message.json_reference._ref}
    return read_parameter(message.parameter)


def read_operation(message: Any) -> Json:
    found = extensions(message)
    found["operationId"] = message.operation_id
    found["description"] = message.description
    for key in ("tags", "produces", "consumes", "schemes"):
        if getattr(message, key):
            found[key] = list(getattr(message, key))
    if message.parameters:
        found["parameters"] = [read_item(item) for item in message.parameters]
    found["responses"] = {}
    for code, value in named(message.responses.response_code).items():
        answer: Json = {"description": value.response.description}
        if value.response.HasField("schema"):
            answer["schema"] = read_schema(value.response.schema.schema)
        found["responses"][code] = answer
    return found


def read_path_item(message: Any) -> Json:
    found: Json = {
        method: read_operation(getattr(message, method))
        for method in ("get", "put", "post", "delete", "patch")
        if message.HasField(method)
    }
    if message.parameters:
        found["parameters"] = [read_item(item) for item in message.parameters]
    return found


@pytest.fixture(scope="module")
def document() -> Json:
    *_, made = v2_steps(list(SCHEME), "v1.36.0")
    assert made is not None
    return made


def test_the_whole_document_comes_back(document: Json) -> None:
    *slices, raw = encode_steps(document)
    assert set(slices) == {None}
    assert raw is not None
    read: Any = document_class().FromString(raw)
    assert read.SerializeToString(deterministic=True)
    assert (read.swagger, read.info.title, read.info.version) == ("2.0", "Kubernetes", "v1.36.0")
    paths = {name: read_path_item(value) for name, value in named(read.paths.path).items()}
    assert paths == document["paths"]
    definitions = named(read.definitions.additional_properties)
    assert {k: read_schema(v) for k, v in definitions.items()} == document["definitions"]
    parameters = named(read.parameters.additional_properties)
    assert {k: read_parameter(v) for k, v in parameters.items()} == document["parameters"]


def test_no_byte_is_unknown_to_the_layout(document: Json) -> None:
    *_, raw = encode_steps(document)
    assert raw is not None
    read = document_class().FromString(raw)
    assert len(read.SerializeToString()) == len(raw)
    read.DiscardUnknownFields()
    assert len(read.SerializeToString()) == len(raw)


def test_what_has_no_field_number_is_refused(document: Json) -> None:
    strange = {**document, "definitions": {"X": {"type": "object", "maxProperties": 3}}}
    with pytest.raises(AssertionError, match="Schema has no maxProperties"):
        list(encode_steps(strange))
