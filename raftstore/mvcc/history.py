"""Every record that has not been compacted away, in the order of (main, sub).

Owns the sequence as blocks. Only the last block grows; a full block is never altered, compaction
puts another in its place. So a view of the whole history costs a copy of the block list and stays
valid whatever comes later.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from raftstore.mvcc.revision import Record

BLOCK_RECORDS: Final = 1_024
"""How many records a block has at most: the least that a step of compaction or hashing looks at."""
RECORD_OVERHEAD_BYTES: Final = 64
"""Counted for each record beside its key and value, about what it costs on disk in a snapshot."""


def record_bytes(record: Record) -> int:
    """How much a record counts towards the quota."""
    return len(record.key) + len(record.value) + RECORD_OVERHEAD_BYTES


def _first(block: list[Record]) -> tuple[object, ...]:
    return block[0]


class History:
    """An append-only sequence. Invariant: no block is empty but the one of an empty history."""

    __slots__ = ("_block_records", "_blocks", "size_bytes")

    def __init__(
        self, records: Iterable[Record] = (), *, block_records: int = BLOCK_RECORDS
    ) -> None:
        self._block_records = block_records
        self._blocks: list[list[Record]] = [[]]
        self.size_bytes = 0
        for record in records:
            self.append(record)

    def append(self, record: Record) -> None:
        """Add the newest record."""
        tail = self._blocks[-1]
        if len(tail) >= self._block_records:
            tail = []
            self._blocks.append(tail)
        tail.append(record)
        self.size_bytes += len(record.key) + len(record.value) + RECORD_OVERHEAD_BYTES

    def drop_block(self) -> bool:
        """Forget the newest block of a history that is no longer read; whether any is left."""
        self._blocks.pop()
        return bool(self._blocks)

    def since(self, revision: int) -> Iterator[Record]:
        """The records from `revision` on, in order. Not to be held across a write or compaction."""
        blocks = self._blocks
        if not blocks[0]:
            return
        bound: tuple[object, ...] = (revision,)
        number = max(0, bisect_left(blocks, bound, key=_first) - 1)
        yield from blocks[number][bisect_left(blocks[number], bound) :]
        for block in blocks[number + 1 :]:
            yield from block

    def view(self) -> list[list[Record]]:
        """All blocks as of now, unchanged by what comes later. Not to be altered."""
        return [*self._blocks[:-1], self._blocks[-1][:]]

    def block_count(self) -> int:
        """How many blocks there are, for `sift` to number them."""
        return len(self._blocks)

    def sift(self, number: int, stays: Callable[[Record], bool]) -> tuple[int, int]:
        """Drop the records of one block that do not stay; merge it into the one before if they fit.

        Returns how many records were looked at and which block comes next.
        """
        block = self._blocks[number]
        kept = [record for record in block if stays(record)]
        if len(kept) < len(block):
            self.size_bytes -= sum(map(record_bytes, block)) - sum(map(record_bytes, kept))
        before = self._blocks[number - 1] if number else None
        if before is not None and len(before) + len(kept) <= self._block_records:
            self._blocks[number - 1 : number + 1] = [before + kept]
            return len(block), number
        if not kept and len(self._blocks) > 1:
            del self._blocks[number]
            return len(block), number
        if len(kept) < len(block):
            self._blocks[number] = kept
        return len(block), number + 1

    def starts_after(self, number: int, revision: int) -> bool:
        """Whether the block holds nothing up to `revision`."""
        block = self._blocks[number]
        return not block or block[0].main > revision
