"""The two tables of `certs check-expiration`, and the JSON."""

import json
from datetime import UTC, datetime

from pki.renew import Expiry
from triplane.commands.certs import expiries_as_json, expiries_as_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRIES = (
    Expiry("apiserver", "ca", datetime(2026, 12, 30, 23, 36, tzinfo=UTC), externally_managed=False),
    Expiry("etcd-peer", "etcd-ca", None, externally_managed=True),
    Expiry("ca", None, datetime(2035, 12, 28, 23, 36, tzinfo=UTC), externally_managed=False),
)


def test_the_text_is_kubeadms() -> None:
    assert expiries_as_text(EXPIRIES, NOW) == (
        "CERTIFICATE   EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY"
        "   EXTERNALLY MANAGED\n"
        "apiserver     Dec 30, 2026 23:36 UTC   363d            ca                      no\n"
        "etcd-peer     !MISSING!                                etcd-ca                 yes\n"
        "\n"
        "CERTIFICATE AUTHORITY   EXPIRES                  RESIDUAL TIME   EXTERNALLY MANAGED\n"
        "ca                      Dec 28, 2035 23:36 UTC   9y              no"
    )


def test_the_json_is_kubeadms() -> None:
    document = json.loads(expiries_as_json(EXPIRIES, NOW))
    assert document["kind"] == "CertificateExpirationInfo"
    assert document["certificates"][0] == {
        "name": "apiserver",
        "expirationDate": "2026-12-30T23:36:00Z",
        "residualTimeSeconds": 31448160,
        "missing": False,
        "caName": "ca",
        "externallyManaged": False,
    }
    assert document["certificates"][1]["missing"] is True
    assert [ca["name"] for ca in document["certificateAuthorities"]] == ["ca"]
