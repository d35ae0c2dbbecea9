"""Flags under etcd's names, in etcd's notations."""

from __future__ import annotations

import pytest

from raftstore.config import ConfigError
from raftstore.flags import parse

TLS = [
    f"--{side}{name}-file=/pki/{name}.pem"
    for side in ("", "peer-")
    for name in ("cert", "key", "trusted-ca")
]
CLUSTER = [
    "--name=cp1",
    "--initial-cluster=cp1=https://127.0.0.11:2380,cp2=https://127.0.0.12:2380",
]


def test_defaults_are_etcds_but_for_faster_elections() -> None:
    options = parse(TLS)
    assert options.node.name == "default"
    assert str(options.node.data_dir) == "default.etcd"
    assert options.listen_client_urls == ("https://127.0.0.1:2379",)
    assert options.node.advertise_client_urls == options.listen_client_urls
    assert options.node.initial_cluster == {"default": ("https://127.0.0.1:2380",)}
    assert (options.node.heartbeat_ms, options.node.election_ms) == (60, 300)
    assert options.node.request_bytes_max == 1_572_864
    assert options.quota_backend_bytes == 2 << 30
    assert options.max_txn_ops == 128
    assert options.watch_progress_interval_s == 600


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("100", 100), ("100ms", 100), ("1s", 1_000), ("1.5s", 1_500)]
)
def test_intervals_are_milliseconds_or_durations(text: str, milliseconds: int) -> None:
    options = parse([*TLS, f"--heartbeat-interval={text}", "--election-timeout=1m"])
    assert options.node.heartbeat_ms == milliseconds
    assert options.node.election_ms == 60_000


def test_flags_take_their_value_either_way_and_switches_none() -> None:
    options = parse(
        [*TLS, "--name", "cp1", *CLUSTER[1:], "--client-cert-auth", "--set-member-localaddr=true"]
    )
    assert options.node.set_member_localaddr
    assert options.node.initial_cluster["cp2"] == ("https://127.0.0.12:2380",)


@pytest.mark.parametrize(("given", "bytes_max"), [(0, 2 << 30), (-1, 0), (5_000, 5_000)])
def test_the_quota_reads_as_etcds(given: int, bytes_max: int) -> None:
    assert parse([*TLS, f"--quota-backend-bytes={given}"]).quota_backend_bytes == bytes_max


@pytest.mark.parametrize("missing", range(6))
def test_every_tls_file_is_required(missing: int) -> None:
    flags = [flag for place, flag in enumerate(TLS) if place != missing]
    name = TLS[missing].partition("=")[0]
    with pytest.raises(ConfigError, match=f"{name} is required"):
        parse(flags)


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--watch-progress-notify-interval=soon", "is not a duration"),
        ("--watch-progress-notify-interval=1ms", "at least 100ms"),
        ("--max-txn-ops=0", "--max-txn-ops must be at least 1"),
        ("--snapshot-count=0", "--snapshot-count must be at least 1"),
        ("--peer-client-cert-auth=false", "certificates are always required"),
        ("--client-cert-auth=maybe", "neither true nor false"),
        ("--initial-cluster-state=old", '"new" or "existing"'),
        ("--advertise=x", "unrecognized arguments"),
        ("--listen-client-urls=", "--listen-client-urls must name at least one URL"),
    ],
)
def test_a_wrong_flag_is_named_with_its_remedy(flag: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse([*TLS, flag])
