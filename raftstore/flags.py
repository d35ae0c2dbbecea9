"""The command line: etcd's flags under etcd's names, checked against each other before the start.

Whatever is wrong raises ConfigError with the flag, the cause and the remedy. Flags of etcd's that
this store does not have are unknown here, so argparse refuses them by name. Source: etcd
server/etcdmain/help.go.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from raftstore.config import ConfigError, NodeConfig, PeerTls, split_peer_url
from raftstore.mvcc.validate import TXN_OPS_MAX

REQUEST_BYTES_DEFAULT = 1_572_864
QUOTA_BYTES_DEFAULT = 2 << 30
LOG_LEVELS = ("debug", "info", "warning", "error")

_DURATION_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}


@dataclasses.dataclass(frozen=True, slots=True)
class ClientTls:
    """Paths of the certificate shown to clients, its key, and the CA that signs every client."""

    ca: Path
    cert: Path
    key: Path


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything one process is told. A quota of 0 is none."""

    node: NodeConfig
    listen_client_urls: tuple[str, ...]
    client_tls: ClientTls
    quota_backend_bytes: int
    max_txn_ops: int
    watch_progress_interval_s: float
    log_level: str


class _Parser(argparse.ArgumentParser):
    """Raises instead of printing a page of usage: one line with cause and remedy is enough."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see python -m raftstore --help")


def parse(arguments: Sequence[str]) -> Options:
    """Options from the command line. Raises ConfigError; `--help` exits as argparse does."""
    flags = _parser().parse_args(arguments)
    peer_urls = _urls(flags.initial_advertise_peer_urls or "")
    cluster = _cluster(flags.initial_cluster) if flags.initial_cluster else {}
    if not flags.initial_cluster:
        cluster[flags.name] = peer_urls or _urls(flags.listen_peer_urls)
    node = NodeConfig(
        name=flags.name,
        data_dir=Path(flags.data_dir or f"{flags.name}.etcd"),
        initial_cluster=cluster,
        initial_cluster_token=flags.initial_cluster_token,
        initial_cluster_state=flags.initial_cluster_state,
        listen_peer_urls=_urls(flags.listen_peer_urls),
        advertise_client_urls=_urls(flags.advertise_client_urls or flags.listen_client_urls),
        peer_tls=PeerTls(
            ca=_required(flags, "peer-trusted-ca-file"),
            cert=_required(flags, "peer-cert-file"),
            key=_required(flags, "peer-key-file"),
        ),
        heartbeat_ms=flags.heartbeat_interval,
        election_ms=flags.election_timeout,
        snapshot_count=flags.snapshot_count,
        request_bytes_max=flags.max_request_bytes,
        set_member_localaddr=flags.set_member_localaddr,
    )
    options = Options(
        node=node,
        listen_client_urls=_urls(flags.listen_client_urls),
        client_tls=ClientTls(
            ca=_required(flags, "trusted-ca-file"),
            cert=_required(flags, "cert-file"),
            key=_required(flags, "key-file"),
        ),
        quota_backend_bytes=_quota(flags.quota_backend_bytes),
        max_txn_ops=flags.max_txn_ops,
        watch_progress_interval_s=flags.watch_progress_notify_interval,
        log_level=flags.log_level,
    )
    _check(options, flags, peer_urls)
    return options


def _check(options: Options, flags: argparse.Namespace, peer_urls: tuple[str, ...]) -> None:
    """Relations between flags, beyond those that NodeConfig checks itself."""
    options.node.check()
    for name in ("client-cert-auth", "peer-client-cert-auth"):
        if not getattr(flags, name.replace("-", "_")):
            raise ConfigError(f"--{name}=false is not offered: certificates are always required")
    for url in options.listen_client_urls:
        split_client_url(url)
    if not options.listen_client_urls:
        raise ConfigError("--listen-client-urls must name at least one URL")
    known = options.node.initial_cluster[options.node.name]
    if peer_urls and sorted(known) != sorted(peer_urls):
        raise ConfigError(
            f"--initial-cluster has {','.join(known)} for {options.node.name}, but "
            f"--initial-advertise-peer-urls is {','.join(peer_urls)}; make them equal"
        )
    if options.max_txn_ops < 1:
        raise ConfigError("--max-txn-ops must be at least 1")
    if options.node.snapshot_count < 1:
        raise ConfigError("--snapshot-count must be at least 1")
    if not 1 <= options.node.request_bytes_max <= options.node.limits.frame_bytes_max // 4:
        most = options.node.limits.frame_bytes_max // 4
        raise ConfigError(f"--max-request-bytes must be from 1 to {most}: batches must fit a frame")
    if options.watch_progress_interval_s < 0.1:
        raise ConfigError("--watch-progress-notify-interval must be at least 100ms")


def split_client_url(url: str) -> tuple[str, int]:
    """Host and port of a client URL. Raises ConfigError unless it is https://host:port."""
    try:
        return split_peer_url(url)
    except ConfigError:
        raise ConfigError(
            f"client URL {url!r} is not https://host:port (clients speak TLS only)"
        ) from None


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m raftstore",
        description="One member of a replicated key-value store that speaks the etcd v3 API.",
        allow_abbrev=False,
    )
    _add_member_flags(parser)
    _add_tls_flags(parser)
    _add_limit_flags(parser)
    return parser


