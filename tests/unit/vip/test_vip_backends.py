"""Which backend gets a connection, and when one is given up."""

import pytest

from vip.backends import Backend, BackendAddress, Health, Pool
from vip.options import split_address
from vip.record import HolderRecord, parse_record, record_key, render_record


def pool_of(*healths: Health) -> Pool:
    pool = Pool(
        [BackendAddress("127.0.0.1", 1000 + n) for n in range(len(healths))], dead_after_s=3
    )
    for backend, health in zip(pool.backends, healths, strict=True):
        backend.health = health
    return pool


def chosen(pool: Pool, *tried: Backend) -> Backend:
    backend = pool.choose(tried)
    assert backend is not None
    return backend


def test_fewest_connections_win() -> None:
    pool = pool_of(Health.READY, Health.READY, Health.READY)
    pool.backends[0].connections = 2
    pool.backends[2].connections = 1
    assert chosen(pool) is pool.backends[1]


def test_equals_take_turns() -> None:
    pool = pool_of(Health.READY, Health.READY, Health.READY)
    assert [chosen(pool) for _ in range(6)] == pool.backends * 2


def test_silent_ones_are_the_last_resort() -> None:
    pool = pool_of(Health.SILENT, Health.READY)
    assert chosen(pool) is pool.backends[1]
    assert chosen(pool, pool.backends[1]) is pool.backends[0]


@pytest.mark.parametrize("health", [Health.DEAD, Health.DRAINING])
def test_dead_and_draining_ones_get_none(health: Health) -> None:
    assert pool_of(health, health).choose() is None


def test_a_silent_backend_dies_after_a_while_and_returns_with_an_answer() -> None:
    pool = pool_of(Health.READY)
    (backend,) = pool.backends
    healths = []
    for now in (10.0, 12.9, 13.0, 14.0):
        pool.on_silence(backend, now=now)
        healths.append(backend.health)
    assert healths == [Health.SILENT, Health.SILENT, Health.DEAD, Health.DEAD]
    pool.on_answer(backend, ready=True)
    pool.on_silence(backend, now=20.0)
    assert backend.health.value == "silent", "earlier silence is forgotten"


def test_an_answer_that_is_not_200_drains() -> None:
    pool = pool_of(Health.READY)
    assert pool.on_answer(pool.backends[0], ready=False)
    assert pool.backends[0].health is Health.DRAINING


def test_a_refusal_kills_at_once() -> None:
    pool = pool_of(Health.READY)
    assert pool.on_refused(pool.backends[0])
    assert pool.choose() is None


def test_record_survives_its_rendering() -> None:
    record = HolderRecord("cp1/17", "cp1", 17, "127.0.0.10:6443", "2026-01-02T03:04:05.678+00:00")
    assert parse_record(render_record(record)) == record
    assert record_key(record.address) == b"/triplane/vip/127.0.0.10:6443"


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b"\xff", b'{"holder": "x", "pid": "many"}'])
def test_other_values_are_no_record(value: bytes) -> None:
    with pytest.raises(ValueError, match="no holder's record"):
        parse_record(value)


def test_addresses() -> None:
    assert split_address("127.0.0.10:6443") == ("127.0.0.10", 6443)
    assert split_address("[::1]:6443") == ("::1", 6443)


@pytest.mark.parametrize("text", ["", "6443", "127.0.0.10", "127.0.0.10:0", "host:1", "1.2.3:1"])
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(ValueError):
        split_address(text)
