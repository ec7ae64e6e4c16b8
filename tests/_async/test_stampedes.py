# One load in the fleet, whatever happens to who leads it.
"""Any number of callers cost one load; what the leader suffers, its followers do not.

The whole fleet is in tests/processes/test_fleet.py; cancelled tasks are in tests/aio, interrupted threads in
tests/threads.
"""

from __future__ import annotations

from typing import Any

import pytest
from _async.mutants import weaken_script
from _async.steps import AsyncSource, AsyncStep, until

from cachewright import AsyncCache, Policy
from cachewright._async.flights import AsyncFlights
from cachewright._async.reading import AsyncReader
from cachewright._waits import aio
from cachewright.core.policy import Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.errors import LoadTimeout
from cachewright.testing import FakeClock, RecordingListener
from rig.proxy import FaultProxy
from rig.servers import Raw

CALLERS = 20


async def stampede(server: EmbeddedServer, namespace: str, loads_to_see: int = 1) -> AsyncSource:
    """Two caches with many callers each on one cold key; the load ends when all of them wait."""
    source = AsyncSource("value")
    source.gate.clear()
    async with (
        AsyncCache(server.url, namespace=namespace) as a,
        AsyncCache(server.url, namespace=namespace) as b,
    ):
        steps = [
            AsyncStep(cache.get_or_load, "k", source.load)
            for cache in (a, b)
            for _ in range(CALLERS)
        ]
        joined = 2 * CALLERS - 2 if loads_to_see <= 2 else 0
        await until(lambda: a.stats().joined + b.stats().joined >= joined)
        await until(lambda: source.loads >= loads_to_see)
        source.gate.set()
        assert [await step.result() for step in steps] == ["value"] * 2 * CALLERS
        assert await a.get("k") == "value" == await b.get("k")
    return source


async def test_all_callers_of_a_cold_key_share_one_load(
    server: EmbeddedServer, namespace: str
) -> None:
    assert (await stampede(server, namespace)).loads == 1


async def test_without_the_lease_every_process_loads(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "acquire", "if not held then", "if true then")
    assert (await stampede(valkey, namespace, loads_to_see=2)).loads == 2


async def test_without_flights_every_caller_loads(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "acquire", "if not held then", "if true then")
    join = AsyncFlights.join

    def alone(self: AsyncFlights, key: str, tags: Any, **how: bool) -> Any:
        return join(self, key, tags, alone=True)

    monkeypatch.setattr(AsyncFlights, "join", alone)
    assert (await stampede(valkey, namespace, loads_to_see=2 * CALLERS)).loads == 2 * CALLERS


async def test_a_loaders_error_reaches_every_caller_and_the_next_call_loads_again() -> None:
    source = AsyncSource("value")
    source.gate.clear()
    source.error = RuntimeError("the source is down")
    async with AsyncCache() as cache:
        steps = [AsyncStep(cache.get_or_load, "k", source.load) for _ in range(CALLERS)]
        await until(lambda: cache.stats().joined == CALLERS - 1)
        source.gate.set()
        for step in steps:
            with pytest.raises(RuntimeError, match="the source is down"):
                await step.result()
        assert source.loads == 1
        source.error = None
        assert await cache.get_or_load("k", source.load) == "value"


@pytest.mark.parametrize("with_server", [False, True])
async def test_a_caller_who_is_overtaken_between_his_look_and_his_turn_does_not_load_again(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch, with_server: bool
) -> None:
    """He finds nothing in memory; before he asks who leads, the load of another caller has come and gone."""
    source = AsyncSource("value")
    async with AsyncCache(valkey.url if with_server else None, namespace=namespace) as cache:
        looked, go_on = aio.Event(), aio.Event()

        async def slow() -> Any:
            # Between the look and the turn lies this call.
            looked.set()
            await go_on.wait(10)
            return await opened()

        opened = cache.engine.open
        monkeypatch.setattr(cache.engine, "open", slow)
        overtaken = AsyncStep(cache.get_or_load, "k", source.load)
        await until(looked.is_set)
        monkeypatch.setattr(cache.engine, "open", opened)
        assert await cache.get_or_load("k", source.load) == "value"
        go_on.set()
        assert await overtaken.result() == "value"
        assert source.loads == 1


