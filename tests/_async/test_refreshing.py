# Reloads in the background.
"""Refreshes: one in the fleet, early or when stale, backing off, bounded, and never reviving what was deleted."""

from __future__ import annotations

import math
from typing import Any

import pytest
from _async.mutants import weaken_script
from _async.pairs import SWR, AsyncPair, idle
from _async.steps import AsyncSource, AsyncStep, until, until_read

from cachewright import MISSING, AsyncCache, Policy
from cachewright._async.flights import AsyncFlights, Flight
from cachewright.embedded import EmbeddedServer
from cachewright.testing import FakeClock

# -------------------------------------------------------------------- stale while revalidate


async def test_a_stale_value_is_served_at_once_and_refreshed_once_in_the_fleet(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncPair(server, namespace) as pair:
        assert await pair.read(pair.a) == await pair.read(pair.b) == "old"
        pair.clock.advance(11)
        pair.source.value = "new"
        pair.source.gate.clear()
        for _ in range(5):
            assert await pair.read(pair.a) == await pair.read(pair.b) == "old"
        await until(lambda: pair.refreshes() >= 2)
        pair.source.gate.set()
        for cache in (pair.a, pair.b):
            await until_read(lambda cache=cache: pair.read(cache), "new")  # type: ignore[misc]
        await idle(pair.a)
        await idle(pair.b)
        assert pair.source.loads == 2, "the first load and one refresh"
        assert pair.a.stats().stale >= 5


async def test_without_the_lease_each_process_refreshes(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "acquire", "if not held then", "if true then")
    async with AsyncPair(valkey, namespace) as pair:
        assert await pair.read(pair.a) == await pair.read(pair.b) == "old"
        pair.clock.advance(11)
        pair.source.gate.clear()
        assert await pair.read(pair.a) == await pair.read(pair.b) == "old"
        await until(lambda: pair.source.loads == 3)
        pair.source.gate.set()


async def test_past_its_stale_time_a_value_is_loaded_anew() -> None:
    clock, source = FakeClock(), AsyncSource("old")
    async with AsyncCache(policy=SWR, clock=clock) as cache:
        await cache.get_or_load("k", source.load)
        source.value = "new"
        clock.advance(109.9)
        assert await cache.get_or_load("k", source.load) == "old"
        await idle(cache)
        clock.advance(110)
        source.value = "newest"
        assert await cache.get_or_load("k", source.load) == "newest"


async def test_a_stale_value_whose_tag_was_invalidated_is_not_served(
    server: EmbeddedServer, namespace: str
) -> None:
    """Stale if allowed means stale by time, never by a stamp that differs."""
    async with AsyncPair(server, namespace) as pair:
        await pair.read(pair.a, tags=["row"])
        pair.clock.advance(11)
        pair.source.value = "new"
        await pair.a.invalidate(tags=["row"])
        assert await pair.read(pair.a, tags=["row"]) == "new"


async def test_a_get_serves_stale_and_refreshes_nothing_for_want_of_a_loader() -> None:
    clock, source = FakeClock(), AsyncSource("old")
    async with AsyncCache(policy=SWR, clock=clock) as cache:
        await cache.get_or_load("k", source.load)
        clock.advance(11)
        assert await cache.get("k") == "old"
        assert cache.stats().refreshes == 0


# -------------------------------------------------------------------- early


async def is_refreshed(cache: AsyncCache, source: AsyncSource, **options: Any) -> bool:
    """Whether a hit now starts a refresh."""
    before = cache.stats().refreshes
    await cache.get_or_load("k", source.load, **options)
    await idle(cache)
    return cache.stats().refreshes > before


async def test_refresh_ahead_counts_from_the_entrys_own_ttl_not_the_policys(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncPair(server, namespace, Policy(ttl=300, refresh_ahead=0.5)) as pair:
        await pair.read(pair.a, ttl=10)
        pair.clock.advance(4.9)
        assert not await is_refreshed(pair.a, pair.source, ttl=10)
        assert not await is_refreshed(pair.b, pair.source, ttl=10)
        pair.clock.advance(0.2)
        assert await is_refreshed(pair.b, pair.source, ttl=10)
        assert pair.source.loads == 2


async def test_refresh_ahead_serves_a_value_that_is_still_fresh() -> None:
    clock, source = FakeClock(), AsyncSource("old")
    async with AsyncCache(policy=Policy(ttl=10, refresh_ahead=0.8), clock=clock) as cache:
        await cache.get_or_load("k", source.load)
        clock.advance(8.1)
        source.value = "new"
        assert await cache.get_or_load("k", source.load) == "old"
        await idle(cache)
        assert await cache.get_or_load("k", source.load) == "new"
        assert cache.stats().stale == 0
        clock.advance(7.9)
        assert not await is_refreshed(cache, source), "its time counts from the refresh"


async def test_an_entry_of_another_process_is_refreshed_ahead_of_its_end_too(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncPair(server, namespace, Policy(ttl=10, refresh_ahead=0.5)) as pair:
        await pair.read(pair.a)
        pair.clock.advance(6)
        assert await is_refreshed(pair.b, pair.source), "seen for the first time, past its half"


@pytest.mark.parametrize("xfetch", [(0.0, 0.0), (1.0, 20.0), (2.0, 40.0)])
async def test_xfetch_refreshes_earlier_the_longer_the_load_took(
    server: EmbeddedServer,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    xfetch: tuple[float, float],
) -> None:
    """A load of 2 s and a draw of e⁻¹⁰ make `2 * beta * 10` seconds."""
    beta, early = xfetch
    async with AsyncPair(server, namespace, Policy(ttl=100, beta=beta)) as pair:
        for cache in (pair.a, pair.b):
            monkeypatch.setattr(cache.engine, "draw", lambda: math.exp(-10))

        async def slow() -> str:
            pair.clock.advance(2)
            return "value"

        await pair.a.get_or_load("k", slow)
        pair.clock.advance(100 - early - 0.1)
        assert not await is_refreshed(pair.a, pair.source)
        assert not await is_refreshed(pair.b, pair.source), "the cost travels with the entry"
        pair.clock.advance(0.2)
        if early:
            assert await is_refreshed(pair.a, pair.source)
        else:
            await pair.read(pair.a)
            assert pair.refreshes() == 0, "it has just expired, and nothing came before that"


# -------------------------------------------------------------------- deletions


async def value_after_a_deletion_during_a_refresh(pair: AsyncPair, deleter: AsyncCache) -> Any:
    """A refresh has read the old value when the key is deleted; then it ends."""
    await pair.read(pair.a)
    pair.clock.advance(11)
    pair.source.began.clear()
    pair.source.gate.clear()
    assert await pair.read(pair.a) == "old"
    await until(pair.source.began.is_set)
    heard = pair.a.stats().heard
    await deleter.invalidate("k")
    await until(lambda: deleter is pair.a or pair.a.stats().heard > heard)
    pair.source.gate.set()
    await idle(pair.a)
    return await pair.a.get("k"), await pair.b.get("k")


@pytest.mark.parametrize("by_another", [False, True], ids=["here", "elsewhere"])
async def test_a_refresh_does_not_revive_what_was_deleted_meanwhile(
    server: EmbeddedServer, namespace: str, by_another: bool
) -> None:
    async with AsyncPair(server, namespace) as pair:
        seen = await value_after_a_deletion_during_a_refresh(pair, pair.b if by_another else pair.a)
        assert seen == (MISSING, MISSING)
        assert pair.a.stats().fills_refused == 1


async def test_a_fill_that_ignores_its_lost_lease_revives_it(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(
        monkeypatch,
        "fill",
        "if type(held) ~= 'string' or string.sub(held, 1, #token) ~= token then",
        "held = held or token\nif false then",
    )
    # Who has heard of the deletion does not even ask; this is about the news that come too late.
    monkeypatch.setattr(AsyncFlights, "_doom", staticmethod(lambda flight: None))
    async with AsyncPair(valkey, namespace) as pair:
        seen = await value_after_a_deletion_during_a_refresh(pair, pair.b)
        assert seen == ("old", "old")


async def test_without_a_server_a_refresh_does_not_revive_what_was_deleted_either() -> None:
    assert await local_value_after_a_deletion_during_a_refresh() is MISSING


async def test_a_flight_that_lands_although_it_is_doomed_revives_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    land = AsyncFlights.land

    def careless(self: AsyncFlights, flight: Flight, *rest: Any) -> bool:
        flight.epoch = self._clock.epoch
        return land(self, flight, *rest)

    def never(flight: Flight) -> None:
        """Does not doom."""

    monkeypatch.setattr(AsyncFlights, "_doom", staticmethod(never))
    monkeypatch.setattr(AsyncFlights, "land", careless)
    assert await local_value_after_a_deletion_during_a_refresh() == "old"


async def local_value_after_a_deletion_during_a_refresh() -> Any:
    clock, source = FakeClock(), AsyncSource("old")
    async with AsyncCache(policy=SWR, clock=clock) as cache:
        await cache.get_or_load("k", source.load)
        clock.advance(11)
        source.began.clear()
        source.gate.clear()
        await cache.get_or_load("k", source.load)
        await until(source.began.is_set)
        await cache.invalidate("k")
        source.gate.set()
        await idle(cache)
        return await cache.get("k")


# -------------------------------------------------------------------- bounds


@pytest.mark.parametrize(("options", "most"), [({}, 16), ({"max_refreshes": 3}, 3)])
async def test_no_more_than_max_refreshes_run_at_once(options: Any, most: int) -> None:
    clock, source = FakeClock(), AsyncSource("old")
    keys = [f"k{n}" for n in range(most + 2)]
    async with AsyncCache(policy=SWR, clock=clock, **options) as cache:
        for key in keys:
            await cache.get_or_load(key, source.load)
        clock.advance(11)
        source.gate.clear()
        for key in keys:
            assert await cache.get_or_load(key, source.load) == "old"
        await until(lambda: source.loads == len(keys) + most)
        assert cache.stats().refreshes == most
        source.gate.set()
        await idle(cache)
        for key in keys:
            assert await cache.get_or_load(key, source.load) == "old"
        await until(lambda: source.loads == 2 * len(keys))


async def test_a_refresh_that_hangs_is_joined_by_who_finds_nothing_stale_any_more() -> None:
    clock, source = FakeClock(), AsyncSource("old")
    async with AsyncCache(policy=SWR, clock=clock) as cache:
        await cache.get_or_load("k", source.load)
        clock.advance(11)
        source.value = "new"
        source.gate.clear()
        await cache.get_or_load("k", source.load)
        await until(lambda: source.loads == 2)
        clock.advance(100)
        late = AsyncStep(cache.get_or_load, "k", source.load)
        await until(lambda: cache.stats().joined == 1)
        source.gate.set()
        assert await late.result() == "new"
        assert source.loads == 2
