"""Private keys: made, read and written as PEM."""

from pathlib import Path
from typing import assert_never

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki.errors import PkiError
from pki.files import read_file
from pki.layout import KeyAlgorithm

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def generate_key(algorithm: KeyAlgorithm) -> PrivateKey:
    """A fresh key. A P-256 key takes a fraction of a millisecond, an RSA key tens of them."""
    match algorithm:
        case KeyAlgorithm.ECDSA_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyAlgorithm.RSA_2048:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case _:
            assert_never(algorithm)


def key_to_pem(key: PrivateKey) -> bytes:
    """`EC PRIVATE KEY` or `RSA PRIVATE KEY`, unencrypted, as kubeadm writes them."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def public_key_to_pem(key: PrivateKey) -> bytes:
    """The public half as `PUBLIC KEY`: what `sa.pub` holds."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def read_key(path: Path) -> PrivateKey | None:
    """The key in `path`, None if there is no such file.

    Raises PkiError if the file holds no unencrypted EC or RSA key.
    """
    pem = read_file(path)
    return None if pem is None else parse_key(pem, path)


def parse_key(pem: bytes, path: Path) -> PrivateKey:
    """The key in `pem`; `path` names it in errors."""
    remedy = (
        f"restore {path.name} from a backup, or remove it with its certificate to issue both anew"
    )
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise PkiError(f"{path} holds no readable private key", remedy) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise PkiError(f"{path} holds a key that is neither EC nor RSA", remedy)
    return key