def _add_member_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("member and cluster")
    add = group.add_argument
    add("--name", default="default", help="name of this member, as in --initial-cluster")
    add("--data-dir", help="directory of its files (default NAME.etcd)")
    add("--initial-cluster", help="all members: NAME=https://HOST:PORT,…")
    add("--initial-cluster-state", default="new", help="new or existing (default new)")
    add("--initial-cluster-token", default="etcd-cluster", help="tells clusters apart")
    add("--listen-peer-urls", default="https://127.0.0.1:2380", help="where peers connect")
    add("--initial-advertise-peer-urls", help="where peers connect to, as in --initial-cluster")
    add("--listen-client-urls", default="https://127.0.0.1:2379", help="where clients connect")
    add("--advertise-client-urls", help="where clients are told to (default: where we listen)")
    add("--heartbeat-interval", type=_milliseconds, default=60, help="ms (default 60)")
    add("--election-timeout", type=_milliseconds, default=300, help="ms (default 300)")
    add("--consensus", choices=("native",), default="native", help="the consensus engine")
    add(
        "--set-member-localaddr",
        **_SWITCH,
        default=False,
        help="connect to peers from the advertised peer address",
    )


def _add_tls_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("TLS (PEM files; certificates are required on both sides)")
    add = group.add_argument
    add("--cert-file", help="certificate shown to clients")
    add("--key-file", help="its key")
    add("--trusted-ca-file", help="CA that signs client certificates")
    add("--client-cert-auth", **_SWITCH, default=True, help="always on")
    add("--peer-cert-file", help="certificate shown to peers")
    add("--peer-key-file", help="its key")
    add("--peer-trusted-ca-file", help="CA that signs peer certificates")
    add("--peer-client-cert-auth", **_SWITCH, default=True, help="always on")


def _add_limit_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits and logging")
    add = group.add_argument
    add("--snapshot-count", type=int, default=100_000, help="entries between snapshots")
    add("--quota-backend-bytes", type=int, default=0, help="0: 2 GiB; negative: none")
    add("--max-txn-ops", type=int, default=TXN_OPS_MAX, help="operations in a transaction")
    add("--max-request-bytes", type=int, default=REQUEST_BYTES_DEFAULT, help="of one request")
    add(
        "--watch-progress-notify-interval",
        "--experimental-watch-progress-notify-interval",
        type=_duration_s,
        default=600.0,
        help="how often a quiet watch is told how far it is (default 10m)",
    )
    add("--log-level", choices=LOG_LEVELS, default="info")


def _required(flags: argparse.Namespace, name: str) -> Path:
    value = getattr(flags, name.replace("-", "_"))
    if not value:
        raise ConfigError(f"--{name} is required: this store speaks TLS only")
    return Path(value)


def _urls(text: str) -> tuple[str, ...]:
    return tuple(url.strip() for url in text.split(",") if url.strip())


def _cluster(text: str) -> dict[str, tuple[str, ...]]:
    """`cp1=https://…:2380,cp2=…`; a name may come more than once, with one URL each."""
    cluster: dict[str, tuple[str, ...]] = {}
    for part in _urls(text):
        name, equals, url = part.partition("=")
        if not (name and equals and url):
            raise ConfigError(f"--initial-cluster: {part!r} is not NAME=https://HOST:PORT")
        cluster[name] = (*cluster.get(name, ()), url)
    return cluster


def _quota(bytes_max: int) -> int:
    """Etcd's reading: 0 is the default, below zero is none."""
    if bytes_max < 0:
        return 0
    return bytes_max or QUOTA_BYTES_DEFAULT


def _milliseconds(text: str) -> int:
    """A plain number, as etcd takes it, or a duration such as 100ms."""
    if text.isascii() and text.isdigit():
        return int(text)
    return round(_duration_s(text) * 1_000)


def _duration_s(text: str) -> float:
    """A Go duration: 10m, 1h30m, 500ms."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 10m or 500ms")
    return sum(float(number) * _DURATION_UNITS_S[unit] for number, unit in parts)


def _boolean(text: str) -> bool:
    """What Go's flag package takes for a boolean."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


_SWITCH: dict[str, Any] = {"nargs": "?", "const": True, "type": _boolean}
