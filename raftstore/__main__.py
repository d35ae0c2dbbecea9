"""`python -m raftstore`: one member in the foreground, from etcd's flags, until SIGTERM or SIGINT.

Exit codes: 0 stopped in order, 1 could not start or go on, 2 wrong flags.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence

from raftstore.config import ConfigError
from raftstore.flags import Options, parse

SWITCH_INTERVAL_S = 0.001
"""How long a thread may keep another waiting for the interpreter: those that wait for the disk and
for gRPC wake often and are quickly done. Python's 5 ms cost a lone writer a tenth of its speed."""


def main(arguments: Sequence[str]) -> int:
    """Run a member; returns the process's exit code."""
    if not __debug__:
        return _refuse("python -O is refused: the store's invariants are assertions", 2)
    try:
        options = parse(arguments)
    except ConfigError as error:
        return _refuse(str(error), 2)
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # gRPC's core writes its own lines about what we report ourselves.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return _run(options)


def _run(options: Options) -> int:
    import uvloop

    from raftstore.server import StartError

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve_until_signalled(options))
    except ConfigError as error:
        return _refuse(str(error), 2)
    except StartError as error:
        return _refuse(str(error), 1)
    return 0


async def _serve_until_signalled(options: Options) -> None:
    from raftstore.server import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(options, stop)


def _refuse(text: str, code: int) -> int:
    sys.stderr.write(f"raftstore: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
