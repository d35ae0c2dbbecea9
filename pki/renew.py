"""When certificates end, and their renewal: as `kubeadm certs check-expiration` and `renew` do.

A renewed certificate says what the old one said (subject, usages, hosts), has a new key and a fresh
year. CAs are not renewed: replacing one is a rollout, not a command. A process goes on with the
certificate that it loaded until it is started again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from pki.ca import (
    Authority,
    Subject,
    certificate_to_pem,
    is_issued_by,
    parse_certificate,
    sign_leaf,
)
from pki.errors import PkiError
from pki.files import PRIVATE_MODE, PUBLIC_MODE, read_file, write_files
from pki.issue import load_authority
from pki.keys import PrivateKey, generate_key, key_to_pem, parse_key, read_key
from pki.kubeconfig import Kubeconfig, parse_kubeconfig, with_credentials
from pki.layout import (
    AUTHORITIES,
    AuthorityProfile,
    ClusterNames,
    KeyAlgorithm,
    LeafProfile,
    Node,
    kubeconfig_profiles,
    leaf_profiles,
)

_File = tuple[Path, bytes, int]


@dataclass(frozen=True, slots=True)
class Expiry:
    """Until when one certificate is valid; `expires` is None if it is missing.

    `authority` names the CA that signs it, None for a CA. `externally_managed` means that its CA's
    key is not here, so that only its owner can renew it.
    """

    name: str
    authority: str | None
    expires: datetime | None
    externally_managed: bool


def renewable_names() -> tuple[str, ...]:
    """What `renew` accepts, sorted: every leaf and kubeconfig, by kubeadm's names."""
    return tuple(sorted(profile.name for profile in _renewable()))


def check_expiration(data_dir: Path) -> tuple[Expiry, ...]:
    """Every leaf by name, then every CA by name. Raises PkiError if a file is damaged."""
    pki_dir = data_dir / "pki"
    authorities = {profile: load_authority(pki_dir, profile) for profile in AUTHORITIES}
    leaves = []
    for profile in sorted(_renewable(), key=lambda profile: profile.name):
        found = _read_leaf(data_dir, profile)
        authority = authorities[profile.authority]
        leaves.append(
            Expiry(
                name=profile.name,
                authority=profile.authority.name,
                expires=None if found is None else found[0].not_valid_after_utc,
                externally_managed=authority is not None and authority.key is None,
            )
        )
    return (*leaves, *(_authority_expiry(profile, authorities[profile]) for profile in AUTHORITIES))


def renew(data_dir: Path, names: Sequence[str], *, now: datetime) -> None:
    """Renew the named certificates: all are on disk when this returns, or none was touched.

    Raises PkiError for a name that is not one, a certificate that is missing, or a CA without key.
    """
    profiles = {profile.name: profile for profile in _renewable()}
    files: list[_File] = []
    for name in names:
        if name not in profiles:
            raise PkiError(
                f"no certificate is named {name}", f"choose of {', '.join(renewable_names())}"
            )
        files += _renewed(data_dir, profiles[name], now)
    write_files(files)


def residual_text(residual: timedelta) -> str:
    """How long it still lasts, as kubeadm's table says: `9y`, `364d`, `5h`, `3m`, `<invalid>`."""
    seconds = int(residual.total_seconds())
    if seconds <= 0:
        return "<invalid>"
    day = 86400
    for unit, length, least in (
        ("y", 365 * day, 3 * 365 * day),
        ("d", day, 2 * day),
        ("h", 3600, 3600),
    ):
        if seconds >= least:
            return f"{seconds // length}{unit}"
    return f"{max(seconds // 60, 1)}m"


def _renewable() -> tuple[LeafProfile, ...]:
    # Only names, files and CAs matter here: what a renewed certificate says comes from the old one.
    anyone = ClusterNames(nodes=(Node("cp1", "127.0.0.1"),), endpoint_host="127.0.0.1")
    return leaf_profiles(anyone) + kubeconfig_profiles(anyone)


def _is_kubeconfig(profile: LeafProfile) -> bool:
    return profile.base.endswith(".conf")


def _authority_expiry(profile: AuthorityProfile, authority: Authority | None) -> Expiry:
    return Expiry(
        name=profile.name,
        authority=None,
        expires=None if authority is None else authority.certificate.not_valid_after_utc,
        externally_managed=authority is not None and authority.key is None,
    )


def _read_leaf(
    data_dir: Path, profile: LeafProfile
) -> tuple[x509.Certificate, PrivateKey | None] | None:
    if _is_kubeconfig(profile):
        config = _read_kubeconfig(data_dir / profile.base)
        if config is None:
            return None
        path = data_dir / profile.base
        return parse_certificate(config.certificate_pem, path), parse_key(config.key_pem, path)
    path = data_dir / "pki" / f"{profile.base}.crt"
    pem = read_file(path)
    if pem is None:
        return None
    return parse_certificate(pem, path), read_key(path.with_suffix(".key"))


def _read_kubeconfig(path: Path) -> Kubeconfig | None:
    content = read_file(path)
    return None if content is None else parse_kubeconfig(content, path)


def _renewed(data_dir: Path, profile: LeafProfile, now: datetime) -> list[_File]:
    found = _read_leaf(data_dir, profile)
    authority = load_authority(data_dir / "pki", profile.authority)
    if found is None or authority is None:
        raise PkiError(
            f"{profile.name} does not exist in {data_dir}", "run `triplane up` to issue it"
        )
    certificate, old_key = found
    if not is_issued_by(certificate, authority.certificate):
        raise PkiError(
            f"{profile.name} was not signed by the CA {authority.profile.name}",
            "renew it where it was signed, or remove it to issue it anew",
        )
    key = generate_key(_algorithm_of(old_key))
    renewed = sign_leaf(authority, Subject.of_certificate(certificate), key, now=now)
    return _renewed_files(data_dir, profile, certificate_to_pem(renewed), key_to_pem(key))


def _renewed_files(
    data_dir: Path, profile: LeafProfile, certificate_pem: bytes, key_pem: bytes
) -> list[_File]:
    if not _is_kubeconfig(profile):
        path = data_dir / "pki" / f"{profile.base}.crt"
        return [
            (path.with_suffix(".key"), key_pem, PRIVATE_MODE),
            (path, certificate_pem, PUBLIC_MODE),
        ]
    path = data_dir / profile.base
    old = read_file(path)
    assert old is not None, "the caller has just read it"
    return [(path, with_credentials(old, certificate_pem, key_pem), PRIVATE_MODE)]


def _algorithm_of(key: PrivateKey | None) -> KeyAlgorithm:
    is_ec = key is None or key.key_size == 256
    return KeyAlgorithm.ECDSA_P256 if is_ec else KeyAlgorithm.RSA_2048
