"""Certificate files, tried before they are used: gRPC only logs that something is wrong with them.

Raises TlsFilesError with the flag, the file and the cause, in one line.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Protocol

import grpc

HANDSHAKE_STEPS_MAX = 10


class TlsFilesError(Exception):
    """A certificate, key or CA cannot be used. The text names flag, file, cause and remedy."""


class TlsPaths(Protocol):
    """Paths of PEM files: a certificate, its key, and the CA of the other side."""

    @property
    def ca(self) -> Path: ...
    @property
    def cert(self) -> Path: ...
    @property
    def key(self) -> Path: ...


def check_files(tls: TlsPaths, *, side: str = "") -> None:
    """Raise unless all three can be read and certificate and key fit. `side` begins the flags."""
    for flag, path in (("trusted-ca-file", tls.ca), ("cert-file", tls.cert), ("key-file", tls.key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise TlsFilesError(
                f"--{side}{flag} {path}: {error.strerror}; name a readable PEM file"
            ) from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(tls.ca)
    except ssl.SSLError as error:
        raise TlsFilesError(
            f"--{side}trusted-ca-file {tls.ca} holds no certificate ({_reason(error)}); "
            "name a PEM file of the CA"
        ) from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.cert, tls.key)
    except ssl.SSLError as error:
        raise TlsFilesError(
            f"--{side}cert-file {tls.cert} and --{side}key-file {tls.key} do not belong together "
            f"({_reason(error)}); name a PEM certificate and its own key"
        ) from error


def check_own_ca(tls: TlsPaths, *, side: str) -> None:
    """Raise unless our certificate is one that we would accept ourselves: peers share their CA.

    A handshake with ourselves, in memory: dates and purposes count as they will on the wire.
    """
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tls.cert, tls.key)
    dialing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    dialing.check_hostname = False
    dialing.load_verify_locations(tls.ca)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(there, back, server_side=True)
    client = dialing.wrap_bio(back, there)
    try:
        for _ in range(HANDSHAKE_STEPS_MAX):
            done = [_step(client), _step(server)]
            if all(done):
                return
    except ssl.SSLCertVerificationError as error:
        raise TlsFilesError(
            f"--{side}cert-file {tls.cert} is not accepted by --{side}trusted-ca-file {tls.ca}: "
            f"{error.verify_message}; use the CA that signed it, or renew it"
        ) from error
    raise AssertionError("a handshake in memory takes a few steps")


def server_credentials(tls: TlsPaths) -> grpc.ServerCredentials:
    """Credentials that demand a client certificate. The files must have been checked."""
    pair = (tls.key.read_bytes(), tls.cert.read_bytes())
    return grpc.ssl_server_credentials(
        [pair], root_certificates=tls.ca.read_bytes(), require_client_auth=True
    )


def _step(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "no valid PEM").lower().replace("_", " ")
