"""One member as a process of its own, so that it can be killed for real.

Reads its configuration (a pickled NodeConfig) from the file named on the command line, and writes
keys for as long as it leads: one line on stdout for each acknowledged key.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from pathlib import Path

from raftstore.config import NodeConfig
from raftstore.errors import StoreError
from raftstore.raft.types import Role
from tests.support.nodes import Member, put, until

WRITERS = 16


async def main(config: NodeConfig) -> None:
    node = await Member(config).start()
    await until(lambda: node.status().role is Role.LEADER, timeout_s=3_600)

    async def write(writer: int) -> None:
        number = 0
        while True:
            key = f"{config.name}-{writer}-{number}"
            number += 1
            try:
                await node.propose(put(key.encode(), key.encode()))
            except StoreError:
                continue
            sys.stdout.write(key + "\n")
            sys.stdout.flush()

    async with asyncio.TaskGroup() as writers:
        for writer in range(WRITERS):
            writers.create_task(write(writer))


if __name__ == "__main__":
    asyncio.run(main(pickle.loads(Path(sys.argv[1]).read_bytes())))
