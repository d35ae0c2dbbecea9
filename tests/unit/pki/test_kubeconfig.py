"""Kubeconfigs: what we write reads back, and what we did not write survives."""

from pathlib import Path

import pytest
import yaml

from pki.errors import PkiError
from pki.kubeconfig import Kubeconfig, parse_kubeconfig, render_kubeconfig, with_credentials

CONFIG = Kubeconfig(
    server="https://127.0.27.10:6443",
    user="kubernetes-admin",
    ca_pem=b"the authority\n",
    certificate_pem=b"the certificate\n",
    key_pem=b"the key\n",
)
PATH = Path("admin.conf")


def test_what_we_render_reads_back() -> None:
    assert parse_kubeconfig(render_kubeconfig(CONFIG), PATH) == CONFIG


def test_names_are_those_of_kubeadm() -> None:
    document = yaml.safe_load(render_kubeconfig(CONFIG))
    assert (document["apiVersion"], document["kind"]) == ("v1", "Config")
    assert document["current-context"] == "kubernetes-admin@kubernetes"
    assert document["clusters"][0]["name"] == "kubernetes"
    assert document["contexts"][0]["context"] == {
        "cluster": "kubernetes",
        "user": "kubernetes-admin",
    }


def test_new_credentials_leave_the_rest_alone() -> None:
    document = yaml.safe_load(render_kubeconfig(CONFIG))
    document["contexts"][0]["context"]["namespace"] = "kube-system"
    document["users"].insert(0, {"name": "other", "user": {"token": "t"}})
    edited = with_credentials(yaml.safe_dump(document).encode(), b"new certificate", b"new key")
    renewed = parse_kubeconfig(edited, PATH)
    assert (renewed.certificate_pem, renewed.key_pem) == (b"new certificate", b"new key")
    assert yaml.safe_load(edited)["contexts"][0]["context"]["namespace"] == "kube-system"
    assert yaml.safe_load(edited)["users"][0] == {"name": "other", "user": {"token": "t"}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"kind: Config\n",
        b"{",
        b"\xff\xfe",
        render_kubeconfig(CONFIG).replace(b"client-key-data: ", b"client-key-data: '*'#"),
        render_kubeconfig(CONFIG).replace(b"current-context: kube", b"current-context: cube"),
    ],
)
def test_what_is_no_kubeconfig_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(PkiError, match=r"^admin\.conf is no kubeconfig .* remove it"):
        parse_kubeconfig(content, PATH)
