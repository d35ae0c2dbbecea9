"""What one member must know before it starts, and the checks that hold between its limits.

Owns no behaviour: `__main__` fills it from flags, the node and its parts read it.
"""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

MIB = 1 << 20


class ConfigError(ValueError):
    """A flag, or a relation between flags, that no member can run with. Names the remedy."""


@dataclasses.dataclass(frozen=True, slots=True)
class PeerTls:
    """Paths of the peer certificate, its key and the CA that signs every peer (PEM)."""

    ca: Path
    cert: Path
    key: Path


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every bound of a member, with its unit. Overflow: proposals are refused, messages dropped."""

    waiting_proposals_max: int = 20_000
    waiting_proposal_bytes_max: int = 256 * MIB
    waiting_reads_max: int = 50_000
    batch_commands_max: int = 1_024
    batch_bytes_max: int = 4 * MIB
    frame_bytes_max: int = 64 * MIB
    peer_queue_bytes_max: int = 64 * MIB
    segment_bytes: int = 16 * MIB
    snapshot_journal_bytes: int = 64 * MIB
    snapshot_chunk_bytes_max: int = 4 * MIB
    snapshot_journal_bytes_max: int = 256 * MIB
    snapshot_catch_up_entries: int = 5_000
    snapshot_catch_up_bytes: int = 16 * MIB

    def check(self) -> None:
        """Raise ConfigError where two limits cannot both hold."""
        if self.batch_bytes_max * 4 > self.frame_bytes_max:
            raise ConfigError("batch_bytes_max must be at most a quarter of frame_bytes_max")
        if self.batch_bytes_max > self.waiting_proposal_bytes_max:
            raise ConfigError("waiting_proposal_bytes_max must hold at least one batch")
        if self.snapshot_journal_bytes > self.snapshot_journal_bytes_max:
            raise ConfigError("snapshot_journal_bytes must not exceed its maximum")
        if self.snapshot_chunk_bytes_max > self.frame_bytes_max // 2:
            raise ConfigError("snapshot_chunk_bytes_max must be at most half of frame_bytes_max")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """One member: who it is, whom it starts with, where it keeps its files, how fast it beats.

    `initial_cluster` maps member names to peer URLs, in any order, and must name `name`. URLs are
    `https://host:port`; the listen URL may differ from the advertised one (a proxy between them).
    Times are milliseconds. `initial_cluster_state` is etcd's: "new" or "existing".
    """

    name: str
    data_dir: Path
    initial_cluster: Mapping[str, tuple[str, ...]]
    initial_cluster_token: str = "etcd-cluster"
    initial_cluster_state: str = "new"
    listen_peer_urls: tuple[str, ...]
    advertise_client_urls: tuple[str, ...]
    peer_tls: PeerTls
    heartbeat_ms: int = 60
    election_ms: int = 300
    snapshot_count: int = 100_000
    request_bytes_max: int = 1_572_864
    set_member_localaddr: bool = False
    limits: Limits = dataclasses.field(default_factory=Limits)

    @property
    def request_timeout_ms(self) -> int:
        """How long a proposal or a read may wait: etcd's 5 s plus two election timeouts."""
        return 5_000 + 2 * self.election_ms

    @property
    def election_ticks(self) -> int:
        """The election timeout in ticks of one heartbeat interval, at least two."""
        return max(2, self.election_ms // self.heartbeat_ms)

    def check(self) -> None:
        """Raise ConfigError, with the remedy, for anything a member cannot run with."""
        self.limits.check()
        if self.heartbeat_ms <= 0:
            raise ConfigError("--heartbeat-interval must be positive (milliseconds)")
        if self.election_ms < 5 * self.heartbeat_ms:
            raise ConfigError("--election-timeout must be at least 5 times --heartbeat-interval")
        if self.name not in self.initial_cluster:
            names = ", ".join(sorted(self.initial_cluster))
            raise ConfigError(f"--initial-cluster names {names}, but not this member, {self.name}")
        if self.initial_cluster_state not in ("new", "existing"):
            raise ConfigError('--initial-cluster-state must be "new" or "existing"')
        if not self.listen_peer_urls:
            raise ConfigError("--listen-peer-urls must name at least one URL")
        for urls in self.initial_cluster.values():
            if not urls:
                raise ConfigError("--initial-cluster gives a member no peer URL")
            for url in urls:
                split_peer_url(url)
        for url in self.listen_peer_urls:
            split_peer_url(url)


def split_peer_url(url: str) -> tuple[str, int]:
    """Host and port of a peer URL. Raises ConfigError unless it is https://host:port."""
    parts = urllib.parse.urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "https" or not parts.hostname or port is None or parts.path not in ("", "/"):
        raise ConfigError(f"peer URL {url!r} is not https://host:port (peers speak TLS only)")
    return parts.hostname, port
