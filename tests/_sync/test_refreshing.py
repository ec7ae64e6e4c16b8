# Generated from _async/test_refreshing.py by tools/unasync.py. Do not edit.
"""Refreshes: one in the fleet, early or when stale, backing off, bounded, and never reviving what was deleted."""

from __future__ import annotations

import math
from typing import Any

import pytest
from _sync.mutants import weaken_script
from _sync.pairs import SWR, Pair, idle
from _sync.steps import Source, Step, until, until_read

from cachewright import MISSING, Cache, Policy
from cachewright._sync.flights import Flights, Flight
from cachewright.embedded import EmbeddedServer
from cachewright.testing import FakeClock

# -------------------------------------------------------------------- stale while revalidate


def test_a_stale_value_is_served_at_once_and_refreshed_once_in_the_fleet(
    server: EmbeddedServer, namespace: str
) -> None:
    with Pair(server, namespace) as pair:
        assert pair.read(pair.a) == pair.read(pair.b) == "old"
        pair.clock.advance(11)
        pair.source.value = "new"
        pair.source.gate.clear()
        for _ in range(5):
            assert pair.read(pair.a) == pair.read(pair.b) == "old"
        until(lambda: pair.refreshes() >= 2)
        pair.source.gate.set()
        for cache in (pair.a, pair.b):
            until_read(lambda cache=cache: pair.read(cache), "new")  # type: ignore[misc]
        idle(pair.a)
        idle(pair.b)
        assert pair.source.loads == 2, "the first load and one refresh"
        assert pair.a.stats().stale >= 5


