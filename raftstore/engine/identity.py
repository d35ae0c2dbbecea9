"""Who a data directory belongs to: cluster, member, and how that member came to the cluster.

Owns `member/identity.json`, written once before anything is promised, and `member/removed`, whose
presence means that this member may never start again.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from raftstore.config import NodeConfig
from raftstore.membership import Membership, cluster_id_of, member_id_of
from raftstore.raft.types import NOBODY, ConfState, MemberId
from raftstore.wal.files import Files, write_durably
from raftstore.wal.repair import REMEDY

IDENTITY_FORMAT = 1


class RecoveryError(Exception):
    """The data directory cannot be used. The text names cause and remedy."""


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """One member. `initial` is the membership that it started with, as far as it was told.

    A founder may replay the log from the founders on; one that `joined` waits for a snapshot.
    `incarnation` tells this data directory from any other of the same member; 0 if it has none.
    """

    name: str
    member_id: MemberId
    initial: Membership
    joined: bool
    incarnation: int

    @classmethod
    def founder(cls, config: NodeConfig, incarnation: int = 0) -> Identity:
        """Of a member of the cluster that the flags describe."""
        return cls(
            name=config.name,
            member_id=member_id_of(
                config.initial_cluster[config.name], config.initial_cluster_token
            ),
            initial=Membership.initial(config.initial_cluster, config.initial_cluster_token),
            joined=False,
            incarnation=incarnation,
        )

    @property
    def conf_state(self) -> ConfState:
        """The membership before the first entry of the log, as far as this member may know it."""
        return NOBODY if self.joined else self.initial.conf_state()

    def to_json(self) -> bytes:
        """What stands in the file."""
        document = {
            "format": IDENTITY_FORMAT,
            "name": self.name,
            "member_id": f"{self.member_id:016x}",
            "incarnation": f"{self.incarnation:016x}",
            "joined": self.joined,
            "initial": json.loads(self.initial.to_json()),
        }
        return json.dumps(document, indent=1).encode() + b"\n"


def identity_path(config: NodeConfig) -> Path:
    """Where the identity is kept."""
    return config.data_dir / "member" / "identity.json"


def removed_path(config: NodeConfig) -> Path:
    """The mark of a member that was removed; it holds the reason."""
    return config.data_dir / "member" / "removed"


def load_identity(config: NodeConfig, files: Files) -> Identity | None:
    """The identity on disk, which flags may not contradict, or None. Raises RecoveryError."""
    if files.exists(removed_path(config)):
        reason = files.read(removed_path(config)).decode(errors="replace").strip()
        raise RecoveryError(f"{reason} ({config.data_dir} is that member's)")
    path = identity_path(config)
    if not files.exists(path):
        return None
    identity = _decode(path, files.read(path))
    _check_flags(identity, config)
    return identity


def store_identity(identity: Identity, config: NodeConfig, files: Files) -> None:
    """Write the identity of a new data directory, durably."""
    write_durably(identity_path(config), identity.to_json(), files)


def _decode(path: Path, data: bytes) -> Identity:
    try:
        document = json.loads(data)
        form = document["format"]
        identity = Identity(
            name=document["name"],
            member_id=MemberId(int(document["member_id"], 16)),
            initial=Membership.from_json(json.dumps(document["initial"]).encode()),
            joined=bool(document.get("joined", False)),
            incarnation=int(document.get("incarnation", "0"), 16),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecoveryError(f"{path} cannot be read ({error}); {REMEDY}") from error
    if form != IDENTITY_FORMAT:
        raise RecoveryError(f"{path} has format {form}, this release reads {IDENTITY_FORMAT}")
    return identity


def _check_flags(identity: Identity, config: NodeConfig) -> None:
    """Raise RecoveryError if this is another member's directory.

    Once members have come and gone, --initial-cluster describes them no more: then, and with
    --initial-cluster-state=existing, only the name is compared (etcd compares nothing).
    """
    told = Identity.founder(config)
    kept_cluster = identity.initial.cluster_id
    if identity.joined or config.initial_cluster_state == "existing":
        if identity.name != config.name:
            raise RecoveryError(
                f"{config.data_dir} belongs to member {identity.member_id:016x} ({identity.name}) "
                f"of cluster {kept_cluster:016x}, not to {config.name}; check --data-dir and --name"
            )
        return
    flags_cluster = cluster_id_of(told.initial.conf_state().voters)
    if (identity.member_id, kept_cluster) != (told.member_id, flags_cluster):
        raise RecoveryError(
            f"{config.data_dir} belongs to member {identity.member_id:016x} of cluster "
            f"{kept_cluster:016x}, "
            f"but the flags describe member {told.member_id:016x} of cluster {flags_cluster:016x}; "
            "check --data-dir, --name, --initial-cluster and --initial-cluster-token"
        )
