"""From a data directory to a member's memory: identity, newest valid snapshot, journal behind it.

Owns the layout of the data directory. Refuses whatever belongs to another member or cluster, and
whatever lost something that this member may have acknowledged.

    DIR/member/lock            held by the running process
    DIR/member/identity.json   cluster, member, and the membership it started with (identity.py)
    DIR/member/wal/*.wal       the journal
    DIR/member/snap/*.snap     snapshots
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from raftstore.config import NodeConfig
from raftstore.engine.identity import (
    Identity,
    RecoveryError,
    load_identity,
    store_identity,
)
from raftstore.membership import Membership
from raftstore.raft.log import RaftLog
from raftstore.raft.types import HardState, Index, MemberId, SnapshotMeta, Term
from raftstore.snap.codec import SnapshotDamagedError, SnapshotHead
from raftstore.snap.store import SnapshotGoneError, SnapshotStore
from raftstore.wal.codec import SnapshotMark
from raftstore.wal.files import SYSTEM_FILES, Files, Lock
from raftstore.wal.repair import REMEDY, Replayed
from raftstore.wal.segment import open_journal

log = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class Recovered:
    """A member as its files describe it. `chunks` is the state to restore, empty for none."""

    identity: Identity
    membership: Membership
    hard_state: HardState
    log: RaftLog
    replayed: Replayed
    snapshots: SnapshotStore
    chunks: list[bytes]
    lock: Lock

    @property
    def member_id(self) -> MemberId:
        """Whose files they are."""
        return self.identity.member_id

    @property
    def is_fresh(self) -> bool:
        """Whether this member has never held anything: no term, no entry, no snapshot."""
        return self.hard_state.term == 0 and self.log.last_index == 0


def recover(
    config: NodeConfig, files: Files = SYSTEM_FILES, first: Identity | None = None
) -> Recovered:
    """Lock the data directory and read it, or lay out a new one for `first` (or a founder).

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
        return _read(config, member_dir, lock, files, first)
    except BaseException:
        lock.close()
        raise


def _read(
    config: NodeConfig, member_dir: Path, lock: Lock, files: Files, first: Identity | None
) -> Recovered:
    known = load_identity(config, files)
    if known is not None:
        identity = known
        if not files.glob(member_dir / "wal", "*.wal"):
            raise RecoveryError(f"the journal of {member_dir} is missing; {REMEDY}")
    else:
        identity = first or Identity.founder(config)
    replayed = open_journal(
        member_dir / "wal",
        cluster_id=identity.initial.cluster_id,
        member_id=identity.member_id,
        segment_bytes=config.limits.segment_bytes,
        files=files,
    )
    if known is None:
        store_identity(identity, config, files)
    snapshots = SnapshotStore(
        member_dir / "snap",
        chunk_bytes_max=config.limits.snapshot_chunk_bytes_max,
        files=files,
    )
    files.sync_directory(member_dir)
    head, chunks = _newest_snapshot(replayed, snapshots)
    membership = identity.initial if head is None else head.membership
    meta = SnapshotMeta(conf_state=identity.conf_state) if head is None else head.meta
    raft_log = RaftLog(meta, replayed.entries)
    term = max(replayed.hard_state.term, raft_log.last_term)
    if term != replayed.hard_state.term:
        replayed.hard_state = HardState(Term(term), commit=replayed.hard_state.commit)
    return Recovered(
        identity=identity,
        membership=membership,
        hard_state=replayed.hard_state,
        log=raft_log,
        replayed=replayed,
        snapshots=snapshots,
        chunks=chunks,
        lock=lock,
    )


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
