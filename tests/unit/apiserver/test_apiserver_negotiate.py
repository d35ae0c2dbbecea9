"""The Accept header, clause by clause."""

import pytest

from apiserver.http.negotiate import JSON, YAML, negotiate

AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "content_type", "kind"),
    [
        ("", JSON, ""),
        ("*/*", JSON, ""),
        ("application/yaml", YAML, ""),
        ("application/vnd.kubernetes.protobuf,application/json", JSON, ""),
        ("application/json;q=0.1,application/yaml", YAML, ""),
        (f"{AS_TABLE},application/json", JSON, "Table"),
        ("application/json;as=Sculpture;v=v1;g=meta.k8s.io,application/json", JSON, ""),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", JSON, ""),
        ("application/json;q=nonsense,application/yaml", YAML, ""),
    ],
)
def test_the_best_clause_that_we_can_write(accept: str, content_type: str, kind: str) -> None:
    found = negotiate(accept)
    assert found is not None
    assert (found.content_type, found.as_kind) == (content_type, kind)


@pytest.mark.parametrize(
    "accept",
    ["application/vnd.kubernetes.protobuf", "text/html", "application/json;q=0", AS_TABLE + "x"],
)
def test_nothing_that_we_can_write(accept: str) -> None:
    assert negotiate(accept) is None


def test_aggregated_discovery_is_named_in_the_content_type() -> None:
    clause = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
    found = negotiate(f"{clause},application/json", discovery=True)
    assert found is not None
    assert found.header() == clause
