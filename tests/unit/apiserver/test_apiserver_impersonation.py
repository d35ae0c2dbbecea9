"""Who is meant by Impersonate-* headers, and what must be allowed for it."""

import pytest
from multidict import CIMultiDict

from apiserver.api.errors import ApiError
from apiserver.authn.impersonation import parse_impersonation


def test_nothing_asked() -> None:
    assert parse_impersonation(CIMultiDict({"Accept": "*/*"})) is None


def test_user_and_groups() -> None:
    headers = CIMultiDict([("impersonate-user", "bob")])
    headers.add("Impersonate-Group", "dev")
    headers.add("Impersonate-Group", "ops")
    meant = parse_impersonation(headers)
    assert meant is not None
    assert (meant.user.name, meant.user.groups) == ("bob", ("dev", "ops", "system:authenticated"))
    assert meant.asked == (("", "users", "bob"), ("", "groups", "dev"), ("", "groups", "ops"))


def test_service_account_is_in_its_groups() -> None:
    meant = parse_impersonation(CIMultiDict({"Impersonate-User": "system:serviceaccount:ns:robot"}))
    assert meant is not None
    assert meant.asked == (("", "serviceaccounts", "robot"),)
    assert meant.user.groups == (
        "system:serviceaccounts",
        "system:serviceaccounts:ns",
        "system:authenticated",
    )


def test_anonymous_is_not_authenticated() -> None:
    meant = parse_impersonation(CIMultiDict({"Impersonate-User": "system:anonymous"}))
    assert meant is not None
    assert meant.user.groups == ("system:unauthenticated",)


def test_uid_and_extras_must_be_allowed_too() -> None:
    headers = CIMultiDict(
        {"Impersonate-User": "bob", "Impersonate-Uid": "7", "Impersonate-Extra-Scopes": "view"}
    )
    meant = parse_impersonation(headers)
    assert meant is not None
    assert meant.user.uid == "7"
    assert meant.asked[1:] == (
        ("authentication.k8s.io", "uids", "7"),
        ("authentication.k8s.io", "userextras/scopes", "view"),
    )


@pytest.mark.parametrize("header", ["Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-x"])
def test_groups_without_a_user_are_refused(header: str) -> None:
    with pytest.raises(ApiError, match="without impersonating a user"):
        parse_impersonation(CIMultiDict({header: "dev"}))
