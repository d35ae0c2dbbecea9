"""Callers that wait for their command: queued, handed to Raft in batches, answered once applied.

Owns every waiting proposal of this member and the truth about its outcome. The rule for a lost one:
Raft appends a proposal only in the term in which it was handed over (a forwarded one carries its
term, and any other leader drops it), and terms in a log never fall. So once an entry of a later
term is applied here, a proposal not applied by then is definitely not done, now or ever.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from raftstore import errors
from raftstore.config import Limits
from raftstore.errors import StoreError
from raftstore.pb.command_pb2 import Command, ConfChange

T = TypeVar("T")

_COMMANDS_TAG = b"\x0a"
"""Field 1 of CommandBatch, length-delimited: a batch is put together from encoded commands."""

RETRY_S = 0.03
"""How long a batch that Raft or the network would not take waits before it is offered again."""


@dataclasses.dataclass(slots=True)
class Waiting(Generic[T]):
    """One caller. `term` is 0 while the command is queued, then that of its being handed over."""

    command_id: int
    data: bytes
    future: asyncio.Future[T]
    asked_at: float
    term: int = 0


class Proposals(Generic[T]):
    """Waiting proposals in order. Times are the loop's seconds; ids are unique on this member."""

    def __init__(self, limits: Limits, *, first_id: int, timeout_s: float) -> None:
        self._limits = limits
        self._timeout_s = timeout_s
        self._next_id = first_id
        self._queue: deque[Waiting[T]] = deque()
        self._queued_bytes = 0
        self._handed: dict[int, Waiting[T]] = {}
        self._batch_left = 0
        self._batch_at = 0.0
        self._batch_ids: frozenset[int] = frozenset()
        self._hold_until = 0.0

    def __len__(self) -> int:
        return len(self._queue) + len(self._handed)

    def add(self, command: Command | ConfChange, future: asyncio.Future[T], now: float) -> None:
        """Queue a command under a new id. Raises StoreError when a bound is reached."""
        self._next_id = (self._next_id + 1) & 0xFFFF_FFFF_FFFF_FFFF
        command.id = self._next_id
        data = command.SerializeToString()
        if (
            len(self) >= self._limits.waiting_proposals_max
            or self._queued_bytes + len(data) > self._limits.waiting_proposal_bytes_max
        ):
            raise errors.too_many_requests()
        self._queue.append(Waiting(command.id, data, future, now))
        self._queued_bytes += len(data)

    def may_send(self, now: float, patience_s: float) -> bool:
        """Whether there is a batch that should go: none is on its way, or one has been for long."""
        if not self._queue or now < self._hold_until:
            return False
        return self._batch_left == 0 or now - self._batch_at > patience_s

    def next_batch(self) -> list[Waiting[T]]:
        """Take from the queue what fits one batch. The caller hands it over or gives it back."""
        batch: list[Waiting[T]] = []
        size = 0
        while self._queue and len(batch) < self._limits.batch_commands_max:
            waiting = self._queue[0]
            if waiting.future.done():  # its caller gave up
                self._queue.popleft()
                self._queued_bytes -= len(waiting.data)
                continue
            if batch and size + len(waiting.data) > self._limits.batch_bytes_max:
                break
            self._queue.popleft()
            self._queued_bytes -= len(waiting.data)
            size += len(waiting.data)
            batch.append(waiting)
        return batch

    def handed_over(self, batch: Sequence[Waiting[T]], term: int, now: float) -> None:
        """Raft took the batch in `term`: from here on its outcome is open."""
        for waiting in batch:
            waiting.term = term
            self._handed[waiting.command_id] = waiting
        self._batch_ids = frozenset(waiting.command_id for waiting in batch)
        self._batch_left = len(batch)
        self._batch_at = now

    def give_back(self, batch: Sequence[Waiting[T]], now: float) -> None:
        """The batch surely went nowhere: it waits again, before all others, for a little while."""
        self._hold_until = now + RETRY_S
        for waiting in reversed(batch):
            waiting.term = 0
            self._queue.appendleft(waiting)
            self._queued_bytes += len(waiting.data)

    def not_sent(self, command_ids: Sequence[int], now: float) -> None:
        """Commands that were handed over never left this member: they wait again."""
        batch = [self._handed.pop(number) for number in command_ids if number in self._handed]
        self._batch_left = 0
        self.give_back(batch, now)

    def applied(self, command_id: int, result: T) -> None:
        """A command was applied: answer whoever waits for it here."""
        waiting = self._handed.pop(command_id, None)
        if waiting is None:
            return
        if command_id in self._batch_ids:
            self._batch_left -= 1
        if not waiting.future.done():
            waiting.future.set_result(result)

    def term_applied(self, term: int, *, complete: bool) -> None:
        """An entry of `term` was applied: proposals of earlier terms will never be.

        With `complete` False a snapshot that ends in `term` skipped entries: then nobody here
        knows their outcome, nor that of proposals of `term` itself, and nobody ever will.
        """
        before = term if complete else term + 1
        lost = [waiting for waiting in self._handed.values() if waiting.term < before]
        for waiting in lost:
            self._end(waiting, errors.leader_changed(definite=complete))

    def expire(self, now: float) -> None:
        """Fail what has waited longer than the request timeout."""
        deadline = now - self._timeout_s
        while self._queue and self._queue[0].asked_at < deadline:
            self._drop_queued(errors.timed_out(definite=True))
        late = [waiting for waiting in self._handed.values() if waiting.asked_at < deadline]
        for waiting in late:
            self._end(waiting, errors.timed_out(definite=False))

    def no_leader(self, asked_before: float) -> None:
        """No leader has been known for long: fail what was asked before `asked_before`.

        What is queued surely did not happen; what was handed over may have.
        """
        while self._queue and self._queue[0].asked_at < asked_before:
            self._drop_queued(errors.no_leader())
        held = [waiting for waiting in self._handed.values() if waiting.asked_at < asked_before]
        for waiting in held:
            self._end(waiting, errors.timed_out_leader_failure(definite=False))

    def refuse_queued(self, refusal: Callable[[], StoreError]) -> None:
        """Fail whatever was not handed over yet: there is no room for it."""
        while self._queue:
            self._drop_queued(refusal())

    def stop(self) -> None:
        """This member stops: fail everything."""
        while self._queue:
            self._drop_queued(errors.stopped(definite=True))
        for waiting in list(self._handed.values()):
            self._end(waiting, errors.stopped(definite=False))

    def _drop_queued(self, error: StoreError) -> None:
        waiting = self._queue.popleft()
        self._queued_bytes -= len(waiting.data)
        if not waiting.future.done():
            waiting.future.set_exception(error)

    def _end(self, waiting: Waiting[T], error: StoreError) -> None:
        del self._handed[waiting.command_id]
        if waiting.command_id in self._batch_ids:
            self._batch_left -= 1
        if not waiting.future.done():
            waiting.future.set_exception(error)


def encode_command_batch(batch: Sequence[Waiting[T]]) -> bytes:
    """The CommandBatch of these commands, from their own encodings."""
    parts: list[bytes] = []
    for waiting in batch:
        parts += (_COMMANDS_TAG, _varint(len(waiting.data)), waiting.data)
    return b"".join(parts)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
