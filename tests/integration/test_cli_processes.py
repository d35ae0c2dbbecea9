"""Starting, finding and ending real processes; Python's `http.server` stands in for a component."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from triplane import processes
from triplane.components import Component, DataDir, Kind, Listener
from triplane.errors import CommandError
from triplane.probe import check_free, is_own_address, why_not_listening


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir(tmp_path)
    data.run.mkdir()
    data.logs.mkdir()
    return data


@pytest.fixture
def component() -> Component:
    with socket.socket() as probe:
        probe.bind(("127.0.27.101", 0))
        port = probe.getsockname()[1]
    return Component(
        name="apiserver-cp1",
        kind=Kind.APISERVER,
        node="cp1",
        module="http.server",
        flags=("--bind", "127.0.27.101", str(port)),
        listeners=(Listener("127.0.27.101", port, "the Kubernetes API"),),
    )


@pytest.fixture
def running(component: Component, data: DataDir) -> Iterator[processes.Running]:
    started = processes.start(component, data)
    while why_not_listening(component.listeners[0]) is not None:
        assert processes.is_alive(started), processes.last_log_line(started, data)
    yield started
    processes.stop([started], data)


def test_a_started_process_is_found_by_its_pid_file(
    running: processes.Running, data: DataDir
) -> None:
    found = processes.find("apiserver-cp1", data)
    assert found is not None
    assert (found.pid, found.started) == (running.pid, running.started)
    assert os.getsid(running.pid) == running.pid, "it must outlive the terminal that started it"


def test_stop_ends_it_and_removes_the_pid_file(running: processes.Running, data: DataDir) -> None:
    processes.stop([running], data)
    assert not processes.is_alive(running)
    assert processes.find("apiserver-cp1", data) is None
    assert not data.pid_file_of("apiserver-cp1").exists()


def test_a_suspended_process_can_be_stopped(running: processes.Running, data: DataDir) -> None:
    assert processes.send(running, signal.SIGSTOP)
    processes.stop([running], data, timeout_s=5)
    assert not processes.is_alive(running)


def test_kill_leaves_no_zombie_behind(running: processes.Running, data: DataDir) -> None:
    processes.kill(running, data)
    assert not processes.is_alive(running)
    with pytest.raises(ProcessLookupError):
        os.kill(running.pid, 0)


def test_a_pid_that_was_given_to_another_process_is_never_signalled(
    running: processes.Running, data: DataDir
) -> None:
    impostor = processes.Running("apiserver-cp1", running.pid, started="1")
    assert not processes.is_alive(impostor)
    assert not processes.send(impostor, signal.SIGKILL)
    data.pid_file_of("apiserver-cp1").write_text(f"{running.pid} 1\n")
    assert processes.find("apiserver-cp1", data) is None
    assert processes.is_alive(running)


@pytest.mark.parametrize("content", ["", "x y", "4194305 1", "-1 0"])
def test_a_damaged_pid_file_means_that_nothing_runs(data: DataDir, content: str) -> None:
    data.pid_file_of("vip-cp1").write_text(content)
    assert processes.find("vip-cp1", data) is None


def test_a_process_that_cannot_start_leaves_its_reason_in_its_log(
    component: Component, running: processes.Running, data: DataDir
) -> None:
    second = processes.start(component, data)
    while processes.is_alive(second):
        pass
    assert processes.reap(second) == 1
    assert processes.last_log_line(second, data).startswith("OSError: [Errno 98]")
    assert second.log_offset > 0, "the first one's lines are not the second's"


def test_a_log_that_grew_large_is_set_aside(component: Component, data: DataDir) -> None:
    log = data.log_of(component.name)
    with log.open("wb") as file:
        file.truncate(processes.LOG_BYTES_MAX + 1)
    started = processes.start(component, data)
    processes.stop([started], data)
    assert log.with_suffix(".log.1").stat().st_size == processes.LOG_BYTES_MAX + 1
    assert started.log_offset == 0


def test_a_taken_port_names_who_needs_it_and_what_for(
    component: Component, running: processes.Running
) -> None:
    (listener,) = component.listeners
    with pytest.raises(CommandError) as taken:
        check_free([component])
    assert taken.value.cause == (
        f"127.0.27.101:{listener.port} is taken, and apiserver-cp1 needs it for the Kubernetes API"
    )
    assert "--address-range" in taken.value.remedy


def test_an_address_of_another_machine_is_named(component: Component) -> None:
    elsewhere = Listener("192.0.2.1", 6443, "the Kubernetes API")
    foreign = Component("apiserver-cp9", Kind.APISERVER, "cp9", "http.server", (), (elsewhere,))
    with pytest.raises(
        CommandError, match=r"192\.0\.2\.1 is not an address of this machine, and a"
    ):
        check_free([foreign])
    assert not is_own_address("192.0.2.1")
    assert is_own_address("127.0.27.101")
