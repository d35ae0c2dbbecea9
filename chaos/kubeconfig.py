"""Reads the server and the client certificate of a kubeconfig, as kubectl would."""

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API is, and the TLS context of a client that may use it."""

    server: str
    context: ssl.SSLContext


class KubeconfigError(ValueError):
    """The file is no kubeconfig with an embedded client certificate."""


def load_access(path: Path) -> Access:
    """The current context of a kubeconfig. Raises KubeconfigError or OSError."""
    try:
        document = yaml.safe_load(path.read_bytes())
        named = {item["name"]: item["context"] for item in document["contexts"]}
        context = named[document["current-context"]]
        clusters = {item["name"]: item["cluster"] for item in document["clusters"]}
        users = {item["name"]: item["user"] for item in document["users"]}
        cluster, user = clusters[context["cluster"]], users[context["user"]]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        certificate = base64.b64decode(user["client-certificate-data"])
        key = base64.b64decode(user["client-key-data"])
        server = str(cluster["server"])
        tls = ssl.create_default_context(cadata=authority)
        _load_pair(tls, certificate, key)
    except (yaml.YAMLError, LookupError, TypeError, ValueError, ssl.SSLError) as error:
        raise KubeconfigError(f"{path} holds no usable client certificate: {error!r}") from error
    return Access(server, tls)


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # The ssl module reads a certificate and its key from a file only.
    with tempfile.NamedTemporaryFile(prefix="chaos-", suffix=".pem") as both:  # mode 0600
        both.write(certificate + b"\n" + key)
        both.flush()
        context.load_cert_chain(both.name)
