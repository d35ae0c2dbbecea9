"""`python -m apiserver`: check the flags, serve until SIGTERM, say in one line why not."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable

from apiserver.flags import FlagsError, parse_flags


def main(arguments: list[str] | None = None) -> int:
    """Run one API server. 0 after a clean stop, 1 when it cannot serve, 2 for wrong flags."""
    if not __debug__:
        return _refuse("our invariants are assertions; run without -O and PYTHONOPTIMIZE", 2)
    try:
        flags = parse_flags(sys.argv[1:] if arguments is None else arguments)
    except FlagsError as error:
        return _refuse(str(error), 2)
    logging.basicConfig(
        level=flags.log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    import uvloop

    from apiserver.server import StartError, serve

    async def run() -> None:
        stop = asyncio.Event()
        on_signal: Callable[[], None] = stop.set
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        await serve(flags, stop)

    try:
        uvloop.run(run())
    except StartError as error:
        return _refuse(str(error), 1)
    return 0


def _refuse(text: str, code: int) -> int:
    sys.stderr.write(f"apiserver: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
