"""Runs components as processes of their own and finds them again: pid files, logs, signals.

A pid file says `PID START`: a process counts as ours only if it also started at START, so that a
pid which the kernel has given to somebody else is never signalled. START is opaque; on Linux it is
the start in clock ticks since boot, elsewhere what `ps` prints.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from triplane.components import Component, DataDir
from triplane.errors import CommandError

LOG_BYTES_MAX = 16 << 20
"""A log this large is set aside as `.log.1` when its component starts; one such is kept."""
LOG_TAIL_BYTES = 8192
STOP_TIMEOUT_S = 10.0
"""How long a component may take to end after SIGTERM before it gets SIGKILL."""
_POLL_S = 0.02
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Running:
    """A process of ours. `log_offset` is where in its log it began to write, 0 if not known."""

    name: str
    pid: int
    started: str
    log_offset: int = 0


def start(component: Component, data: DataDir) -> Running:
    """Start a component in a session of its own; it outlives this process.

    Standard output and error are appended to its log. Raises CommandError if it cannot be started.
    """
    log = data.log_of(component.name)
    command = [
        *(*component.prefix, sys.executable, "-P", "-m", component.module),
        *component.flags,
    ]
    # Nothing may interrupt between the birth of a process and its pid file: it would be an orphan.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)
    try:
        offset = _prepare_log(log)
        pid = os.posix_spawnp(
            command[0],
            command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=_INTERRUPTIONS,
        )
        running = Running(component.name, pid, _start_time(pid) or "", offset)
        _write_pid_file(data.pid_file_of(component.name), running)
        return running
    except OSError as error:
        raise CommandError(
            f"cannot start {component.name}: {error.strerror}", f"look at {log}"
        ) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def find(name: str, data: DataDir) -> Running | None:
    """The running process of a component, None if its pid file is absent, or names another's."""
    try:
        pid_text, started = data.pid_file_of(name).read_text().split(maxsplit=1)
        running = Running(name, int(pid_text), started.strip())
    except (FileNotFoundError, ValueError):
        return None
    return running if is_alive(running) else None


def is_alive(running: Running) -> bool:
    """Whether the process still runs: neither gone, nor a zombie, nor replaced by another."""
    return bool(running.started) and _start_time(running.pid) == running.started


def send(running: Running, number: signal.Signals) -> bool:
    """Signal the process if it is still ours; says whether it was."""
    if not is_alive(running):
        return False
    try:
        os.kill(running.pid, number)
    except ProcessLookupError:
        return False
    return True


def stop(processes: Iterable[Running], data: DataDir, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """End all at once: SIGTERM, and SIGKILL for what still runs after `timeout_s`.

    Returns when all are gone. A stopped (SIGSTOP) process is continued first, or it could not end.
    """
    waiting = list(processes)
    for running in waiting:
        send(running, signal.SIGTERM)
        send(running, signal.SIGCONT)
    survivors = _await_end(waiting, timeout_s)
    for running in survivors:
        send(running, signal.SIGKILL)
    _await_end(survivors, timeout_s)
    for running in waiting:
        reap(running)
        data.pid_file_of(running.name).unlink(missing_ok=True)


def kill(running: Running, data: DataDir) -> None:
    """SIGKILL, no farewell. Returns when the process is gone."""
    send(running, signal.SIGKILL)
    _await_end([running], STOP_TIMEOUT_S)
    reap(running)
    data.pid_file_of(running.name).unlink(missing_ok=True)


def reap(running: Running) -> int | None:
    """The exit code of a process that this process started and that has ended, else None.

    Negative for a signal, as in `subprocess`.
    """
    with contextlib.suppress(ChildProcessError):
        pid, status = os.waitpid(running.pid, os.WNOHANG)
        if pid == running.pid:
            return os.waitstatus_to_exitcode(status)
    return None


def log_tail(running: Running, data: DataDir) -> list[str]:
    """The last lines, up to `LOG_TAIL_BYTES`, that this process wrote to its log."""
    try:
        with data.log_of(running.name).open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(running.log_offset, size - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return []


def last_log_line(running: Running, data: DataDir) -> str:
    """The last line that this process wrote to its log; empty if it wrote none."""
    lines = log_tail(running, data)
    return lines[-1].strip() if lines else ""


def _prepare_log(log: Path) -> int:
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return 0
    if size <= LOG_BYTES_MAX:
        return size
    log.replace(log.with_suffix(".log.1"))
    return 0


def _write_pid_file(path: Path, running: Running) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f"{running.pid} {running.started}\n")
    temporary.replace(path)


def _await_end(processes: Iterable[Running], timeout_s: float) -> list[Running]:
    deadline = time.monotonic() + timeout_s
    alive = [running for running in processes if is_alive(running)]
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        alive = [running for running in alive if is_alive(running)]
    return alive


def _start_time(pid: int) -> str | None:
    """When the process started, None if it is gone or a zombie."""
    if sys.platform != "linux":
        return _start_time_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name stands in parentheses and may hold anything; fields are counted after it.
    # A zombie whose other threads still die holds its files and ports yet: it counts as alive.
    state, *rest = stat.rpartition(")")[2].split()
    threads, started = int(rest[16]), rest[18]
    return None if state in "ZX" and threads <= 1 else started


def _start_time_by_ps(pid: int) -> str | None:
    listed = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = listed.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else " ".join(started.split())
