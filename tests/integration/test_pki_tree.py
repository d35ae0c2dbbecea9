"""The tree on disk: complete, kept, completed, refused; and openssl agrees with it."""

import ssl
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pki.ca import certificate_hosts, parse_certificate
from pki.errors import PkiError
from pki.issue import ensure_pki
from pki.kubeconfig import parse_kubeconfig
from pki.layout import ClusterNames, KeyAlgorithm, Node
from pki.renew import check_expiration, renew, renewable_names

NOW = datetime.now(UTC)
NAMES = ClusterNames(
    nodes=(Node("cp1", "127.0.27.11"), Node("cp2", "127.0.27.12"), Node("cp3", "127.0.27.13")),
    endpoint_host="127.0.27.10",
)
BASES = (
    *("ca", "apiserver", "apiserver-kubelet-client", "apiserver-etcd-client"),
    *("front-proxy-ca", "front-proxy-client", "kubelet"),
    *("etcd/ca", "etcd/server", "etcd/peer", "etcd/healthcheck-client"),
)
KUBECONFIGS = ("admin.conf", "controller-manager.conf", "scheduler.conf", "kubelet.conf")
EXPECTED = {
    *(f"pki/{base}.{suffix}" for base in BASES for suffix in ("crt", "key")),
    *("pki/sa.key", "pki/sa.pub"),
    *KUBECONFIGS,
}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "state" / "triplane"
    ensure_pki(directory, NAMES, now=NOW)
    return directory


def contents(data_dir: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(data_dir)): path.read_bytes()
        for path in data_dir.rglob("*")
        if path.is_file()
    }


def openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_tree_is_complete_and_keys_are_private(data_dir: Path) -> None:
    assert set(contents(data_dir)) == EXPECTED
    for name in EXPECTED:
        mode = stat.S_IMODE((data_dir / name).stat().st_mode)
        is_private = name.endswith((".key", ".conf"))
        assert mode == (0o600 if is_private else 0o644), name
    for directory in (data_dir, data_dir / "pki", data_dir / "pki/etcd"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_openssl_verifies_each_certificate_for_its_purpose(
    tmp_path: Path, algorithm: KeyAlgorithm
) -> None:
    ensure_pki(tmp_path, NAMES, now=NOW, algorithm=algorithm)
    pki = tmp_path / "pki"
    for base, ca, purposes in (
        ("apiserver", "ca", ("sslserver",)),
        ("apiserver-kubelet-client", "ca", ("sslclient",)),
        ("apiserver-etcd-client", "etcd/ca", ("sslclient",)),
        ("front-proxy-client", "front-proxy-ca", ("sslclient",)),
        ("kubelet", "ca", ("sslserver", "sslclient")),
        ("etcd/server", "etcd/ca", ("sslserver", "sslclient")),
        ("etcd/peer", "etcd/ca", ("sslserver", "sslclient")),
        ("etcd/healthcheck-client", "etcd/ca", ("sslclient",)),
    ):
        certificate = f"{pki}/{base}.crt"
        for purpose in purposes:
            verdict = openssl(
                *("verify", "-x509_strict", "-purpose", purpose),
                *("-CAfile", f"{pki}/{ca}.crt", certificate),
            )
            assert verdict == f"{certificate}: OK\n"


def test_openssl_refuses_a_client_certificate_as_a_server(data_dir: Path) -> None:
    pki = data_dir / "pki"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        openssl(
            *("verify", "-purpose", "sslserver", "-CAfile", f"{pki}/ca.crt"),
            f"{pki}/apiserver-kubelet-client.crt",
        )
    assert "unsuitable certificate purpose" in refused.value.stderr


def test_openssl_reads_the_service_account_pair_as_rsa(data_dir: Path) -> None:
    public = openssl("rsa", "-in", f"{data_dir}/pki/sa.key", "-pubout")
    assert public.encode() == (data_dir / "pki/sa.pub").read_bytes()
    assert "(2048 bit" in openssl("rsa", "-in", f"{data_dir}/pki/sa.key", "-noout", "-text")


def test_python_loads_every_pair(data_dir: Path) -> None:
    for base in BASES:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{data_dir}/pki/{base}.crt", f"{data_dir}/pki/{base}.key")


def test_kubeconfigs_point_to_the_virtual_ip_and_trust_the_ca(data_dir: Path) -> None:
    for name in KUBECONFIGS:
        config = parse_kubeconfig((data_dir / name).read_bytes(), data_dir / name)
        assert config.server == "https://127.0.27.10:6443"
        assert config.ca_pem == (data_dir / "pki/ca.crt").read_bytes()


def test_a_second_run_changes_nothing(data_dir: Path) -> None:
    before = contents(data_dir)
    assert ensure_pki(data_dir, NAMES, now=NOW) == ()
    assert contents(data_dir) == before


@pytest.mark.parametrize(
    "missing",
    [
        ("pki/apiserver.crt", "pki/apiserver.key"),
        ("pki/apiserver.crt",),
        ("pki/etcd/peer.crt", "pki/etcd/peer.key", "admin.conf"),
        ("pki/sa.pub",),
        ("pki/sa.key", "pki/sa.pub"),
        ("pki/ca.crt",),
        ("kubelet.conf",),
    ],
)
def test_a_half_made_tree_is_completed(data_dir: Path, missing: tuple[str, ...]) -> None:
    if missing == ("pki/ca.crt",):  # then nothing that depends on it can exist yet either
        missing = (*missing, *KUBECONFIGS)
    before = contents(data_dir)
    for name in missing:
        (data_dir / name).unlink()
    created = ensure_pki(data_dir, NAMES, now=NOW)
    assert {str(path.relative_to(data_dir)) for path in created} == set(missing)
    after = contents(data_dir)
    assert {name: after[name] for name in EXPECTED - set(missing)} == {
        name: before[name] for name in EXPECTED - set(missing)
    }


def remove(*names: str) -> Callable[[Path], None]:
    def spoil(data_dir: Path) -> None:
        for name in names:
            (data_dir / name).unlink()

    return spoil


def swap(one: str, other: str) -> Callable[[Path], None]:
    def spoil(data_dir: Path) -> None:
        content = (data_dir / one).read_bytes()
        (data_dir / one).write_bytes((data_dir / other).read_bytes())
        (data_dir / other).write_bytes(content)

    return spoil


def overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    def spoil(data_dir: Path) -> None:
        (data_dir / name).write_bytes(content)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (
            remove("pki/ca.key", "pki/apiserver.crt"),
            r"cannot sign a certificate for kube-apiserver: ca\.key is missing; restore the key",
        ),
        (
            remove("pki/apiserver.key"),
            r"apiserver\.key is missing, but apiserver\.crt exists; rest",
        ),
        (remove("pki/sa.key"), r"sa\.key is missing, but sa\.pub exists; restore"),
        (remove("pki/ca.crt", "pki/ca.key"), r"apiserver\.crt was not signed by the CA ca; "),
        (swap("pki/apiserver.key", "pki/ca.key"), r"ca\.crt and its key do not belong together; "),
        (
            swap("pki/apiserver.key", "pki/etcd/peer.key"),
            r"apiserver\.crt and its key do not belong together; ",
        ),
        (swap("pki/apiserver.crt", "pki/ca.crt"), r"pki/ca\.crt is not a CA certificate; "),
        (overwrite("pki/ca.crt", b"\0"), r"ca\.crt holds no readable certificate; "),
        (overwrite("pki/etcd/server.key", b"x"), r"server\.key holds no readable private key; "),
        (overwrite("pki/sa.pub", b"x"), r"sa\.pub is not the public half of sa\.key; "),
        (overwrite("admin.conf", b"{}"), r"admin\.conf is no kubeconfig with an embedded client"),
    ],
)
def test_an_unsound_tree_is_refused_and_left_alone(
    data_dir: Path, spoil: Callable[[Path], None], error: str
) -> None:
    spoil(data_dir)
    before = contents(data_dir)
    with pytest.raises(PkiError, match=error):
        ensure_pki(data_dir, NAMES, now=NOW)
    assert contents(data_dir) == before


