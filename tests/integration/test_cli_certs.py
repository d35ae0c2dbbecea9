"""`certs check-expiration` and `certs renew` on a real tree."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pki.errors import PkiError
from pki.issue import ensure_pki
from triplane.cli import app
from triplane.errors import CommandError, UsageError
from triplane.topology import plan_topology


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    ensure_pki(tmp_path, plan_topology().certificate_names(), now=datetime.now(UTC))
    return tmp_path


def certs(data_dir: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(
        app, ["certs", *arguments, "--data-dir", str(data_dir)], catch_exceptions=False
    )
    return done.exit_code, done.output


def test_every_certificate_is_listed_with_its_ca(data_dir: Path) -> None:
    code, output = certs(data_dir, "check-expiration", "-o", "json")
    document = json.loads(output)
    cas = {item["name"]: item["caName"] for item in document["certificates"]}
    assert code == 0
    assert cas["apiserver-etcd-client"] == "etcd-ca"
    assert cas["admin.conf"] == "ca"
    assert len(cas) == 12
    assert [item["name"] for item in document["certificateAuthorities"]] == [
        *("ca", "etcd-ca", "front-proxy-ca"),
    ]


def test_a_missing_certificate_fails_the_check(data_dir: Path) -> None:
    (data_dir / "pki" / "etcd" / "peer.crt").unlink()
    code, output = certs(data_dir, "check-expiration")
    assert code == 1
    assert "etcd-peer                  !MISSING!" in output


def test_renew_all_and_one(data_dir: Path) -> None:
    before = (data_dir / "pki" / "apiserver.crt").read_bytes()
    code, output = certs(data_dir, "renew", "apiserver")
    assert (code, output.splitlines()[0]) == (0, "certificate apiserver renewed")
    assert (data_dir / "pki" / "apiserver.crt").read_bytes() != before
    code, output = certs(data_dir, "renew", "all")
    assert code == 0
    assert output.count(" renewed\n") == 12


def test_an_unknown_name_is_wrong_usage(data_dir: Path) -> None:
    with pytest.raises(UsageError, match="no certificate is named ca; choose of all, admin"):
        certs(data_dir, "renew", "ca")


def test_renewal_without_the_ca_key_names_it(data_dir: Path) -> None:
    (data_dir / "pki" / "ca.key").unlink()
    with pytest.raises(PkiError, match=r"ca\.key is missing; restore the key of the CA ca"):
        certs(data_dir, "renew", "apiserver")


def test_a_directory_without_certificates_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds no certificates; create some with `triplane up`"):
        certs(tmp_path, "check-expiration")
