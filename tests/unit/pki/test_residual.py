"""How kubeadm words the time that a certificate has left."""

from datetime import timedelta

import pytest

from pki.renew import renewable_names, residual_text


@pytest.mark.parametrize(
    ("residual", "text"),
    [
        (timedelta(days=3649), "9y"),
        (timedelta(days=3 * 365), "3y"),
        (timedelta(days=3 * 365, seconds=-1), "1094d"),
        (timedelta(days=364, hours=23), "364d"),
        (timedelta(hours=47), "47h"),
        (timedelta(minutes=59), "59m"),
        (timedelta(seconds=5), "1m"),
        (timedelta(0), "<invalid>"),
        (timedelta(days=-1), "<invalid>"),
    ],
)
def test_residual_text(residual: timedelta, text: str) -> None:
    assert residual_text(residual) == text


def test_authorities_cannot_be_renewed() -> None:
    assert renewable_names() == (
        "admin.conf",
        "apiserver",
        "apiserver-etcd-client",
        "apiserver-kubelet-client",
        "controller-manager.conf",
        "etcd-healthcheck-client",
        "etcd-peer",
        "etcd-server",
        "front-proxy-client",
        "kubelet",
        "kubelet.conf",
        "scheduler.conf",
    )
