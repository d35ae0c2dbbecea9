"""The loop around the election: starts what it decides, reports back what came of it.

Owns the election, the address and the balancer. Every call is a task of one TaskGroup, and the
election allows one of each kind at a time, so that all of it is bounded.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import assert_never

from vip.balancer import Balancer
from vip.election import (
    Action,
    Bind,
    Call,
    Claim,
    Election,
    Extend,
    Grant,
    KeepAlive,
    LeaseId,
    LetGo,
    Probe,
    Read,
    Revoke,
)
from vip.health import HealthChecker
from vip.loopback import AddressError, OwnedAddress
from vip.record import HolderRecord, render_record
from vip.store import RecordStore, StoreError

log = logging.getLogger(__name__)

TICK_S = 0.05
"""The election is asked at least this often; far less than the margin of the shortest lease."""
STOP_TIMEOUT_S = 2.0
"""How long a stopping agent waits for its lease to be revoked."""
REPEAT_WARNING_S = 5.0


def boot_time() -> float:
    """Seconds of a clock that goes on in suspension, where there is one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Agent:
    """One node's agent. `run` returns after `stop`, when the address is let go."""

    def __init__(
        self,
        *,
        node: str,
        address: str,
        election: Election,
        store: RecordStore,
        owned: OwnedAddress,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        self._node = node
        self._address = address
        self._election = election
        self._store = store
        self._owned = owned
        self._clock = clock
        self._changed = asyncio.Event()
        self._warned_at: dict[str, float] = {}

    def stop(self) -> None:
        """Let go of the address and the lease, then return from `run`."""
        self._election.stop()
        self._changed.set()

    async def run(self, balancer: Balancer, checker: HealthChecker) -> None:
        """Take part in the election until stopped; serve while holding."""
        try:
            async with asyncio.TaskGroup() as calls:
                stop_by: float | None = None
                while not self._election.is_idle:
                    for action in self._election.decide(self._clock()):
                        self._do(action, calls, balancer, checker)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(TICK_S):
                            await self._changed.wait()
                    self._changed.clear()
                    if self._election.stopping:
                        stop_by = stop_by or self._clock() + STOP_TIMEOUT_S
                        if self._clock() > stop_by:
                            log.warning("the lease could not be revoked in time; it will run out")
                            break
        finally:
            balancer.stop()
            self._owned.let_go()

    def _do(
        self,
        action: Action,
        calls: asyncio.TaskGroup,
        balancer: Balancer,
        checker: HealthChecker,
    ) -> None:
        match action:
            case LetGo(reason):
                balancer.stop()
                checker.stop()
                self._owned.let_go()
                log.warning("let go of %s: %s", self._address, reason)
                return
            case Grant(ttl_s):
                call = self._grant(ttl_s)
            case KeepAlive(lease):
                call = self._keep_alive(lease)
            case Read():
                call = self._read()
            case Claim(lease, mod_revision):
                call = self._claim(lease, mod_revision)
            case Revoke(lease):
                call = self._revoke(lease)
            case Probe():
                call = self._probe()
            case Bind(deadline):
                call = self._bind(deadline, balancer, checker)
            case Extend(deadline):
                call = self._extend(deadline)
            case _:
                assert_never(action)
        calls.create_task(self._then_decide(call), name=type(action).__name__)

    async def _then_decide(self, call: Coroutine[None, None, None]) -> None:
        await call
        self._changed.set()

    async def _grant(self, ttl_s: int) -> None:
        sent_at = self._clock()
        try:
            lease, granted_s = await self._store.grant(ttl_s)
        except StoreError as error:
            self._fail(Call.GRANT, error)
        else:
            self._election.on_granted(lease, granted_s, sent_at=sent_at)

    async def _keep_alive(self, lease: LeaseId) -> None:
        sent_at = self._clock()
        try:
            ttl_s = await self._store.keep_alive(lease)
        except StoreError as error:
            self._fail(Call.KEEP_ALIVE, error)
        else:
            self._election.on_renewed(lease, ttl_s, sent_at=sent_at)

    async def _read(self) -> None:
        try:
            found = await self._store.read()
        except StoreError as error:
            self._fail(Call.READ, error)
        else:
            now = self._clock()
            self._election.on_read(found.mod_revision, found.lease, now=now, call=Call.READ)

    async def _claim(self, lease: LeaseId, mod_revision: int) -> None:
        value = render_record(
            HolderRecord(
                holder=f"{self._node}/{os.getpid()}",
                node=self._node,
                pid=os.getpid(),
                address=self._address,
                since=datetime.now(UTC).isoformat(timespec="milliseconds"),
            )
        )
        try:
            found = await self._store.claim(value, lease, mod_revision)
        except StoreError as error:
            self._fail(Call.CLAIM, error)
            return
        self._election.on_read(found.mod_revision, found.lease, now=self._clock(), call=Call.CLAIM)
        if found.claimed:
            log.info("claimed %s at revision %d", self._address, found.mod_revision)

    async def _revoke(self, lease: LeaseId) -> None:
        try:
            await self._store.revoke(lease)
        except StoreError as error:
            self._warn("revoke", error)  # it will run out by itself
        self._election.on_revoked()

    async def _probe(self) -> None:
        sent_at = self._clock()
        refused = await self._owned.is_refused()
        self._election.on_probed(refused=refused, sent_at=sent_at)

    async def _bind(self, deadline: float, balancer: Balancer, checker: HealthChecker) -> None:
        try:
            listener = await self._owned.take(deadline)
        except AddressError as error:
            self._fail(Call.BIND, error)
            return
        await balancer.serve(listener)
        checker.start()
        self._election.on_bound()
        log.info("holds %s", self._address)

    async def _extend(self, deadline: float) -> None:
        try:
            await self._owned.extend(deadline)
        except AddressError as error:
            self._warn("extend", error)

    def _fail(self, call: Call, error: Exception) -> None:
        self._warn(call.value, error)
        self._election.on_failed(call, now=self._clock())

    def _warn(self, what: str, error: Exception) -> None:
        now = self._clock()
        if now - self._warned_at.get(what, -REPEAT_WARNING_S) >= REPEAT_WARNING_S:
            self._warned_at[what] = now
            log.warning("%s: %s", what, error)
