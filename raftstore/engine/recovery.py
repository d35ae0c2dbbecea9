"""From a data directory to a member's memory: identity, newest valid snapshot, journal behind it.

Owns the layout of the data directory. Refuses whatever belongs to another member or cluster, and
whatever lost something that this member may have acknowledged.

    DIR/member/lock            held by the running process
    DIR/member/identity.json   cluster, member, and the membership the cluster started with
    DIR/member/wal/*.wal       the journal
    DIR/member/snap/*.snap     snapshots
"""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

from raftstore.config import ConfigError, NodeConfig
from raftstore.membership import Membership, cluster_id_of, member_id_of
from raftstore.raft.log import RaftLog
from raftstore.raft.types import HardState, Index, MemberId, SnapshotMeta, Term
from raftstore.snap.codec import SnapshotDamagedError, SnapshotHead
from raftstore.snap.store import SnapshotGoneError, SnapshotStore
from raftstore.wal.codec import SnapshotMark
from raftstore.wal.files import SYSTEM_FILES, Files, Lock, write_durably
from raftstore.wal.repair import REMEDY, Replayed
from raftstore.wal.segment import open_journal

log = logging.getLogger(__name__)

IDENTITY_FORMAT = 1


class RecoveryError(Exception):
    """The data directory cannot be used. The text names cause and remedy."""


@dataclasses.dataclass(slots=True)
class Recovered:
    """A member as its files describe it. `chunks` is the state to restore, empty for none."""

    member_id: MemberId
    membership: Membership
    hard_state: HardState
    log: RaftLog
    replayed: Replayed
    snapshots: SnapshotStore
    chunks: list[bytes]
    lock: Lock

    @property
    def is_fresh(self) -> bool:
        """Whether this member has never held anything: no term, no entry, no snapshot."""
        return self.hard_state.term == 0 and self.log.last_index == 0


def recover(config: NodeConfig, files: Files = SYSTEM_FILES) -> Recovered:
    """Lock the data directory and read it, or lay out a new one.

    Blocking; runs before the loop serves anybody. Raises DataDirLockedError, RecoveryError,
    ConfigError, JournalCorruptError, ForeignJournalError, LostLogError or OSError.
    """
    member_dir = config.data_dir / "member"
    try:
        files.make_directory(member_dir)
        files.sync_directory(config.data_dir)
        lock = files.lock(member_dir / "lock")
    except OSError as error:
        raise RecoveryError(
            f"data directory {config.data_dir} cannot be used: {error.strerror}; "
            "make it writable for this user, or change --data-dir"
        ) from error
    try:
        return _read(config, member_dir, lock, files)
    except BaseException:
        lock.close()
        raise


def _read(config: NodeConfig, member_dir: Path, lock: Lock, files: Files) -> Recovered:
    initial = Membership.initial(config.initial_cluster, config.initial_cluster_token)
    member_id = member_id_of(config.initial_cluster[config.name], config.initial_cluster_token)
    identity = member_dir / "identity.json"
    known = files.exists(identity)
    if known:
        member_id, initial = _check_identity(
            identity, files.read(identity), config, member_id, initial
        )
        if not files.glob(member_dir / "wal", "*.wal"):
            raise RecoveryError(f"the journal of {member_dir} is missing; {REMEDY}")
    elif config.initial_cluster_state == "existing":
        raise ConfigError(
            f"--initial-cluster-state=existing, but {config.data_dir} holds no member; joining a "
            "running cluster is not offered yet: start all members with state new"
        )
    replayed = open_journal(
        member_dir / "wal",
        cluster_id=initial.cluster_id,
        member_id=member_id,
        segment_bytes=config.limits.segment_bytes,
        files=files,
    )
    if not known:
        write_durably(identity, _identity(config.name, member_id, initial), files)
    snapshots = SnapshotStore(
        member_dir / "snap",
        chunk_bytes_max=config.limits.snapshot_chunk_bytes_max,
        files=files,
    )
    files.sync_directory(member_dir)
    head, chunks = _newest_snapshot(replayed, snapshots)
    membership = initial if head is None else head.membership
    meta = SnapshotMeta(conf_state=initial.conf_state()) if head is None else head.meta
    raft_log = RaftLog(meta, replayed.entries)
    term = max(replayed.hard_state.term, raft_log.last_term)
    if term != replayed.hard_state.term:
        replayed.hard_state = HardState(Term(term), commit=replayed.hard_state.commit)
    return Recovered(
        member_id=member_id,
        membership=membership,
        hard_state=replayed.hard_state,
        log=raft_log,
        replayed=replayed,
        snapshots=snapshots,
        chunks=chunks,
        lock=lock,
    )


def _identity(name: str, member_id: MemberId, initial: Membership) -> bytes:
    document = {
        "format": IDENTITY_FORMAT,
        "name": name,
        "member_id": f"{member_id:016x}",
        "initial": json.loads(initial.to_json()),
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _check_identity(
    path: Path, data: bytes, config: NodeConfig, member_id: MemberId, initial: Membership
) -> tuple[MemberId, Membership]:
    """The identity on disk, which flags may not contradict. Raises RecoveryError."""
    try:
        document = json.loads(data)
        kept_id = MemberId(int(document["member_id"], 16))
        kept = Membership.from_json(json.dumps(document["initial"]).encode())
        form = document["format"]
    except (KeyError, TypeError, ValueError) as error:
        raise RecoveryError(f"{path} cannot be read ({error}); {REMEDY}") from error
    if form != IDENTITY_FORMAT:
        raise RecoveryError(f"{path} has format {form}, this release reads {IDENTITY_FORMAT}")
    flags_cluster = cluster_id_of(initial.conf_state().voters)
    if (kept_id, kept.cluster_id) != (member_id, flags_cluster):
        raise RecoveryError(
            f"{config.data_dir} belongs to member {kept_id:016x} of cluster "
            f"{kept.cluster_id:016x}, "
            f"but the flags describe member {member_id:016x} of cluster {flags_cluster:016x}; "
            "check --data-dir, --name, --initial-cluster and --initial-cluster-token"
        )
    return kept_id, kept


def _newest_snapshot(
    replayed: Replayed, snapshots: SnapshotStore
) -> tuple[SnapshotHead | None, list[bytes]]:
    """The newest snapshot that the journal vouches for, reads well, and connects to the log."""
    first_index = replayed.entries[0].index if replayed.entries else None
    for mark in _usable_marks(replayed):
        if first_index is not None and first_index > mark.index + 1:
            break
        try:
            return snapshots.read(mark.index, mark.term)
        except (SnapshotGoneError, SnapshotDamagedError) as error:
            log.error("snapshot %d cannot be used: %s; trying an older one", mark.index, error)
    if not replayed.marks or (first_index == 1 and not any(mark.reset for mark in replayed.marks)):
        return None, []
    raise RecoveryError(f"no usable snapshot connects to the journal in this data dir; {REMEDY}")


def _usable_marks(replayed: Replayed) -> list[SnapshotMark]:
    """Newest first, back to the last that replaced the log: older ones connect to nothing."""
    resets = [mark.index for mark in replayed.marks if mark.reset]
    oldest = max(resets, default=Index(0))
    usable = [mark for mark in replayed.marks if mark.index >= oldest]
    return sorted(usable, key=lambda mark: mark.index, reverse=True)