async def test_the_lease_of_a_load_that_raised_is_given_back_at_once(
    server: EmbeddedServer, namespace: str
) -> None:
    failing, good = AsyncSource(), AsyncSource("value")
    failing.gate.clear()
    failing.error = RuntimeError("not this time")
    async with (
        AsyncCache(server.url, namespace=namespace) as a,
        AsyncCache(server.url, namespace=namespace) as b,
    ):
        leader = AsyncStep(a.get_or_load, "k", failing.load)
        await until(failing.began.is_set)
        other = AsyncStep(b.get_or_load, "k", good.load)
        await until(lambda: b.stats().misses == 1)
        failing.gate.set()
        with pytest.raises(RuntimeError, match="not this time"):
            await leader.result()
        # Far below the 10 s that the lease would have run on.
        assert await other.result(within=3.0) == "value"


async def trips_while_waiting(server: EmbeddedServer, namespace: str, raw: Raw) -> int:
    """How many round trips a process makes that waits for another one's load of 0.3 s."""

    async def load() -> str:
        await aio.wall_sleep(0.3)
        return "value"

    with FaultProxy(server.url) as proxy:
        async with (
            AsyncCache(server.url, namespace=namespace) as a,
            AsyncCache(proxy.url, namespace=namespace) as b,
        ):
            await b.get("open the connection")
            leader = AsyncStep(a.get_or_load, "k", load)
            lease = a.engine.keys.lease("k")
            await until(lambda: raw(server).exists(lease))
            proxy.reset_counters()
            assert await b.get_or_load("k", load) == "value"
            assert await leader.result() == "value"
            assert b.stats().loads == 0
            return proxy.round_trips


MOST_TRIPS = 5
"""The look, the question for the lease, the same after being woken; a heartbeat may fall in between."""


async def test_who_waits_for_another_process_is_woken_and_does_not_poll(
    server: EmbeddedServer, namespace: str, raw: Raw
) -> None:
    assert await trips_while_waiting(server, namespace, raw) <= MOST_TRIPS


