# Generated from _async/test_refresh_rounds.py by tools/unasync.py. Do not edit.
"""Rounds over the rows in use: by one process, in batches, at a rate, on a schedule; deletion and failure seen."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

import pytest
from _sync.racing import heard_by
from _sync.steps import Step, until
from patterns._sync.processes import TEN, cache_on, turned, weaken_fill
from patterns._sync.recording import Recording, people

from cachewright import MISSING, Cache, Policy
from cachewright._sync.leading import Leader
from cachewright._waits import threads
from cachewright.embedded import EmbeddedServer
from cachewright.patterns._sync.in_use import KeysInUse
from cachewright.patterns._sync.refresh_ahead import RefreshAhead
from cachewright.testing import FakeClock, RecordingListener

pytestmark = pytest.mark.usefixtures("patient")


# -------------------------------------------------------------------- rounds


def test_a_round_loads_all_rows_in_use_by_one_statement_a_batch(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, source = FakeClock(), Recording(people(*range(1, 8)))
    with (
        cache_on(server.url, namespace, clock) as a,
        cache_on(server.url, namespace, clock) as b,
    ):
        here, there = RefreshAhead(a, source), RefreshAhead(b, source)
        here.get_many([1, 2, 3])
        there.get_many([3, 4, 5])
        there._in_use.tell()
        clock.advance(5)
        source.rows |= {number: f"new {number}" for number in source.rows}
        source.statements.clear()
        done = here.refresh_in_use(batch=3)
        assert (done.led, done.in_use, done.loaded, done.absent, done.failed) == (True, 5, 5, 0, 0)
        assert sorted(map(len, source.statements)) == [2, 3]
        assert sorted(key for keys in source.statements for key in keys) == [1, 2, 3, 4, 5]
        clock.advance(9)
        for number in range(1, 6):
            assert here.get(number) == f"new {number}"
        assert len(source.statements) == 2, "they live from the round on"


def test_without_a_server_a_round_refreshes_what_this_process_uses() -> None:
    clock, source = FakeClock(), Recording(people(1, 2, 3))
    with Cache(clock=clock, policy=TEN) as cache:
        users = RefreshAhead(cache, source)
        users.get(1)
        clock.advance(30)
        users.get(2)
        clock.advance(5)
        source.rows[2] = "new"
        done = users.refresh_in_use(within=10)
        assert (done.in_use, done.loaded) == (1, 1)
        assert users.get(2) == "new"


def test_rows_that_nobody_asked_for_lately_are_left_to_expire(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, source = FakeClock(), Recording(people(1, 2))
    with cache_on(server.url, namespace, clock) as cache:
        users = RefreshAhead(cache, source)
        users.get(1)
        clock.advance(61)
        users.get(2)
        source.statements.clear()
        assert (users.refresh_in_use(within=60)).in_use == 1
        assert source.statements == [[2]]


def test_a_round_sees_what_was_deleted_and_forgets_it(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, source = FakeClock(), Recording(people(1, 2))
    with cache_on(server.url, namespace, clock) as cache:
        users = RefreshAhead(cache, source)
        users.get_many([1, 2])
        del source.rows[2]
        done = users.refresh_in_use()
        assert (done.loaded, done.absent) == (2, 1)
        assert (users.refresh_in_use()).in_use == 1
        assert users.get(2) is MISSING
        assert (cache.get_many([("users", 1), ("users", 2)])) == {("users", 1): people(1)[1]}


def test_a_round_revives_nothing_that_was_deleted_while_it_loaded(
    server: EmbeddedServer, namespace: str
) -> None:
    assert row_after_a_deletion_during_a_round(server, namespace) is MISSING


def test_a_round_whose_fills_ignore_their_lost_leases_revives_it(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_fill(monkeypatch)
    assert row_after_a_deletion_during_a_round(valkey, namespace) == people(1)[1]


def row_after_a_deletion_during_a_round(server: EmbeddedServer, namespace: str) -> Any:
    clock, source = FakeClock(), Recording(people(1, 2))
    with (
        cache_on(server.url, namespace, clock) as a,
        cache_on(server.url, namespace, clock) as b,
    ):
        users = RefreshAhead(a, source)
        users.get_many([1, 2])
        source.began.clear()
        source.gate.clear()
        step = Step(users.refresh_in_use)
        until(source.began.is_set)
        del source.rows[1]
        heard_by(a, lambda: b.invalidate(("users", 1)))
        source.gate.set()
        assert (step.result()).loaded == 2
        assert users.get(2) == people(2)[2]
        return users.get(1)


def test_one_process_at_a_time_makes_a_round(server: EmbeddedServer, namespace: str) -> None:
    assert processes_in_a_round(server, namespace) == 1


def test_without_a_leader_each_process_makes_a_round(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def always(self: Leader) -> bool:
        return True

    monkeypatch.setattr(Leader, "_take", always)
    assert processes_in_a_round(valkey, namespace) == 2


def processes_in_a_round(server: EmbeddedServer, namespace: str) -> int:
    clock, source = FakeClock(), Recording(people(1, 2))
    with (
        cache_on(server.url, namespace, clock) as a,
        cache_on(server.url, namespace, clock) as b,
    ):
        here, there = RefreshAhead(a, source), RefreshAhead(b, source)
        here.get(1)
        source.gate.clear()
        source.began.clear()
        step = Step(here.refresh_in_use)
        until(source.began.is_set)
        other = there.refresh_in_use()
        source.gate.set()
        return 1 + other.led if (step.result()).led else 0


def test_a_statement_that_fails_ends_no_round_and_its_rows_are_left_alone(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, source = FakeClock(), Recording(people(*range(1, 7)))
    with cache_on(server.url, namespace, clock) as cache:
        users = RefreshAhead(cache, source)
        users.get_many(range(1, 7))
        source.poison = {2}
        source.statements.clear()
        done = users.refresh_in_use(batch=2)
        assert (done.loaded, done.failed) == (4, 2)
        assert users.get(2) == people(2)[2], "what was there is still served"
        source.statements.clear()
        users.refresh_in_use(batch=2)
        assert sum(map(len, source.statements)) == 4, "the two have to wait"
        clock.advance(2)
        source.poison = set()
        assert (users.refresh_in_use(batch=2)).loaded == 6


@pytest.mark.parametrize(("per_second", "pauses"), [(2, 4), (None, 0)])
def test_a_round_keeps_to_its_rate_by_the_caches_clock(
    per_second: float | None, pauses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, source = FakeClock(), Recording(people(*range(10)))
    with Cache(clock=clock, policy=Policy(ttl=1000)) as cache:
        users = RefreshAhead(cache, source)
        users.get_many(range(10))
        load, times = source.load_many, list[float]()

        def timed(keys: Any) -> Any:
            times.append(clock.monotonic())
            return load(keys)

        def round_of_two() -> Any:
            return users.refresh_in_use(batch=2, per_second=per_second)

        monkeypatch.setattr(source, "load_many", timed)
        done = turned(clock, Step(round_of_two))
        assert (done.loaded, len(times)) == (10, 5)
        # A statement a second; the clock may run a little while one is made.
        assert sum(b - a >= 1 for a, b in itertools.pairwise(times)) == pauses


def test_the_list_of_rows_in_use_is_bounded_and_keeps_the_latest(
    server: EmbeddedServer, namespace: str
) -> None:
    clock = FakeClock()
    with cache_on(server.url, namespace, clock) as cache:
        used = KeysInUse(cache.engine, "users", most=3)
        for number in range(5):
            clock.advance(1)
            used.note(number)
        assert used.latest(60) == [4, 3, 2]
        for number in range(5, 7):
            clock.advance(1)
            used.note(number)
        assert used.latest(60) == [6, 5, 4]


def test_ids_of_every_kind_come_back_from_the_list_as_they_were(
    server: EmbeddedServer, namespace: str
) -> None:
    with cache_on(server.url, namespace, FakeClock()) as cache:
        used = KeysInUse(cache.engine, "users")
        identities = [1, "1", (7, "A"), UUID(int=5), b"x"]
        for identity in identities:
            used.note(identity)
        assert set(used.latest(60)) == set(identities)


# -------------------------------------------------------------------- schedule


def test_scheduled_rounds_are_led_by_one_process_until_it_is_gone(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, source = FakeClock(), Recording(people(1))
    policy = Policy(ttl=1000)
    a = cache_on(server.url, namespace, clock, policy=policy)
    b = cache_on(server.url, namespace, clock, policy=policy)
    here, there = RefreshAhead(a, source), RefreshAhead(b, source)
    with b:
        with a:
            here.get(1)
            here.schedule(1.0, within=1000)
            here.schedule(1.0, within=1000)
            for rounds in range(1, 4):
                clock.advance(1.01)
                until(lambda: len(source.statements) == 1 + rounds)  # noqa: B023
            there.schedule(1.0, within=1000)
            clock.advance(1.01)
            until(lambda: len(source.statements) == 5)
            threads.wall_sleep(0.1)
            assert len(source.statements) == 5, "one of the two"
        taken = len(source.statements)
        until_rounds_go_on(clock, source, taken)
    assert b.stats().load_errors == 0


def until_rounds_go_on(clock: FakeClock, source: Recording, taken: int) -> None:
    """The lease of the one that is gone runs out in real time."""
    for _ in range(100):
        clock.advance(1.01)
        threads.wall_sleep(0.05)
        if len(source.statements) > taken:
            return
    pytest.fail("nobody took over")


def test_who_led_the_rounds_and_closes_makes_room_at_once(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, source = FakeClock(), Recording(people(1))
    policy = Policy(ttl=1000)
    with cache_on(server.url, namespace, clock, policy=policy) as b:
        with cache_on(server.url, namespace, clock, policy=policy) as a:
            here = RefreshAhead(a, source)
            here.get(1)
            here.schedule(60.0)
            clock.advance(61)
            until(lambda: len(source.statements) == 2)
        RefreshAhead(b, source).schedule(60.0)
        clock.advance(61)
        until(lambda: len(source.statements) == 3)


def test_a_round_that_raises_does_not_end_the_schedule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, source, events = FakeClock(), Recording(people(1)), RecordingListener()
    with Cache(clock=clock, policy=Policy(ttl=1000), listeners=[events]) as cache:
        users = RefreshAhead(cache, source)
        users.get(1)
        latest, failures = users._in_use.latest, [ValueError("once")]

        def failing(within: float) -> Any:
            if failures:
                raise failures.pop()
            return latest(within)

        monkeypatch.setattr(users._in_use, "latest", failing)
        users.schedule(1.0)
        clock.advance(1.01)
        until(lambda: events.of("refresh_failed"))
        clock.advance(1.01)
        until(lambda: len(source.statements) == 2)


def test_with_the_server_gone_a_round_does_nothing_and_raises_nothing() -> None:
    with Cache("redis://127.0.0.1:1/0") as cache:
        users = RefreshAhead(cache, Recording(people(1)))
        assert users.get(1) == people(1)[1]
        assert not (users.refresh_in_use()).led
