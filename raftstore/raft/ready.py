"""What the core asks of its caller: persist, send, apply."""

from collections.abc import Sequence
from dataclasses import dataclass

from raftstore.raft.messages import Message
from raftstore.raft.types import Entry, HardState, ReadState, SnapshotMeta, SoftState


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """One batch of effects. The caller must, in this order:

    1. persist `hard_state`, `entries`, then `snapshot`; sync them if `must_sync`;
    2. send `messages`, after the sync (they promise what was just persisted), or at any time
       before if `may_send_early`;
    3. install `snapshot`, apply `committed` (each entry may itself be one of `entries`), calling
       `Raft.apply_conf_change` for each CONF_CHANGE entry among them;
    4. answer reads: `read_states` are confirmed, `aborted_reads` must be asked again or failed;
    5. call `Raft.advance` with this Ready. Only then may the next one be taken.

    `Raft.step`, `tick`, `propose` and `read_index` may be called in between.

    Entries overwrite: persisting an entry with index i discards whatever the journal held at i
    and beyond.
    """

    hard_state: HardState | None
    """Set if it differs from what the previous Ready said."""
    soft_state: SoftState | None
    """Set if it differs from what the previous Ready said."""
    entries: Sequence[Entry]
    snapshot: SnapshotMeta | None
    """Replaces state machine and log: everything the journal holds, at any index, is void. Were
    entries behind it to come back at a restart, this member's votes would no longer be sound.
    `entries` and `committed` are then empty."""
    messages: Sequence[Message]
    committed: Sequence[Entry]
    """Entries to apply, contiguous, never handed out twice by one Raft."""
    read_states: Sequence[ReadState]
    aborted_reads: Sequence[bytes]
    """Contexts of this member's reads that get no answer: no leader, another one, or too many."""
    must_sync: bool
    """Whether term, vote, entries or snapshot changed. If commit alone did, writing it is enough,
    as long as the next sync covers it: a member must not forget a membership change that was
    committed before an entry it holds durably (thesis §4.1, with changes in force once applied)."""
    may_send_early: bool
    """Whether `messages` may leave before or while this Ready is persisted (thesis §10.2.1): a
    leader's promise nothing about its own disk, as it counts itself only after `advance`."""
