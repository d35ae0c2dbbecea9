"""Signing and judging certificates, in memory."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki.ca import (
    AUTHORITY_LIFETIME,
    BACKDATE,
    LEAF_LIFETIME,
    Authority,
    Subject,
    certificate_hosts,
    certificate_to_pem,
    is_authority,
    is_issued_by,
    is_pair,
    make_authority,
    parse_certificate,
    sign_leaf,
)
from pki.errors import PkiError
from pki.keys import generate_key, key_to_pem, parse_key
from pki.layout import CLUSTER_CA, ETCD_CA, KeyAlgorithm

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUBJECT = Subject(
    common_name="cp1",
    organizations=("system:nodes",),
    server=True,
    client=True,
    hosts=("cp1", "localhost", "127.0.27.11", "::1"),
)


def authority() -> Authority:
    return make_authority(CLUSTER_CA, generate_key(KeyAlgorithm.ECDSA_P256), now=NOW)


def test_an_authority_signs_for_ten_years_and_nothing_else() -> None:
    ca = authority().certificate
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage)
    assert is_authority(ca)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert ca.not_valid_after_utc == NOW + AUTHORITY_LIFETIME
    assert ca.subject == ca.issuer


def test_a_leaf_says_what_it_was_asked_to_say() -> None:
    ca = authority()
    key = generate_key(KeyAlgorithm.ECDSA_P256)
    leaf = sign_leaf(ca, SUBJECT, key, now=NOW)
    assert Subject.of_certificate(leaf) == SUBJECT
    assert leaf.not_valid_before_utc == NOW - BACKDATE
    assert leaf.not_valid_after_utc == NOW + LEAF_LIFETIME
    assert not is_authority(leaf)
    assert is_pair(leaf, key)
    assert is_issued_by(leaf, ca.certificate)


def test_a_leaf_names_the_key_that_signed_it() -> None:
    ca = authority()
    leaf = sign_leaf(ca, SUBJECT, generate_key(KeyAlgorithm.ECDSA_P256), now=NOW)
    ca_identifier = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    identifier = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert identifier.value.key_identifier == ca_identifier.value.digest


@pytest.mark.parametrize(
    ("algorithm", "kind", "key_encipherment"),
    [
        (KeyAlgorithm.ECDSA_P256, ec.EllipticCurvePrivateKey, False),
        (KeyAlgorithm.RSA_2048, rsa.RSAPrivateKey, True),
    ],
)
def test_key_encipherment_is_for_rsa_alone(
    algorithm: KeyAlgorithm, kind: type, key_encipherment: bool
) -> None:
    key = generate_key(algorithm)
    leaf = sign_leaf(authority(), SUBJECT, key, now=NOW)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert isinstance(key, kind)
    assert usage.digital_signature
    assert usage.key_encipherment is key_encipherment
    assert not usage.key_cert_sign


def test_a_leaf_never_outlives_its_authority() -> None:
    ca = authority()
    late = NOW + AUTHORITY_LIFETIME - timedelta(days=30)
    leaf = sign_leaf(ca, SUBJECT, generate_key(KeyAlgorithm.ECDSA_P256), now=late)
    assert leaf.not_valid_before_utc == late - BACKDATE
    assert leaf.not_valid_after_utc == ca.certificate.not_valid_after_utc


def test_an_expired_authority_signs_nothing() -> None:
    with pytest.raises(PkiError, match="the CA ca expired on 2036-02-27; replace"):
        sign_leaf(
            authority(),
            SUBJECT,
            generate_key(KeyAlgorithm.ECDSA_P256),
            now=NOW + AUTHORITY_LIFETIME,
        )


def test_an_authority_without_its_key_signs_nothing() -> None:
    kept_elsewhere = Authority(CLUSTER_CA, authority().certificate, key=None)
    with pytest.raises(
        PkiError, match=r"for cp1: ca\.key is missing; restore the key of the CA ca"
    ):
        sign_leaf(kept_elsewhere, SUBJECT, generate_key(KeyAlgorithm.ECDSA_P256), now=NOW)


def test_another_authority_of_the_same_name_did_not_sign_it() -> None:
    leaf = sign_leaf(authority(), SUBJECT, generate_key(KeyAlgorithm.ECDSA_P256), now=NOW)
    impostor = authority()
    other = make_authority(ETCD_CA, generate_key(KeyAlgorithm.ECDSA_P256), now=NOW)
    assert not is_issued_by(leaf, impostor.certificate)
    assert not is_issued_by(leaf, other.certificate)


def test_hosts_keep_dns_names_before_addresses() -> None:
    leaf = sign_leaf(authority(), SUBJECT, generate_key(KeyAlgorithm.ECDSA_P256), now=NOW)
    assert certificate_hosts(leaf) == ("cp1", "localhost", "127.0.27.11", "::1")


def test_pem_round_trips() -> None:
    ca = authority()
    assert ca.key is not None
    path = Path("ca.crt")
    assert parse_certificate(certificate_to_pem(ca.certificate), path) == ca.certificate
    assert is_pair(ca.certificate, parse_key(key_to_pem(ca.key), path))


def test_damaged_pem_names_the_file_and_not_its_content() -> None:
    with pytest.raises(PkiError, match=r"^pki/ca\.crt holds no readable certificate; restore"):
        parse_certificate(b"secret", Path("pki/ca.crt"))
    with pytest.raises(PkiError, match=r"^pki/ca\.key holds no readable private key; restore") as e:
        parse_key(b"-----BEGIN EC PRIVATE KEY-----\nsecret\n", Path("pki/ca.key"))
    assert "secret" not in str(e.value)
