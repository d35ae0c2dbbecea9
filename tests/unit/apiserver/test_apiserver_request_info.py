"""Request attributes as kube-apiserver reads them (requestinfo_test.go's cases and ours)."""

import pytest

from apiserver.http.request_info import parse_request_info, split_target


@pytest.mark.parametrize(
    ("method", "path", "verb", "namespace", "resource", "subresource", "name"),
    [
        ("GET", "/api/v1/namespaces", "list", "", "namespaces", "", ""),
        ("GET", "/api/v1/namespaces/other", "get", "other", "namespaces", "", "other"),
        (
            "PUT",
            "/api/v1/namespaces/other/finalize",
            "update",
            "other",
            "namespaces",
            "finalize",
            "other",
        ),
        ("GET", "/api/v1/namespaces/other/pods", "list", "other", "pods", "", ""),
        ("GET", "/api/v1/namespaces/other/pods/foo", "get", "other", "pods", "", "foo"),
        ("HEAD", "/api/v1/namespaces/other/pods/foo", "get", "other", "pods", "", "foo"),
        ("GET", "/api/v1/pods", "list", "", "pods", "", ""),
        ("POST", "/api/v1/namespaces/other/pods", "create", "other", "pods", "", ""),
        (
            "PATCH",
            "/api/v1/namespaces/other/pods/foo/status",
            "patch",
            "other",
            "pods",
            "status",
            "foo",
        ),
        ("DELETE", "/api/v1/namespaces/other/pods/foo", "delete", "other", "pods", "", "foo"),
        ("DELETE", "/api/v1/namespaces/other/pods", "deletecollection", "other", "pods", "", ""),
        ("GET", "/api/v1/watch/namespaces/other/pods", "watch", "other", "pods", "", ""),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/a/deployments/b",
            "delete",
            "a",
            "deployments",
            "",
            "b",
        ),
    ],
)
def test_resource_requests(
    method: str, path: str, verb: str, namespace: str, resource: str, subresource: str, name: str
) -> None:
    info = parse_request_info(method, path, {})
    assert info.is_resource
    assert (info.verb, info.namespace, info.resource, info.subresource, info.name) == (
        verb,
        namespace,
        resource,
        subresource,
        name,
    )


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/apis/apps", "/apis/apps/v1", "/healthz"]
)
def test_other_requests(path: str) -> None:
    info = parse_request_info("GET", path, {})
    assert not info.is_resource
    assert (info.verb, info.path) == ("get", path)


@pytest.mark.parametrize(
    ("query", "verb"), [("watch=true", "watch"), ("watch", "watch"), ("watch=0", "list")]
)
def test_watch_by_query(query: str, verb: str) -> None:
    path, parsed = split_target(f"/api/v1/pods?{query}")
    assert parse_request_info("GET", path, parsed).verb == verb


def test_targets_are_decoded_once() -> None:
    path, query = split_target("/api/v1/pods/a%2520b?labelSelector=a%3Db&labelSelector=c")
    assert path == "/api/v1/pods/a%20b"
    assert query == {"labelSelector": "a=b"}


def test_endless_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="fields"):
        split_target("/x?" + "a=1&" * 100)
