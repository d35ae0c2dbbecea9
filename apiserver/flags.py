"""The command line of one API server: kube-apiserver's flag names, checked before anything runs."""

import argparse
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn


class FlagsError(Exception):
    """Wrong usage or configuration: one line that names cause and remedy."""


@dataclass(frozen=True, slots=True)
class Flags:
    """How to serve, where the store is, and what to put into a new cluster."""

    bind_address: str
    advertise_address: str
    secure_port: int
    tls_cert_file: str
    tls_private_key_file: str
    client_ca_file: str
    etcd_servers: tuple[str, ...]
    etcd_cafile: str
    etcd_certfile: str
    etcd_keyfile: str
    service_cluster_ip_range: str
    shutdown_delay_s: float
    compaction_interval_s: float
    log_level: str


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FlagsError(f"{message} (see --help)")


_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+|0")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(text: str) -> float:
    """Seconds of a Go duration such as `1m30s`. Raises `ArgumentTypeError`."""
    if not _DURATION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 5m or 1.5s")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def build_parser() -> argparse.ArgumentParser:
    """The flags with their help texts."""
    parser = _Parser(
        prog="python -m apiserver",
        description="A stateless Kubernetes API server over an etcd v3 key-value store.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--bind-address", default="0.0.0.0", help="address to listen on")
    add("--advertise-address", default="", help="address told to the cluster (bind address)")
    add("--secure-port", type=int, default=6443, help="port to serve HTTPS on; 0 takes a free one")
    add("--tls-cert-file", required=True, help="server certificate (PEM)")
    add("--tls-private-key-file", required=True, help="its private key (PEM)")
    add("--client-ca-file", default="", help="CA that client certificates must be signed by")
    add("--etcd-servers", required=True, help="store endpoints, comma separated, preferred first")
    add("--etcd-cafile", default="", help="CA of the store's server certificates")
    add("--etcd-certfile", default="", help="our client certificate for the store")
    add("--etcd-keyfile", default="", help="its private key")
    add("--service-cluster-ip-range", default="10.96.0.0/12", help="CIDR of service addresses")
    add(
        "--shutdown-delay-duration",
        type=duration_s,
        default=0.0,
        help="how long to serve on, unready, before stopping (Go duration such as 5s)",
    )
    add(
        "--etcd-compaction-interval",
        type=duration_s,
        default=300.0,
        help="how often to compact the store (Go duration such as 5m); 0 leaves it to others",
    )
    add("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    for accepted in (
        "service-account-key-file",
        "service-account-signing-key-file",
        "service-account-issuer",
        "requestheader-client-ca-file",
        "requestheader-allowed-names",
        "requestheader-extra-headers-prefix",
        "requestheader-group-headers",
        "requestheader-username-headers",
    ):
        add(f"--{accepted}", default="", help="checked, used once its authenticator is served")
    return parser


def parse_flags(arguments: list[str]) -> Flags:
    """Read and check the flags. Raises `FlagsError`; `SystemExit` for --help."""
    parsed = build_parser().parse_args(arguments)
    servers = tuple(server.strip() for server in parsed.etcd_servers.split(",") if server.strip())
    flags = Flags(
        bind_address=parsed.bind_address,
        advertise_address=parsed.advertise_address or _advertised(parsed.bind_address),
        secure_port=parsed.secure_port,
        tls_cert_file=parsed.tls_cert_file,
        tls_private_key_file=parsed.tls_private_key_file,
        client_ca_file=parsed.client_ca_file,
        etcd_servers=servers,
        etcd_cafile=parsed.etcd_cafile,
        etcd_certfile=parsed.etcd_certfile,
        etcd_keyfile=parsed.etcd_keyfile,
        service_cluster_ip_range=parsed.service_cluster_ip_range,
        shutdown_delay_s=parsed.shutdown_delay_duration,
        compaction_interval_s=parsed.etcd_compaction_interval,
        log_level=parsed.log_level,
    )
    _check(flags)
    _check_files(parsed)
    return flags


def _advertised(bind_address: str) -> str:
    return "127.0.0.1" if bind_address in ("0.0.0.0", "::") else bind_address


def _check(flags: Flags) -> None:
    if not 0 <= flags.secure_port <= 65535:
        raise FlagsError(
            f"--secure-port {flags.secure_port} is not a port; give one from 0 to 65535"
        )
    for name, address in (
        ("--bind-address", flags.bind_address),
        ("--advertise-address", flags.advertise_address),
    ):
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise FlagsError(f"{name} {address!r} is not an IP address") from error
    try:
        network = ipaddress.ip_network(flags.service_cluster_ip_range)
    except ValueError as error:
        raise FlagsError(
            f"--service-cluster-ip-range: {error}; give one like 10.96.0.0/12"
        ) from error
    if network.num_addresses < 8:
        raise FlagsError(
            f"--service-cluster-ip-range {network} holds fewer than 8 addresses; give a wider one"
        )
    if not flags.etcd_servers:
        raise FlagsError("--etcd-servers is empty; name at least one endpoint")
    for server in flags.etcd_servers:
        if not server.startswith(("http://", "https://")):
            raise FlagsError(f"--etcd-servers: {server!r} has no scheme; write https://HOST:PORT")
    if any(server.startswith("https://") for server in flags.etcd_servers) and not (
        flags.etcd_cafile and flags.etcd_certfile and flags.etcd_keyfile
    ):
        raise FlagsError(
            "https in --etcd-servers needs --etcd-cafile, --etcd-certfile and --etcd-keyfile"
        )


def _check_files(parsed: argparse.Namespace) -> None:
    for name, value in vars(parsed).items():
        if not name.endswith(("_file", "cafile", "certfile", "keyfile")) or not value:
            continue
        try:
            with Path(value).open("rb"):
                pass
        except OSError as error:
            flag = "--" + name.replace("_", "-")
            raise FlagsError(f"{flag} {value}: {error.strerror}; name a readable file") from error
