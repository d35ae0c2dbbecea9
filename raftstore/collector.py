"""Python's cyclic garbage collector, kept from looking at the key space.

A full collection visits every record that the store holds, longer than a heartbeat with some
100,000 keys, and finds nothing: records are in no cycles. So what has settled is frozen
(`gc.freeze`), and the rest is collected in small steps.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

THRESHOLDS = (5_000, 10, 1_000)
"""Allocations before a young collection; those before a middle one; those before a full one."""
SETTLE_RECORDS = 50_000
LOOK_EVERY_S = 5.0


def settle() -> None:
    """All that lives now is here to stay: never look at it again."""
    gc.collect(1)
    gc.freeze()


async def keep_settled(count_records: Callable[[], int]) -> None:
    """Tune the collector, and freeze the records that come in at run time. Ends by cancellation."""
    gc.set_threshold(*THRESHOLDS)
    settle()
    settled = count_records()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        records = count_records()
        if abs(records - settled) >= SETTLE_RECORDS:
            settle()
            settled = records
