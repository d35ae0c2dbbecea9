"""TLS between peers: both sides show a certificate of the peer CA that covers their address.

Owns the two TLS contexts and the rule which member a certificate may speak for. Source: etcd's
--peer-client-cert-auth, and RFC 9525 for names.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from raftstore.config import ConfigError, PeerTls


class PeerContexts:
    """Both TLS contexts of a member. Raises ConfigError, naming the flag, if files do not fit."""

    def __init__(self, tls: PeerTls) -> None:
        self.client = client_context(tls)
        self.server = server_context(tls)


def client_context(tls: PeerTls) -> ssl.SSLContext:
    """For connections to peers. Raises ConfigError if a file is missing or does not fit."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=_readable(tls, "ca"))
    _load(context, tls)
    return context


def server_context(tls: PeerTls) -> ssl.SSLContext:
    """For connections from peers: a client certificate is demanded."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=_readable(tls, "ca"))
    context.verify_mode = ssl.CERT_REQUIRED
    _load(context, tls)
    return context


def _load(context: ssl.SSLContext, tls: PeerTls) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(_readable(tls, "cert"), _readable(tls, "key"))
    except ssl.SSLError as error:
        raise ConfigError(
            f"--peer-cert-file {tls.cert} and --peer-key-file {tls.key} do not fit: {error}"
        ) from error


def _readable(tls: PeerTls, field: str) -> str:
    path = getattr(tls, field)
    flag = {"ca": "--peer-trusted-ca-file", "cert": "--peer-cert-file", "key": "--peer-key-file"}
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{flag[field]} {path}: {error.strerror}") from error
    return str(path)


def certificate_covers(certificate: Mapping[str, Any] | None, hosts: Iterable[str]) -> bool:
    """Whether a verified certificate (as `getpeercert` gives it) names one of these hosts."""
    if not certificate:
        return False
    names = certificate.get("subjectAltName", ())
    return any(_covers(kind, value, host) for kind, value in names for host in hosts)


def _covers(kind: str, value: str, host: str) -> bool:
    if kind == "IP Address":
        try:
            return ipaddress.ip_address(value.strip()) == ipaddress.ip_address(host)
        except ValueError:
            return False
    if kind != "DNS":
        return False
    pattern, name = value.lower().rstrip("."), host.lower().rstrip(".")
    if pattern.startswith("*."):
        return "." in name and name.split(".", 1)[1] == pattern[2:]
    return pattern == name
