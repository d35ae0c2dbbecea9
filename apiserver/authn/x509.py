"""Identity from a client certificate: the common name is the user, organisations are groups.

PURE. TLS has verified the chain and the purpose already; here only the subject is read
(k8s.io/apiserver/pkg/authentication/request/x509).
"""

from collections.abc import Mapping
from typing import Any

from apiserver.authn.user import ANONYMOUS, AUTHENTICATED_GROUP, UserInfo


def user_of(peer_certificate: Mapping[str, Any] | None) -> UserInfo:
    """The user of a verified certificate in `ssl.getpeercert()` form; anonymous without one.

    A certificate without a common name identifies nobody, as in the original.
    """
    if not peer_certificate:
        return ANONYMOUS
    name = ""
    groups: list[str] = []
    for relative_name in peer_certificate.get("subject", ()):
        for attribute, value in relative_name:
            if attribute == "commonName":
                name = value
            elif attribute == "organizationName":
                groups.append(value)
    if not name:
        return ANONYMOUS
    return UserInfo(name, (*groups, AUTHENTICATED_GROUP))
