"""Callers that wait to read what was acknowledged before they asked: shared ReadIndex rounds.

Owns the rounds of this member (Raft thesis §6.4). A caller is served only by a round that started
after it came; all that come while a round is under way share the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from raftstore import errors
from raftstore.config import Limits
from raftstore.errors import StoreError


class ReadRounds:
    """Waiting reads. Times are the loop's seconds. Contexts are unique across restarts."""

    def __init__(
        self, limits: Limits, *, context_prefix: bytes, timeout_s: float, retry_s: float
    ) -> None:
        self._limits = limits
        self._prefix = context_prefix
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._count = 0
        self._round: list[tuple[float, asyncio.Future[None]]] = []
        self._contexts: set[bytes] = set()
        self._asked_at = 0.0
        self._waiting: list[tuple[float, asyncio.Future[None]]] = []
        self._confirmed: deque[tuple[int, list[tuple[float, asyncio.Future[None]]]]] = deque()
        self._size = 0

    def add(self, future: asyncio.Future[None], now: float) -> None:
        """Queue a caller for the next round. Raises StoreError when too many wait."""
        if self._size >= self._limits.waiting_reads_max:
            raise errors.too_many_requests()
        self._size += 1
        future.add_done_callback(self._on_done)
        self._waiting.append((now, future))

    def _on_done(self, _future: asyncio.Future[None]) -> None:
        self._size -= 1

    def next_context(self, now: float, *, has_leader: bool) -> bytes | None:
        """The context to ask Raft with now, or None if nothing is to be asked.

        Starts a round when none is under way; asks again when the last question went unanswered.
        """
        if not has_leader:
            return None
        if not self._round:
            if not self._waiting:
                return None
            self._round, self._waiting = self._waiting, []
            self._contexts = set()
        elif self._contexts and now - self._asked_at < self._retry_s:
            return None
        self._count += 1
        context = self._prefix + self._count.to_bytes(8, "big")
        self._contexts.add(context)
        self._asked_at = now
        return context

    def confirmed(self, context: bytes, index: int) -> None:
        """Raft answered: the round may be served once `index` is applied."""
        if context in self._contexts:
            self._confirmed.append((index, self._round))
            self._round, self._contexts = [], set()

    def aborted(self, context: bytes) -> None:
        """Raft will not answer this question: ask anew as soon as a leader is known."""
        self._contexts.discard(context)

    def applied(self, index: int) -> None:
        """This member has applied everything up to `index`: serve the rounds it covers."""
        while self._confirmed and self._confirmed[0][0] <= index:
            _, served = self._confirmed.popleft()
            for _, future in served:
                if not future.done():
                    future.set_result(None)

    def expire(self, now: float) -> None:
        """Fail callers that have waited longer than the request timeout."""
        deadline = now - self._timeout_s
        self._fail_older(deadline, lambda: errors.timed_out(definite=True))
        for _, served in self._confirmed:
            for asked_at, future in served:
                if asked_at < deadline and not future.done():
                    future.set_exception(errors.timed_out_applied_index())

    def no_leader(self, asked_before: float) -> None:
        """No leader has been known for long: fail callers that came before `asked_before`."""
        self._fail_older(asked_before, errors.no_leader)

    def stop(self) -> None:
        """This member stops: fail everybody."""
        for waiting in (self._round, self._waiting, *(served for _, served in self._confirmed)):
            for _, future in waiting:
                if not future.done():
                    future.set_exception(errors.stopped(definite=True))

    def _fail_older(self, deadline: float, error: Callable[[], StoreError]) -> None:
        for waiting in (self._round, self._waiting):
            for asked_at, future in waiting:
                if asked_at < deadline and not future.done():
                    future.set_exception(error())
        self._waiting = [item for item in self._waiting if not item[1].done()]
        self._round = [item for item in self._round if not item[1].done()]