async def test_a_waiter_that_polls_would_be_noticed(
    valkey: EmbeddedServer, namespace: str, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def poll(self: AsyncReader, *_: Any) -> None:
        await aio.wall_sleep(0.01)

    monkeypatch.setattr(AsyncReader, "_wait_for_holder", poll)
    assert await trips_while_waiting(valkey, namespace, raw) > MOST_TRIPS


async def test_two_hundred_at_once_are_all_served_with_the_default_options(
    valkey: EmbeddedServer, namespace: str
) -> None:
    events = RecordingListener()
    source = AsyncSource("value")
    async with AsyncCache(valkey.url, namespace=namespace, listeners=[events]) as cache:
        steps = [AsyncStep(cache.get_or_load, f"k{n}", source.load) for n in range(200)]
        assert [await step.result() for step in steps] == ["value"] * 200
        assert [event.error for event in events.events if event.kind == "remote_error"] == []  # type: ignore[attr-defined]


# -------------------------------------------------------------------- bounded loads


class Crowd:
    """Loads that are under way at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.gate = aio.Event()

    async def load(self) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        await self.gate.wait(10)
        self.now -= 1
        return "value"


@pytest.mark.parametrize(("max_loads", "at_once"), [(None, 6), (2, 2)])
async def test_no_more_than_max_loads_run_at_once(max_loads: int | None, at_once: int) -> None:
    crowd = Crowd()
    async with AsyncCache(max_loads=max_loads) as cache:
        steps = [AsyncStep(cache.get_or_load, f"k{n}", crowd.load) for n in range(6)]
        await until(lambda: crowd.now == at_once)
        crowd.gate.set()
        assert [await step.result() for step in steps] == ["value"] * 6
    assert crowd.most == at_once


async def test_a_load_that_finds_no_slot_in_time_says_so() -> None:
    source = AsyncSource("value")
    source.gate.clear()
    policy = Policy(timeouts=Timeouts(load=0.2))
    async with AsyncCache(max_loads=1) as cache:
        first = AsyncStep(cache.get_or_load, "a", source.load)
        await until(source.began.is_set)

        async def second() -> Any:
            return await cache.get_or_load("b", source.load, policy=policy)

        with pytest.raises(LoadTimeout, match="max_loads"):
            await AsyncStep(second).result()
        source.gate.set()
        assert await first.result() == "value"


async def test_a_load_inside_a_load_needs_no_slot_of_its_own() -> None:
    async with AsyncCache(max_loads=1) as cache:

        async def inner() -> str:
            return "part"

        async def outer() -> list[str]:
            return [await cache.get_or_load("inner", inner)]

        assert await AsyncStep(cache.get_or_load, "outer", outer).result(2.0) == ["part"]


async def test_a_load_that_joins_one_which_waits_for_its_slot_does_not_deadlock() -> None:
    """The outer load holds the only slot; the inner key is led by a caller who waits for that slot."""
    may_read = aio.Event()
    inner = AsyncSource("part")
    async with AsyncCache(max_loads=1) as cache:

        async def outer() -> list[str]:
            await may_read.wait(10)
            return [await cache.get_or_load("inner", inner.load)]

        whole = AsyncStep(cache.get_or_load, "outer", outer)
        await until(lambda: cache.stats().misses == 1)
        part = AsyncStep(cache.get_or_load, "inner", inner.load)
        await until(lambda: cache.stats().misses == 2)
        may_read.set()
        assert await whole.result(3.0) == ["part"]
        assert await part.result(3.0) == "part"


# -------------------------------------------------------------------- loads that hang

IMPATIENT = Policy(timeouts=Timeouts(load=0.3))


async def test_a_hung_load_holds_its_key_neither_here_nor_elsewhere(
    server: EmbeddedServer, namespace: str
) -> None:
    hung, good = AsyncSource("late"), AsyncSource("value")
    hung.gate.clear()
    async with (
        AsyncCache(server.url, namespace=namespace, policy=IMPATIENT) as a,
        AsyncCache(server.url, namespace=namespace, policy=IMPATIENT) as b,
    ):
        leader = AsyncStep(a.get_or_load, "k", hung.load)
        try:
            await until(hung.began.is_set)
            follower = AsyncStep(a.get_or_load, "k", good.load)
            elsewhere = AsyncStep(b.get_or_load, "k", good.load)
            with pytest.raises(LoadTimeout):
                await follower.result()
            # The lease is for 10 s; nobody is to wait that long for a load that may take 0.3 s.
            assert await elsewhere.result(within=2.0) == "value"
            assert await AsyncStep(a.get_or_load, "k", good.load).result(within=2.0) == "value"
        finally:
            hung.gate.set()
        # A task is stopped, a thread cannot be: there the caller gets its own late value.
        await until(lambda: leader.done)
        assert await a.get_or_load("k", good.load) == "value", "what came late was kept"
        assert await b.get_or_load("k", good.load) == "value", "what came late was kept"


async def test_a_load_that_reads_its_own_key_loads_once_more_and_does_not_wait_for_itself() -> None:
    async with AsyncCache() as cache:

        async def inner() -> str:
            return "inner"

        async def outer() -> str:
            return f"outer of {await cache.get_or_load('k', inner)}"

        assert await AsyncStep(cache.get_or_load, "k", outer).result(2.0) == "outer of inner"


async def test_recursion_under_a_lease_does_not_wait_for_itself_either(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(server.url, namespace=namespace) as cache:

        async def inner() -> str:
            return "inner"

        async def middle() -> str:
            return f"middle of {await cache.get_or_load('k', inner)}"

        async def outer() -> str:
            return f"outer of {await cache.get_or_load('other', middle)}"

        whole = await AsyncStep(cache.get_or_load, "k", outer).result(2.0)
        assert whole == "outer of middle of inner"


async def test_a_slow_load_gives_way_to_a_stale_value_and_replaces_it_when_it_ends(
    server: EmbeddedServer, namespace: str
) -> None:
    clock, source = FakeClock(), AsyncSource("old")
    policy = Policy(ttl=10, stale_if_error=100, timeouts=Timeouts(load_soft=0.05))
    async with AsyncCache(server.url, namespace=namespace, policy=policy, clock=clock) as cache:
        assert await cache.get_or_load("k", source.load) == "old"
        clock.advance(11)
        source.value = "new"
        source.gate.clear()
        assert await cache.get_or_load("k", source.load) == "old"
        source.gate.set()
        await until(lambda: cache.stats().fills == 2)
        assert await cache.get_or_load("k", source.load) == "new"
        assert (source.loads, cache.stats().stale) == (2, 1)


async def test_a_slow_load_is_waited_for_where_there_is_nothing_stale() -> None:
    source = AsyncSource("value")
    source.gate.clear()
    async with AsyncCache(policy=Policy(timeouts=Timeouts(load_soft=0.0))) as cache:
        step = AsyncStep(cache.get_or_load, "k", source.load)
        await until(source.began.is_set)
        source.gate.set()
        assert await step.result() == "value"
