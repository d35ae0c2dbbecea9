"""Brings a cluster up and down and its components one by one: the owner of `DIR/run`.

Every change to what runs happens under `DIR/run/lock`, so that two commands never start the same
component. All calls block; run them in a thread where a loop must go on.
"""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pki.files import make_private_directory
from pki.issue import ensure_pki
from triplane import namespaces, processes
from triplane.components import Component, DataDir, Kind, plan_components
from triplane.configfile import load_topology, save_topology
from triplane.errors import CommandError, UsageError
from triplane.manifests import write_manifests
from triplane.probe import check_free, tls_context, why_not_listening, why_not_ready
from triplane.processes import Running
from triplane.topology import Network, Topology

READY_TIMEOUT_S = 60.0
"""How long a cluster may take to be ready on the slowest machine that we know of."""
LOCK_WAIT_S = 30.0
"""How long to wait for another command that starts or stops components; `up` does not wait."""
SOCKET_PATH_MAX = 103
"""What fits into `sun_path` everywhere: 104 bytes with its end on macOS, 108 on Linux."""
_POLL_S = 0.03


class Launcher:
    """The processes of one cluster, by component name (`raftstore-cp1`)."""

    def __init__(self, data_dir: Path, topology: Topology) -> None:
        self.data = DataDir(data_dir.absolute())
        self.topology = topology
        self.components = plan_components(topology, self.data)
        self._by_name = {component.name: component for component in self.components}
        self._started: dict[str, Running] = {}

    @classmethod
    def of_data_dir(cls, data_dir: Path) -> "Launcher":
        """The launcher of the cluster that lives there. CommandError if none does."""
        topology = load_topology(data_dir)
        if topology is None:
            raise CommandError(f"no cluster lives in {data_dir}", "create one with `triplane up`")
        return cls(data_dir, topology)

    def component(self, name: str) -> Component:
        """The component of this name. UsageError if the cluster has none."""
        if name not in self._by_name:
            raise UsageError(
                f"no component is named {name}", f"choose of {', '.join(self._by_name)}"
            )
        return self._by_name[name]

    def running(self) -> dict[str, Running]:
        """What runs now, by component name, in starting order."""
        found = ((component.name, self.find(component.name)) for component in self.components)
        return {name: running for name, running in found if running is not None}

    def find(self, name: str) -> Running | None:
        """The running process of a component; None if it does not run."""
        started = self._started.get(name)
        if started is not None and processes.is_alive(started):
            return started
        return processes.find(name, self.data)

    def up(self, *, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Start every component and return when all serve and the virtual IP answers /readyz.

        Issues missing certificates first. Raises CommandError or PkiError and then leaves nothing
        running that was not running before.
        """
        with self._lock(wait_s=0):
            self._check_not_running()
            self._check_free(self.components)
            self._prepare()
            try:
                if self.topology.network is Network.NETNS:
                    namespaces.set_up(self.topology, self.data.root)
                for component in self.components:
                    self._start(component)
                self._wait_all_ready(timeout_s)
            except BaseException:
                self._stop_all()
                raise

    def down(self) -> tuple[str, ...]:
        """Stop every component that runs, clients before servers; returns their names."""
        with self._lock():
            return self._stop_all()

    def start(self, name: str, *, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Start one component that does not run and return when it serves."""
        component = self.component(name)
        with self._lock():
            if self.find(name) is not None:
                raise CommandError(f"{name} already runs", "stop it first to start it anew")
            if component.kind is not Kind.VIP:  # which another agent may rightly hold
                self._check_free([component])
            running = self._start(component)
        self._wait_serving(component, running, timeout_s)

    def stop(self, name: str) -> None:
        """End one component with SIGTERM. CommandError if it does not run."""
        self.component(name)
        with self._lock():
            processes.stop([self._require(name)], self.data)

    def kill(self, name: str) -> None:
        """End one component with SIGKILL: the fault, not the farewell."""
        self.component(name)
        with self._lock():
            processes.kill(self._require(name), self.data)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send one component a signal, say SIGSTOP and SIGCONT. CommandError if it does not run."""
        self.component(name)
        processes.send(self._require(name), number)

    def ended(self) -> list[tuple[Running, int | None]]:
        """Components that this launcher started and that died since, each told once.

        With the exit code, negative for a signal. Those that were stopped in order are not among
        them: they exit with 0, or their pid file is gone.
        """
        dead = [running for running in self._started.values() if not processes.is_alive(running)]
        told = []
        for running in dead:
            del self._started[running.name]
            code = processes.reap(running)
            if code != 0 and self._pid_file_names(running):
                told.append((running, code))
        return told

    def last_log_line(self, running: Running) -> str:
        """The last line that this process logged; empty if none."""
        return processes.last_log_line(running, self.data)

    def _prepare(self) -> None:
        now = datetime.now(UTC)
        if self.topology.peer_proxy and len(str(self.data.proxy_control)) > SOCKET_PATH_MAX:
            raise CommandError(
                f"{self.data.proxy_control} is too long for a socket's path",
                f"choose a --data-dir whose path is at most {SOCKET_PATH_MAX - 20} characters long",
            )
        ensure_pki(
            self.data.root,
            self.topology.certificate_names(),
            now=now,
            algorithm=self.topology.key_algorithm,
        )
        for member in self.topology.members:
            make_private_directory(self.data.store_of(member.name))
        write_manifests(self.data.manifests, self.components)
        save_topology(self.data.root, self.topology)

    def _check_free(self, components: Sequence[Component]) -> None:
        # A namespace that is yet to be made has every port free.
        if self.topology.network is not Network.NETNS:
            check_free(components)

    def _check_not_running(self) -> None:
        running = self.running()
        if running:
            what = f"{len(running)} of {len(self.components)} components"
            raise CommandError(
                f"the cluster in {self.data.root} already runs ({what})",
                "see `triplane status`, or end it with `triplane down`",
            )

    def _start(self, component: Component) -> Running:
        running = processes.start(component, self.data)
        self._started[component.name] = running
        return running

    def _require(self, name: str) -> Running:
        running = self.find(name)
        if running is None:
            raise CommandError(f"{name} does not run", f"start it with `triplane start {name}`")
        return running

    def _stop_all(self) -> tuple[str, ...]:
        stopped: list[str] = []
        for kinds in ((Kind.VIP, Kind.APISERVER), (Kind.RAFTSTORE,), (Kind.PEER_PROXY,)):
            group = [
                running
                for name, running in self.running().items()
                if self._by_name[name].kind in kinds
            ]
            processes.stop(group, self.data)
            stopped += [running.name for running in group]
        for component in self.components:  # killed ones leave theirs behind
            self.data.pid_file_of(component.name).unlink(missing_ok=True)
        self._started.clear()
        if self.topology.network is Network.NETNS:
            namespaces.tear_down(self.topology, self.data.root)
        return tuple(stopped)

    def _wait_all_ready(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        context = tls_context(self.data.pki / "ca.crt")
        vip = (self.topology.vip_host, self.topology.vip_port)
        while (reason := why_not_ready(*vip, context)) is not None:
            self._check_alive()
            _check_time(deadline, f"{self.topology.vip_url}/readyz", reason, self.data.logs)
            time.sleep(_POLL_S)
        for component in self.components:
            remaining_s = deadline - time.monotonic()
            self._wait_serving(component, self._started[component.name], remaining_s)

    def _wait_serving(self, component: Component, running: Running, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while (reason := self._why_not_serving(component, running)) is not None:
            self._check_process(running)
            _check_time(deadline, component.name, reason, self.data.log_of(component.name))
            time.sleep(_POLL_S)
        self._check_process(running)

    def _why_not_serving(self, component: Component, running: Running) -> str | None:
        match component.kind:
            case Kind.APISERVER:
                (listener,) = component.listeners
                context = tls_context(self.data.pki / "ca.crt")
                return why_not_ready(listener.host, listener.port, context)
            case Kind.RAFTSTORE | Kind.PEER_PROXY:
                reasons = map(why_not_listening, component.listeners)
                return next((reason for reason in reasons if reason is not None), None)
            case Kind.VIP:  # one that stands by shows nothing outside, so its log must tell
                lines = processes.log_tail(running, self.data)
                is_ready = any(" ready " in line for line in lines)
                return None if is_ready else "it has not said that it is ready"

    def _check_alive(self) -> None:
        for running in self._started.values():
            self._check_process(running)

    def _check_process(self, running: Running) -> None:
        if processes.is_alive(running):
            return
        code = processes.reap(running)
        how = "" if code is None else f" with exit code {code}"
        line = self.last_log_line(running) or "it logged nothing"
        raise CommandError(
            f"{running.name} ended{how}: {line}", f"its log is {self.data.log_of(running.name)}"
        )

    def _pid_file_names(self, running: Running) -> bool:
        # Whoever stops a component on purpose removes its pid file.
        try:
            return self.data.pid_file_of(running.name).read_text().split()[:1] == [str(running.pid)]
        except FileNotFoundError:
            return False

    @contextlib.contextmanager
    def _lock(self, *, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        for directory in (self.data.run, self.data.logs):
            make_private_directory(directory)
        try:
            descriptor = os.open(self.data.run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CommandError(
                f"cannot write {self.data.run}: {error.strerror}", "choose a writable --data-dir"
            ) from error
        try:
            _lock_or_refuse(descriptor, self.data.root, wait_s)
            yield
        finally:
            os.close(descriptor)


def _lock_or_refuse(descriptor: int, root: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise CommandError(
                    f"another command is starting or stopping components in {root}",
                    "wait until it is done",
                ) from error
        time.sleep(_POLL_S)


def _check_time(deadline: float, what: str, reason: str, log: Path) -> None:
    if time.monotonic() >= deadline:
        raise CommandError(f"{what} does not answer: {reason}", f"look into {log}")