def test_without_the_lease_each_process_refreshes(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(monkeypatch, "acquire", "if not held then", "if true then")
    with Pair(valkey, namespace) as pair:
        assert pair.read(pair.a) == pair.read(pair.b) == "old"
        pair.clock.advance(11)
        pair.source.gate.clear()
        assert pair.read(pair.a) == pair.read(pair.b) == "old"
        until(lambda: pair.source.loads == 3)
        pair.source.gate.set()


def test_past_its_stale_time_a_value_is_loaded_anew() -> None:
    clock, source = FakeClock(), Source("old")
    with Cache(policy=SWR, clock=clock) as cache:
        cache.get_or_load("k", source.load)
        source.value = "new"
        clock.advance(109.9)
        assert cache.get_or_load("k", source.load) == "old"
        idle(cache)
        clock.advance(110)
        source.value = "newest"
        assert cache.get_or_load("k", source.load) == "newest"


def test_a_stale_value_whose_tag_was_invalidated_is_not_served(
    server: EmbeddedServer, namespace: str
) -> None:
    """Stale if allowed means stale by time, never by a stamp that differs."""
    with Pair(server, namespace) as pair:
        pair.read(pair.a, tags=["row"])
        pair.clock.advance(11)
        pair.source.value = "new"
        pair.a.invalidate(tags=["row"])
        assert pair.read(pair.a, tags=["row"]) == "new"


def test_a_get_serves_stale_and_refreshes_nothing_for_want_of_a_loader() -> None:
    clock, source = FakeClock(), Source("old")
    with Cache(policy=SWR, clock=clock) as cache:
        cache.get_or_load("k", source.load)
        clock.advance(11)
        assert cache.get("k") == "old"
        assert cache.stats().refreshes == 0


# -------------------------------------------------------------------- early


def is_refreshed(cache: Cache, source: Source, **options: Any) -> bool:
    """Whether a hit now starts a refresh."""
    before = cache.stats().refreshes
    cache.get_or_load("k", source.load, **options)
    idle(cache)
    return cache.stats().refreshes > before


def test_refresh_ahead_counts_from_the_entrys_own_ttl_not_the_policys(
    server: EmbeddedServer, namespace: str
) -> None:
    with Pair(server, namespace, Policy(ttl=300, refresh_ahead=0.5)) as pair:
        pair.read(pair.a, ttl=10)
        pair.clock.advance(4.9)
        assert not is_refreshed(pair.a, pair.source, ttl=10)
        assert not is_refreshed(pair.b, pair.source, ttl=10)
        pair.clock.advance(0.2)
        assert is_refreshed(pair.b, pair.source, ttl=10)
        assert pair.source.loads == 2


def test_refresh_ahead_serves_a_value_that_is_still_fresh() -> None:
    clock, source = FakeClock(), Source("old")
    with Cache(policy=Policy(ttl=10, refresh_ahead=0.8), clock=clock) as cache:
        cache.get_or_load("k", source.load)
        clock.advance(8.1)
        source.value = "new"
        assert cache.get_or_load("k", source.load) == "old"
        idle(cache)
        assert cache.get_or_load("k", source.load) == "new"
        assert cache.stats().stale == 0
        clock.advance(7.9)
        assert not is_refreshed(cache, source), "its time counts from the refresh"


def test_an_entry_of_another_process_is_refreshed_ahead_of_its_end_too(
    server: EmbeddedServer, namespace: str
) -> None:
    with Pair(server, namespace, Policy(ttl=10, refresh_ahead=0.5)) as pair:
        pair.read(pair.a)
        pair.clock.advance(6)
        assert is_refreshed(pair.b, pair.source), "seen for the first time, past its half"


@pytest.mark.parametrize("xfetch", [(0.0, 0.0), (1.0, 20.0), (2.0, 40.0)])
def test_xfetch_refreshes_earlier_the_longer_the_load_took(
    server: EmbeddedServer,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    xfetch: tuple[float, float],
) -> None:
    """A load of 2 s and a draw of e⁻¹⁰ make `2 * beta * 10` seconds."""
    beta, early = xfetch
    with Pair(server, namespace, Policy(ttl=100, beta=beta)) as pair:
        for cache in (pair.a, pair.b):
            monkeypatch.setattr(cache.engine, "draw", lambda: math.exp(-10))

        def slow() -> str:
            pair.clock.advance(2)
            return "value"

        pair.a.get_or_load("k", slow)
        pair.clock.advance(100 - early - 0.1)
        assert not is_refreshed(pair.a, pair.source)
        assert not is_refreshed(pair.b, pair.source), "the cost travels with the entry"
        pair.clock.advance(0.2)
        if early:
            assert is_refreshed(pair.a, pair.source)
        else:
            pair.read(pair.a)
            assert pair.refreshes() == 0, "it has just expired, and nothing came before that"


# -------------------------------------------------------------------- deletions


def value_after_a_deletion_during_a_refresh(pair: Pair, deleter: Cache) -> Any:
    """A refresh has read the old value when the key is deleted; then it ends."""
    pair.read(pair.a)
    pair.clock.advance(11)
    pair.source.began.clear()
    pair.source.gate.clear()
    assert pair.read(pair.a) == "old"
    until(pair.source.began.is_set)
    heard = pair.a.stats().heard
    deleter.invalidate("k")
    until(lambda: deleter is pair.a or pair.a.stats().heard > heard)
    pair.source.gate.set()
    idle(pair.a)
    return pair.a.get("k"), pair.b.get("k")


@pytest.mark.parametrize("by_another", [False, True], ids=["here", "elsewhere"])
def test_a_refresh_does_not_revive_what_was_deleted_meanwhile(
    server: EmbeddedServer, namespace: str, by_another: bool
) -> None:
    with Pair(server, namespace) as pair:
        seen = value_after_a_deletion_during_a_refresh(pair, pair.b if by_another else pair.a)
        assert seen == (MISSING, MISSING)
        assert pair.a.stats().fills_refused == 1


def test_a_fill_that_ignores_its_lost_lease_revives_it(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaken_script(
        monkeypatch,
        "fill",
        "if type(held) ~= 'string' or string.sub(held, 1, #token) ~= token then",
        "held = held or token\nif false then",
    )
    # Who has heard of the deletion does not even ask; this is about the news that come too late.
    monkeypatch.setattr(Flights, "_doom", staticmethod(lambda flight: None))
    with Pair(valkey, namespace) as pair:
        seen = value_after_a_deletion_during_a_refresh(pair, pair.b)
        assert seen == ("old", "old")


def test_without_a_server_a_refresh_does_not_revive_what_was_deleted_either() -> None:
    assert local_value_after_a_deletion_during_a_refresh() is MISSING


def test_a_flight_that_lands_although_it_is_doomed_revives_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    land = Flights.land

    def careless(self: Flights, flight: Flight, *rest: Any) -> bool:
        flight.epoch = self._clock.epoch
        return land(self, flight, *rest)

    def never(flight: Flight) -> None:
        """Does not doom."""

    monkeypatch.setattr(Flights, "_doom", staticmethod(never))
    monkeypatch.setattr(Flights, "land", careless)
    assert local_value_after_a_deletion_during_a_refresh() == "old"


def local_value_after_a_deletion_during_a_refresh() -> Any:
    clock, source = FakeClock(), Source("old")
    with Cache(policy=SWR, clock=clock) as cache:
        cache.get_or_load("k", source.load)
        clock.advance(11)
        source.began.clear()
        source.gate.clear()
        cache.get_or_load("k", source.load)
        until(source.began.is_set)
        cache.invalidate("k")
        source.gate.set()
        idle(cache)
        return cache.get("k")


# -------------------------------------------------------------------- bounds


@pytest.mark.parametrize(("options", "most"), [({}, 16), ({"max_refreshes": 3}, 3)])
def test_no_more_than_max_refreshes_run_at_once(options: Any, most: int) -> None:
    clock, source = FakeClock(), Source("old")
    keys = [f"k{n}" for n in range(most + 2)]
    with Cache(policy=SWR, clock=clock, **options) as cache:
        for key in keys:
            cache.get_or_load(key, source.load)
        clock.advance(11)
        source.gate.clear()
        for key in keys:
            assert cache.get_or_load(key, source.load) == "old"
        until(lambda: source.loads == len(keys) + most)
        assert cache.stats().refreshes == most
        source.gate.set()
        idle(cache)
        for key in keys:
            assert cache.get_or_load(key, source.load) == "old"
        until(lambda: source.loads == 2 * len(keys))


def test_a_refresh_that_hangs_is_joined_by_who_finds_nothing_stale_any_more() -> None:
    clock, source = FakeClock(), Source("old")
    with Cache(policy=SWR, clock=clock) as cache:
        cache.get_or_load("k", source.load)
        clock.advance(11)
        source.value = "new"
        source.gate.clear()
        cache.get_or_load("k", source.load)
        until(lambda: source.loads == 2)
        clock.advance(100)
        late = Step(cache.get_or_load, "k", source.load)
        until(lambda: cache.stats().joined == 1)
        source.gate.set()
        assert late.result() == "new"
        assert source.loads == 2
