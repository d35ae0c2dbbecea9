"""Brings a data directory to the layout: makes what is missing, keeps and checks what is there.

Nothing that exists is ever overwritten. A tree that a crash left half made is completed; a tree
that cannot be completed soundly is refused with a PkiError that names the file and what to do.
"""

from datetime import datetime
from pathlib import Path

from cryptography import x509

from pki.ca import (
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
from pki.files import PRIVATE_MODE, PUBLIC_MODE, make_private_directory, read_file, write_files
from pki.keys import (
    PrivateKey,
    generate_key,
    key_to_pem,
    parse_key,
    public_key_to_pem,
    read_key,
)
from pki.kubeconfig import Kubeconfig, parse_kubeconfig, render_kubeconfig
from pki.layout import (
    AUTHORITIES,
    AuthorityProfile,
    ClusterNames,
    KeyAlgorithm,
    LeafProfile,
    kubeconfig_profiles,
    leaf_profiles,
)

_File = tuple[Path, bytes, int]


def ensure_pki(
    data_dir: Path,
    names: ClusterNames,
    *,
    now: datetime,
    algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256,
) -> tuple[Path, ...]:
    """Make `data_dir/pki/` and the kubeconfigs beside it complete; returns the paths it created.

    `now` is aware (UTC). All new files are on disk when this returns. `algorithm` is that of new
    certificates; `sa.key` is RSA in any case, since clients verify service account tokens as RS256.
    Raises PkiError, and then leaves what it found untouched: it may have added whole, sound files.
    """
    pki_dir = data_dir / "pki"
    make_private_directory(pki_dir / "etcd")
    files: list[_File] = []
    authorities: dict[AuthorityProfile, Authority] = {}
    for profile in AUTHORITIES:
        authorities[profile], made = _ensure_authority(pki_dir, profile, algorithm, now)
        files += made
    for leaf in leaf_profiles(names):
        files += _ensure_leaf(pki_dir, leaf, authorities[leaf.authority], algorithm, now)
    files += _ensure_service_account_keys(pki_dir)
    for user in kubeconfig_profiles(names):
        authority = authorities[user.authority]
        files += _ensure_kubeconfig(data_dir, user, authority, names.endpoint_url, algorithm, now)
    write_files(files)
    return tuple(path for path, _, _ in files)


def load_authority(pki_dir: Path, profile: AuthorityProfile) -> Authority | None:
    """The CA on disk, with its key if that is here; None if it has no certificate.

    Raises PkiError if the files are damaged, no CA, or no pair.
    """
    path = pki_dir / f"{profile.base}.crt"
    pem = read_file(path)
    if pem is None:
        return None
    certificate = parse_certificate(pem, path)
    if not is_authority(certificate):
        raise PkiError(f"{path} is not a CA certificate", "restore the CA from a backup")
    key = read_key(pki_dir / f"{profile.base}.key")
    if key is not None and not is_pair(certificate, key):
        raise _not_a_pair(path)
    return Authority(profile, certificate, key)


def _ensure_authority(
    pki_dir: Path, profile: AuthorityProfile, algorithm: KeyAlgorithm, now: datetime
) -> tuple[Authority, list[_File]]:
    found = load_authority(pki_dir, profile)
    if found is not None:
        _check_dates(found.certificate, pki_dir / f"{profile.base}.crt", "replace the CA", now)
        return found, []
    key_path = pki_dir / f"{profile.base}.key"
    key, files = _ensure_key(key_path, algorithm)
    authority = make_authority(profile, key, now=now)
    pem = certificate_to_pem(authority.certificate)
    return authority, [*files, (pki_dir / f"{profile.base}.crt", pem, PUBLIC_MODE)]


def _ensure_leaf(
    pki_dir: Path,
    profile: LeafProfile,
    authority: Authority,
    algorithm: KeyAlgorithm,
    now: datetime,
) -> list[_File]:
    path = pki_dir / f"{profile.base}.crt"
    key_path = path.with_suffix(".key")
    pem = read_file(path)
    if pem is None:
        key, files = _ensure_key(key_path, algorithm)
        certificate = sign_leaf(authority, Subject.of_profile(profile), key, now=now)
        return [*files, (path, certificate_to_pem(certificate), PUBLIC_MODE)]
    found_key = read_key(key_path)
    if found_key is None:
        raise PkiError(
            f"{key_path} is missing, but {path.name} exists",
            f"restore {key_path.name} from a backup, or remove {path.name} to issue both anew",
        )
    _check_leaf(parse_certificate(pem, path), found_key, profile, authority, path, now)
    return []


def _ensure_kubeconfig(
    data_dir: Path,
    profile: LeafProfile,
    authority: Authority,
    server: str,
    algorithm: KeyAlgorithm,
    now: datetime,
) -> list[_File]:
    path = data_dir / profile.base
    content = read_file(path)
    ca_pem = certificate_to_pem(authority.certificate)
    if content is not None:
        _check_kubeconfig(parse_kubeconfig(content, path), profile, authority, server, path, now)
        return []
    key = generate_key(algorithm)
    certificate = sign_leaf(authority, Subject.of_profile(profile), key, now=now)
    config = Kubeconfig(
        server=server,
        user=profile.common_name,
        ca_pem=ca_pem,
        certificate_pem=certificate_to_pem(certificate),
        key_pem=key_to_pem(key),
    )
    return [(path, render_kubeconfig(config), PRIVATE_MODE)]


def _ensure_service_account_keys(pki_dir: Path) -> list[_File]:
    key_path, public_path = pki_dir / "sa.key", pki_dir / "sa.pub"
    public_pem = read_file(public_path)
    if public_pem is not None and not key_path.exists():
        raise PkiError(
            f"{key_path} is missing, but sa.pub exists",
            "restore sa.key from a backup, or remove sa.pub to make both anew",
        )
    key, files = _ensure_key(key_path, KeyAlgorithm.RSA_2048)
    if public_pem is None:
        return [*files, (public_path, public_key_to_pem(key), PUBLIC_MODE)]
    if public_pem.strip() != public_key_to_pem(key).strip():
        raise PkiError(
            f"{public_path} is not the public half of sa.key",
            "restore the pair from a backup, or remove sa.pub to derive it anew",
        )
    return files


def _ensure_key(path: Path, algorithm: KeyAlgorithm) -> tuple[PrivateKey, list[_File]]:
    # A key without its certificate is what a crash between the two leaves: it is good, and kept.
    found = read_key(path)
    if found is not None:
        return found, []
    key = generate_key(algorithm)
    return key, [(path, key_to_pem(key), PRIVATE_MODE)]


def _check_kubeconfig(
    config: Kubeconfig,
    profile: LeafProfile,
    authority: Authority,
    server: str,
    path: Path,
    now: datetime,
) -> None:
    if config.server != server:
        raise PkiError(
            f"{path} points to {config.server}, but the cluster is served at {server}",
            f"remove {path.name} to issue it anew, or use the old address",
        )
    if parse_certificate(config.ca_pem, path) != authority.certificate:
        raise PkiError(f"{path} trusts another CA", f"remove {path.name} to issue it anew")
    certificate = parse_certificate(config.certificate_pem, path)
    key = parse_key(config.key_pem, path)
    _check_leaf(certificate, key, profile, authority, path, now)


def _check_leaf(
    certificate: x509.Certificate,
    key: PrivateKey,
    profile: LeafProfile,
    authority: Authority,
    path: Path,
    now: datetime,
) -> None:
    if not is_pair(certificate, key):
        raise _not_a_pair(path)
    if not is_issued_by(certificate, authority.certificate):
        raise PkiError(
            f"{path} was not signed by the CA {authority.profile.name}",
            "restore the CA that signed it, or remove it and its key to issue both anew",
        )
    _check_dates(certificate, path, f"run `triplane certs renew {profile.name}`", now)
    missing = [host for host in profile.hosts if host not in certificate_hosts(certificate)]
    if missing:
        raise PkiError(
            f"{path} is not valid for {', '.join(missing)}",
            f"remove {path.name} and its key to issue both anew, or use the old addresses",
        )


def _check_dates(certificate: x509.Certificate, path: Path, remedy: str, now: datetime) -> None:
    if now >= certificate.not_valid_after_utc:
        raise PkiError(
            f"{path} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC", remedy
        )
    if now < certificate.not_valid_before_utc:
        raise PkiError(
            f"{path} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on",
            "set this machine's clock",
        )


def _not_a_pair(path: Path) -> PkiError:
    return PkiError(
        f"{path} and its key do not belong together",
        "restore the pair from a backup, or remove both to issue them anew",
    )