def test_an_external_ca_without_its_key_is_enough_for_a_whole_tree(data_dir: Path) -> None:
    (data_dir / "pki/ca.key").unlink()
    assert ensure_pki(data_dir, NAMES, now=NOW) == ()


def test_a_certificate_for_other_addresses_is_refused(data_dir: Path) -> None:
    moved = ClusterNames(nodes=(Node("cp1", "127.0.27.99"),), endpoint_host="127.0.27.10")
    with pytest.raises(PkiError, match=r"apiserver\.crt is not valid for 127\.0\.27\.99; remove"):
        ensure_pki(data_dir, moved, now=NOW)


def test_kubeconfigs_for_another_address_are_refused(data_dir: Path) -> None:
    moved = ClusterNames(nodes=NAMES.nodes, endpoint_host="127.0.27.11")
    with pytest.raises(PkiError, match=r"admin\.conf points to https://127\.0\.27\.10:6443, but"):
        ensure_pki(data_dir, moved, now=NOW)


def test_expired_certificates_name_their_renewal(data_dir: Path) -> None:
    with pytest.raises(PkiError, match=r"expired on .* run `triplane certs renew apiserver`"):
        ensure_pki(data_dir, NAMES, now=NOW + timedelta(days=366))


def test_a_clock_that_lags_is_named(data_dir: Path) -> None:
    with pytest.raises(PkiError, match=r"ca\.crt is valid only from .*; set this machine's clock"):
        ensure_pki(data_dir, NAMES, now=NOW - timedelta(days=1))


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "pki").write_text("")
    with pytest.raises(PkiError, match=r"cannot create .*/pki/etcd: "):
        ensure_pki(tmp_path, NAMES, now=NOW)


def test_renewal_gives_a_new_key_a_fresh_year_and_the_same_subject(data_dir: Path) -> None:
    later = NOW + timedelta(days=300)
    path = data_dir / "pki/apiserver.crt"
    old = parse_certificate(path.read_bytes(), path)
    renew(data_dir, renewable_names(), now=later)
    new = parse_certificate(path.read_bytes(), path)
    assert new.subject == old.subject
    assert certificate_hosts(new) == certificate_hosts(old)
    assert new.public_key() != old.public_key()
    assert ensure_pki(data_dir, NAMES, now=later) == ()
    leaves = [expiry for expiry in check_expiration(data_dir) if expiry.authority is not None]
    assert {expiry.name for expiry in leaves} == set(renewable_names())
    assert all(expiry.expires is not None and expiry.expires > later for expiry in leaves)


def test_renewal_touches_only_what_is_named(data_dir: Path) -> None:
    before = contents(data_dir)
    renew(data_dir, ["etcd-server", "admin.conf"], now=NOW)
    after = contents(data_dir)
    changed = {name for name in EXPECTED if before[name] != after[name]}
    assert changed == {"pki/etcd/server.crt", "pki/etcd/server.key", "admin.conf"}


def test_one_bad_name_renews_nothing(data_dir: Path) -> None:
    before = contents(data_dir)
    with pytest.raises(
        PkiError, match=r"no certificate is named etcd/server; choose of admin\.conf,"
    ):
        renew(data_dir, ["apiserver", "etcd/server"], now=NOW)
    assert contents(data_dir) == before


def test_expiration_tells_missing_and_external(data_dir: Path) -> None:
    (data_dir / "pki/etcd/ca.key").unlink()
    (data_dir / "scheduler.conf").unlink()
    by_name = {expiry.name: expiry for expiry in check_expiration(data_dir)}
    assert by_name["scheduler.conf"].expires is None
    assert by_name["etcd-peer"].externally_managed
    assert by_name["etcd-ca"].externally_managed
    assert not by_name["apiserver"].externally_managed
    assert by_name["ca"].authority is None
