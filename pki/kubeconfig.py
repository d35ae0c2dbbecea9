"""Kubeconfigs with everything embedded: server, CA, client certificate and key."""

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pki.errors import PkiError

CLUSTER_NAME = "kubernetes"


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """What a kubeconfig of ours says; the PEM fields are plain PEM, not base64."""

    server: str
    user: str
    ca_pem: bytes
    certificate_pem: bytes
    key_pem: bytes


def render_kubeconfig(config: Kubeconfig) -> bytes:
    """The YAML that kubectl reads, with kubeadm's names: context `<user>@kubernetes`."""
    context = f"{config.user}@{CLUSTER_NAME}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": CLUSTER_NAME,
                "cluster": {
                    "certificate-authority-data": _encode(config.ca_pem),
                    "server": config.server,
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": CLUSTER_NAME, "user": config.user}}],
        "current-context": context,
        "preferences": {},
        "users": [
            {
                "name": config.user,
                "user": {
                    "client-certificate-data": _encode(config.certificate_pem),
                    "client-key-data": _encode(config.key_pem),
                },
            }
        ],
    }
    return _dump(document)


def parse_kubeconfig(content: bytes, path: Path) -> Kubeconfig:
    """The current context's cluster and user; `path` names the file in errors.

    Raises PkiError if it is no kubeconfig with embedded credentials.
    """
    try:
        document = yaml.safe_load(content)
        context = _named(document, "contexts", document["current-context"])["context"]
        cluster = _named(document, "clusters", context["cluster"])["cluster"]
        user = _named(document, "users", context["user"])["user"]
        return Kubeconfig(
            server=str(cluster["server"]),
            user=str(context["user"]),
            ca_pem=_decode(cluster["certificate-authority-data"]),
            certificate_pem=_decode(user["client-certificate-data"]),
            key_pem=_decode(user["client-key-data"]),
        )
    except (yaml.YAMLError, LookupError, TypeError, ValueError, binascii.Error) as error:
        raise PkiError(
            f"{path} is no kubeconfig with an embedded client certificate",
            f"restore {path.name} from a backup, or remove it to issue it anew",
        ) from error


def with_credentials(content: bytes, certificate_pem: bytes, key_pem: bytes) -> bytes:
    """The same kubeconfig with another client certificate for the current context's user.

    `content` must have passed `parse_kubeconfig`. Whatever else its owner put there stays.
    """
    document = yaml.safe_load(content)
    context = _named(document, "contexts", document["current-context"])["context"]
    user = _named(document, "users", context["user"])["user"]
    user["client-certificate-data"] = _encode(certificate_pem)
    user["client-key-data"] = _encode(key_pem)
    return _dump(document)


def _dump(document: object) -> bytes:
    return yaml.safe_dump(document, sort_keys=False, width=1 << 20).encode()


def _named(document: Any, collection: str, name: str) -> Any:
    for item in document[collection]:
        if item["name"] == name:
            return item
    raise LookupError(name)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
