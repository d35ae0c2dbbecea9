"""Continue tokens, resourceVersions, identities: small parsers that clients feed."""

import base64

import orjson
import pytest

from apiserver.api.errors import ApiError
from apiserver.authn.user import ANONYMOUS
from apiserver.authn.x509 import user_of
from apiserver.authz.masters import authorize
from apiserver.http.request_info import parse_request_info
from apiserver.store import resource_version
from apiserver.store.continue_token import ContinueToken, ExpiredContinueError, decode_continue


def test_a_token_comes_back() -> None:
    token = ContinueToken(7, "default/x\0")
    assert decode_continue(token.encode()) == token


@pytest.mark.parametrize(
    "raw",
    [
        {"v": "v9", "rv": 1, "start": "a"},
        {"v": "meta.k8s.io/v1", "rv": 0, "start": "a"},
        {"v": "meta.k8s.io/v1", "rv": 1, "start": ""},
        {"v": "meta.k8s.io/v1", "rv": 1, "start": "../../secrets/x"},
        {"v": "meta.k8s.io/v1", "rv": 1, "start": "/x"},
        {"rv": "x"},
        [],
    ],
)
def test_forged_tokens_are_refused(raw: object) -> None:
    text = base64.urlsafe_b64encode(orjson.dumps(raw)).decode()
    with pytest.raises(ApiError) as refused:
        decode_continue(text)
    assert refused.value.status_code == 400


def test_an_expired_token_carries_its_successor() -> None:
    status = ExpiredContinueError(ContinueToken(-1, "x")).to_status()
    assert status["code"] == 410
    assert decode_continue(status["metadata"]["continue"]) == ContinueToken(-1, "x")


@pytest.mark.parametrize(("text", "revision"), [("", 0), ("0", 0), ("17", 17)])
def test_resource_versions(text: str, revision: int) -> None:
    assert resource_version.parse(text) == revision


@pytest.mark.parametrize("text", ["-1", "a", "1.5", " 1", "9" * 30, "١"])
def test_what_is_no_resource_version(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        resource_version.parse(text)
    assert refused.value.status_code == 400


def test_names_and_groups_from_a_certificate() -> None:
    subject = (
        (("organizationName", "a"),),
        (("organizationName", "b"),),
        (("commonName", "jane"),),
    )
    user = user_of({"subject": subject})
    assert (user.name, user.groups) == ("jane", ("a", "b", "system:authenticated"))
    assert user_of(None) is ANONYMOUS
    assert user_of({"subject": ((("organizationName", "system:masters"),),)}) is ANONYMOUS


def test_the_public_paths() -> None:
    for path in ("/healthz", "/livez/ping", "/readyz/", "/version"):
        authorize(ANONYMOUS, parse_request_info("GET", path, {}))
    for method, path in (("POST", "/version"), ("GET", "/metrics"), ("GET", "/healthzz")):
        with pytest.raises(ApiError) as refused:
            authorize(ANONYMOUS, parse_request_info(method, path, {}))
        assert refused.value.status_code == 403
