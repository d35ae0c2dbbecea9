"""Makes certificates and judges them: the only place that builds or verifies X.509 structures.

Extensions follow RFC 5280 §4.2 and what kubeadm sets: basicConstraints and keyUsage critical,
subject and authority key identifiers, extended key usages of leaves. keyEncipherment is set for RSA
keys only: RFC 5480 §3 forbids it for the others.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pki.errors import PkiError
from pki.keys import PrivateKey
from pki.layout import AuthorityProfile, LeafProfile, is_address

AUTHORITY_LIFETIME = timedelta(days=10 * 365)
LEAF_LIFETIME = timedelta(days=365)
BACKDATE = timedelta(minutes=5)
"""Certificates begin a little in the past: a machine whose clock lags accepts a fresh one."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA certificate and, unless the CA is kept elsewhere, its key."""

    profile: AuthorityProfile
    certificate: x509.Certificate
    key: PrivateKey | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a leaf certificate says: who, with which usages, reachable under which hosts."""

    common_name: str
    organizations: tuple[str, ...]
    server: bool
    client: bool
    hosts: tuple[str, ...]

    @classmethod
    def of_profile(cls, profile: LeafProfile) -> "Subject":
        return cls(
            common_name=profile.common_name,
            organizations=profile.organizations,
            server=profile.server,
            client=profile.client,
            hosts=profile.hosts,
        )

    @classmethod
    def of_certificate(cls, certificate: x509.Certificate) -> "Subject":
        """What an issued certificate says, so that its renewal says the same."""
        name = certificate.subject
        usages = _extended_usages(certificate)
        return cls(
            common_name=_text(name.get_attributes_for_oid(NameOID.COMMON_NAME)[0]),
            organizations=tuple(
                _text(attribute)
                for attribute in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
            ),
            server=ExtendedKeyUsageOID.SERVER_AUTH in usages,
            client=ExtendedKeyUsageOID.CLIENT_AUTH in usages,
            hosts=certificate_hosts(certificate),
        )


def make_authority(profile: AuthorityProfile, key: PrivateKey, *, now: datetime) -> Authority:
    """A self-signed CA for ten years, able to sign leaves and revocation lists."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, profile.common_name)])
    key_identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(name, name, key, not_before=now - BACKDATE, not_after=now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(key, authority=True), critical=True)
        .add_extension(key_identifier, critical=False)
        .add_extension(_authority_identifier(key_identifier), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(profile.common_name)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return Authority(profile, certificate, key)


def sign_leaf(
    authority: Authority, subject: Subject, key: PrivateKey, *, now: datetime
) -> x509.Certificate:
    """A certificate for a year over the public half of `key`; it never outlives its CA.

    Raises PkiError if the CA's key is not here or the CA itself has expired.
    """
    name = authority.profile.name
    if authority.key is None:
        raise PkiError(
            f"cannot sign a certificate for {subject.common_name}: "
            f"{authority.profile.base}.key is missing",
            f"restore the key of the CA {name}, or supply the certificate and its key yourself",
        )
    issuer = authority.certificate
    if now >= issuer.not_valid_after_utc:
        raise PkiError(
            f"the CA {name} expired on {issuer.not_valid_after_utc:%Y-%m-%d}",
            "replace the CA and all certificates that it signed",
        )
    issuer_identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(
            _subject_name(subject),
            issuer.subject,
            key,
            not_before=max(now - BACKDATE, issuer.not_valid_before_utc),
            not_after=min(now + LEAF_LIFETIME, issuer.not_valid_after_utc),
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(key, authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_usage_oids(subject)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_authority_identifier(issuer_identifier), critical=False)
    )
    if subject.hosts:
        builder = builder.add_extension(_alternative_names(subject.hosts), critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def certificate_to_pem(certificate: x509.Certificate) -> bytes:
    """`CERTIFICATE`, PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def parse_certificate(pem: bytes, path: Path) -> x509.Certificate:
    """The first certificate in `pem`; `path` names it in the PkiError if there is none."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise PkiError(
            f"{path} holds no readable certificate",
            f"restore {path.name} from a backup, or remove it to issue it anew",
        ) from error


def certificate_hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    """DNS names and IP addresses of the subject alternative name, in its order."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)
    )


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether the certificate may sign others (basicConstraints CA:TRUE)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` signed `certificate`: names and signature agree."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_pair(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Whether `key` is the private half of what the certificate certifies."""
    return certificate.public_key() == key.public_key()


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    *,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def _subject_name(subject: Subject) -> x509.Name:
    organizations = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)
        for organization in subject.organizations
    ]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)])


def _key_usage(key: PrivateKey, *, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=isinstance(key, rsa.RSAPrivateKey),
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(issuer: x509.SubjectKeyIdentifier) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer)


def _usage_oids(subject: Subject) -> list[x509.ObjectIdentifier]:
    oids = []
    if subject.server:
        oids.append(ExtendedKeyUsageOID.SERVER_AUTH)
    if subject.client:
        oids.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    return oids


def _alternative_names(hosts: tuple[str, ...]) -> x509.SubjectAlternativeName:
    dns = [x509.DNSName(host) for host in hosts if not is_address(host)]
    addresses = [x509.IPAddress(ip_address(host)) for host in hosts if is_address(host)]
    return x509.SubjectAlternativeName([*dns, *addresses])


def _extended_usages(certificate: x509.Certificate) -> frozenset[x509.ObjectIdentifier]:
    try:
        return frozenset(
            certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        )
    except x509.ExtensionNotFound:
        return frozenset()


def _text(attribute: x509.NameAttribute[str | bytes]) -> str:
    value = attribute.value
    return value if isinstance(value, str) else value.decode()
