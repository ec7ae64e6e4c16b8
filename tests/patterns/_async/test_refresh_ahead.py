# Refresh-ahead, the door.
"""Refresh-ahead: early, once in the fleet, hot rows only, deletion seen, bounded, backing off."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from _async.mutants import weaken_script
from _async.pairs import idle
from _async.racing import heard_by
from _async.steps import until
from patterns._async.processes import TEN, cache_on, weaken_fill
from patterns._async.recording import AsyncRecording, people

from cachewright import MISSING, AsyncCache, ConfigurationError, Policy
from cachewright._waits import aio
from cachewright.embedded import EmbeddedServer
from cachewright.patterns._async.refresh_ahead import AsyncRefreshAhead
from cachewright.testing import FakeClock, RecordingListener

pytestmark = pytest.mark.usefixtures("patient")


# -------------------------------------------------------------------- early


@pytest.mark.parametrize(("at", "loads"), [(7.9, 1), (8.1, 2)])
async def test_defect_45_a_hit_late_in_the_rows_own_life_refreshes_it(
    at: float, loads: int
) -> None:
    clock = FakeClock()
    async with AsyncCache(clock=clock, policy=Policy(ttl=300)) as cache:
        source = AsyncRecording(people(1))
        users = AsyncRefreshAhead(cache, source, policy=TEN, ahead=0.8, beta=0.0, hot=1)
        await users.get(1)
        clock.advance(at)
        source.rows[1] = "new"
        assert await users.get(1) == people(1)[1], "nobody waits"
        await idle(cache)
        assert len(source.statements) == loads
        assert await users.get(1) == ("new" if loads == 2 else people(1)[1])


async def test_defect_47_a_dear_row_is_refreshed_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    """A load of 1 s, a draw of e⁻² and beta 1 make 2 s."""
    assert await loads_two_seconds_before_the_end(1.0, monkeypatch) == 2


async def test_without_beta_a_dear_row_is_refreshed_no_earlier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await loads_two_seconds_before_the_end(0.0, monkeypatch) == 1


async def loads_two_seconds_before_the_end(beta: float, monkeypatch: pytest.MonkeyPatch) -> int:
    clock = FakeClock()
    async with AsyncCache(clock=clock, policy=TEN) as cache:
        monkeypatch.setattr(cache.engine, "draw", lambda: math.exp(-2))
        source = AsyncRecording(people(1))
        users = AsyncRefreshAhead(cache, source, ahead=0.99, beta=beta, hot=1)
        load = source.load

        async def dear(key: Any) -> Any:
            clock.advance(1)
            return await load(key)

        monkeypatch.setattr(source, "load", dear)
        await users.get(1)
        clock.advance(8.5)
        await users.get(1)
        await idle(cache)
        return len(source.statements)


# -------------------------------------------------------------------- one in the fleet


async def test_defect_42_three_processes_refresh_a_row_once(
    valkey: EmbeddedServer, namespace: str
) -> None:
    assert await refreshes_of_three_processes(valkey, namespace) == 1


async def test_defect_42_without_the_lease_each_process_refreshes_it(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "acquire", "if not held then", "if true then")
    assert await refreshes_of_three_processes(valkey, namespace) == 3


async def refreshes_of_three_processes(server: EmbeddedServer, namespace: str) -> int:
    clock, source = FakeClock(), AsyncRecording(people(1))
    caches = [cache_on(server.url, namespace, clock) for _ in range(3)]
    users = [AsyncRefreshAhead(cache, source, beta=0.0, hot=1) for cache in caches]
    try:
        for each in users:
            await each.get(1)
        clock.advance(8.5)
        source.gate.clear()
        for each in users:
            await each.get(1)
        await until(lambda: sum(cache.stats().refreshes for cache in caches) == 3)
        await until(lambda: any(cache._refresher._running for cache in caches))
        await until(lambda: len(source.statements) + waiting(caches) >= 4)
        source.gate.set()
        for cache in caches:
            await idle(cache)
        return len(source.statements) - 1
    finally:
        source.gate.set()
        for cache in caches:
            await cache.aclose()


def waiting(caches: list[AsyncCache]) -> int:
    """How many refreshes have ended already: those that found the lease taken."""
    return sum(not cache._refresher._running for cache in caches)


# -------------------------------------------------------------------- hot rows only


async def test_only_rows_that_were_hit_often_enough_in_their_present_life_are_refreshed() -> None:
    clock = FakeClock()
    async with AsyncCache(clock=clock, policy=TEN) as cache:
        source = AsyncRecording(people(1, 2))
        users = AsyncRefreshAhead(cache, source, beta=0.0, hot=3)
        for key in (1, 1, 1, 2):
            await users.get(key)
        clock.advance(8.5)
        await users.get(1)
        await users.get(2)
        await idle(cache)
        assert source.statements == [[1], [2], [1]], "the third hit of row 1, the first of row 2"
        clock.advance(8.5)
        await users.get(1)
        await idle(cache)
        assert len(source.statements) == 3, "a new life, in which it was hit once"
        assert await users.get(1) == source.rows[1]


async def test_a_batch_refreshes_hot_rows_only_and_answers_all() -> None:
    clock = FakeClock()
    async with AsyncCache(clock=clock, policy=TEN) as cache:
        source = AsyncRecording(people(1, 2))
        users = AsyncRefreshAhead(cache, source, beta=0.0, hot=2)
        await users.get_many([1, 2, 9])
        clock.advance(8.5)
        await users.get(1)
        assert await users.get_many(["1", 2]) == {"1": source.rows[1], 2: source.rows[2]}
        await idle(cache)
        assert source.statements == [[1, 2, 9], [1]]


async def test_what_is_not_there_is_not_in_use() -> None:
    async with AsyncCache(policy=TEN) as cache:
        users = AsyncRefreshAhead(cache, AsyncRecording(people(1)))
        await users.get_many([1, 8])
        assert await users.get(9, default=None) is None
        assert (await users.refresh_in_use()).in_use == 1


async def test_a_row_that_this_process_sees_for_the_first_time_is_not_hot(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, source = FakeClock(), AsyncRecording(people(1))
    async with (
        cache_on(server.url, namespace, clock) as a,
        cache_on(server.url, namespace, clock) as b,
    ):
        await AsyncRefreshAhead(a, source).get(1)
        clock.advance(8.5)
        users = AsyncRefreshAhead(b, source, beta=0.0, hot=2)
        assert await users.get(1) == people(1)[1]
        await idle(b)
        assert len(source.statements) == 1


@pytest.mark.parametrize("hot", [0, 256])
async def test_a_number_of_hits_that_cannot_be_counted_is_refused(hot: int) -> None:
    with pytest.raises(ConfigurationError, match="hot"):
        AsyncRefreshAhead(AsyncCache(), AsyncRecording(), hot=hot)


# -------------------------------------------------------------------- deletion


async def test_a_row_that_is_gone_becomes_absent_by_its_refresh() -> None:
    clock = FakeClock()
    async with AsyncCache(clock=clock, policy=TEN) as cache:
        source = AsyncRecording(people(1))
        users = AsyncRefreshAhead(cache, source, beta=0.0, hot=1)
        await users.get(1)
        source.rows.clear()
        clock.advance(8.5)
        await users.get(1)
        await idle(cache)
        assert await users.get(1) is MISSING
        assert len(source.statements) == 2, "and that is remembered"


async def test_defect_43_a_refresh_does_not_revive_a_row_that_was_deleted_meanwhile(
    server: EmbeddedServer, namespace: str
) -> None:
    assert await row_after_a_deletion_during_a_refresh(server, namespace) is MISSING


async def test_defect_43_a_fill_that_ignores_its_lost_lease_revives_it(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_fill(monkeypatch)
    assert await row_after_a_deletion_during_a_refresh(valkey, namespace) == people(1)[1]


async def row_after_a_deletion_during_a_refresh(server: EmbeddedServer, namespace: str) -> Any:
    clock, source = FakeClock(), AsyncRecording(people(1))
    async with (
        cache_on(server.url, namespace, clock) as a,
        cache_on(server.url, namespace, clock) as b,
    ):
        users = AsyncRefreshAhead(a, source, beta=0.0, hot=1)
        await users.get(1)
        clock.advance(8.5)
        source.began.clear()
        source.gate.clear()
        await users.get(1)
        await until(source.began.is_set)
        source.rows.clear()
        await heard_by(a, lambda: b.invalidate(("users", 1)))
        source.gate.set()
        await idle(a)
        return await users.get(1)


# -------------------------------------------------------------------- bounds and failures


async def test_defect_44_a_slow_row_stops_no_other() -> None:
    clock = FakeClock()
    async with AsyncCache(clock=clock, policy=TEN) as cache:
        source = AsyncRecording(people(1, 2))
        users = AsyncRefreshAhead(cache, source, beta=0.0, hot=1)
        await users.get_many([1, 2])
        clock.advance(8.5)
        slow = source.gate = aio.Event()
        await users.get(1)
        await until(lambda: len(source.statements) == 2)
        source.gate = aio.Event()
        source.gate.set()
        await users.get(2)
        await until(lambda: cache._refresher._running == 1)
        assert source.statements[1:] == [[1], [2]]
        slow.set()
        await idle(cache)


async def test_defect_44_a_row_whose_refresh_fails_is_left_alone_longer_each_time() -> None:
    clock, events = FakeClock(), RecordingListener()
    policy = Policy(ttl=100, retry_after=1)
    async with AsyncCache(clock=clock, policy=policy, listeners=[events]) as cache:
        source = AsyncRecording(people(1))
        users = AsyncRefreshAhead(cache, source, ahead=0.1, beta=0.0, hot=1)
        await users.get(1)
        clock.advance(20)
        source.error = ValueError("no")
        tried = []
        for second in range(24):
            loads = len(source.statements)
            assert await users.get(1) == people(1)[1]
            await idle(cache)
            if len(source.statements) > loads:
                tried.append(second / 2)
            clock.advance(0.5)
        pauses = [later - sooner for sooner, later in itertools.pairwise(tried)]
        assert pauses == sorted(pauses)
        assert 3 <= len(tried) <= 5, f"1 s, 2 s and 4 s, each longer by up to a half: {tried}"
        assert len(events.of("refresh_failed")) == len(tried)


async def test_defect_46_a_refresh_that_fails_ends_no_other_that_is_under_way() -> None:
    clock = FakeClock()
    async with AsyncCache(clock=clock, policy=TEN) as cache:
        source = AsyncRecording(people(1, 2))
        users = AsyncRefreshAhead(cache, source, beta=0.0, hot=1)
        await users.get_many([1, 2])
        clock.advance(8.5)
        slow = source.gate = aio.Event()
        await users.get(1)
        await until(lambda: len(source.statements) == 2)
        source.gate = aio.Event()
        source.gate.set()
        source.poison = {2}
        await users.get(2)
        await until(lambda: cache._refresher._running == 1)
        for _ in range(3):
            await users.get(1)
        assert source.statements[1:] == [[1], [2]], "row 1 is still being refreshed, once"
        slow.set()
        await idle(cache)


async def test_pauses_of_different_rows_differ() -> None:
    async with AsyncCache(policy=TEN) as cache:
        users = AsyncRefreshAhead(cache, AsyncRecording())
        pauses = {users._policy_of(("users", number)).retry_after for number in range(200)}
        assert len(pauses) == 8
        assert min(pauses) == 1
        assert max(pauses) < 1.5
