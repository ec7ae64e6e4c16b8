# The hit path, and the numbers.
"""Hits: the short way serves only what the long way would, and everything is counted exactly."""

from __future__ import annotations

from typing import Any

import pytest
from _async.steps import until

from cachewright import ABSENT, MISSING, AsyncCache, Policy
from cachewright._waits import aio
from cachewright.core.decision import Decision, decide, is_hot
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


@pytest.mark.parametrize(
    "policy", [Policy(), Policy(stale=30), Policy(refresh_ahead=0.5), Policy(beta=9)]
)
@pytest.mark.parametrize("age", [0, 100, 160, 299.9, 300, 310, 330, 400])
async def test_the_hit_path_agrees_with_decide_at_every_age(
    policy: Policy, age: float, clock: FakeClock
) -> None:
    """Random entries meet it in tests/core/test_decision.py; these are the engine's own."""
    async with AsyncCache(policy=policy, clock=clock) as cache:
        await cache.get_or_load("k", lambda: "v")
        clock.advance(age)
        entry = cache.engine.memory.table["k"]
        decision = decide(entry, policy, clock.monotonic(), cache.engine.tags)
        if is_hot(entry, clock.monotonic(), cache.engine.tags.epoch):
            assert decision is Decision.SERVE
        assert await cache.get("k") == (MISSING if decision is Decision.LOAD else "v")


async def test_an_unrelated_invalidation_costs_one_comparison_and_no_round_trip(
    place: Any, namespace: str
) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.get_or_load("k", lambda: "v", tags=["t"])
        await cache.get("k")
        before = cache.stats()
        await cache.invalidate(tags=["another"])
        entry = cache.engine.memory.table["k"]
        assert not is_hot(entry, 0.0, cache.engine.tags.epoch)
        assert await cache.get("k") == "v"
        assert is_hot(entry, 0.0, cache.engine.tags.epoch), "re-stamped: hot again"
        assert cache.stats().l2_hits == before.l2_hits


async def test_a_hit_is_counted_for_eviction(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.get_or_load("k", lambda: "v")
        entry = cache.engine.memory.table["k"]
        for _ in range(9):
            await cache.get("k")
        assert 1 <= entry.freq <= 3


async def test_inside_a_load_a_hit_hands_up_its_tags(place: Any, namespace: str) -> None:
    """The hit path must not swallow what a parent is made from."""
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.get_or_load("child", lambda: 1, tags=["row"])
        await cache.get("child")

        async def parent() -> Any:
            return [await cache.get_or_load("child", lambda: 2, tags=["row"])]

        assert await cache.get_or_load("parent", parent) == [1]
        await cache.invalidate(tags=["row"])
        assert await cache.get_or_load("parent", parent) == [2]


async def test_a_hit_path_that_forgot_the_open_load_would_serve_an_old_parent(
    place: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above."""
    monkeypatch.setattr("cachewright._async.cache.LIVE", set())
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.get_or_load("child", lambda: 1, tags=["row"])
        await cache.get("child")

        async def parent() -> Any:
            return [await cache.get_or_load("child", lambda: 2, tags=["row"])]

        assert await cache.get_or_load("parent", parent) == [1]
        await cache.invalidate(tags=["row"])
        assert await cache.get_or_load("parent", parent) == [1]


# -------------------------------------------------------------------- numbers


async def test_every_read_is_counted_once_in_memory(clock: FakeClock) -> None:
    policy = Policy(ttl=10, stale=5)
    async with AsyncCache(policy=policy, clock=clock) as cache:
        await cache.get("k")
        await cache.get_or_load("k", lambda: 1)
        for _ in range(3):
            await cache.get("k")
        await cache.get_or_load("k", lambda: 1)
        await cache.get_or_load("none", lambda: ABSENT)
        await cache.get("none")
        clock.advance(11)
        await cache.get("k")
        seen = cache.stats()
    assert (seen.l1_hits, seen.l2_hits, seen.hits, seen.misses) == (6, 0, 6, 3)
    assert (seen.loads, seen.load_errors, seen.negative_hits, seen.stale) == (2, 0, 1, 1)
    assert seen.hit_ratio == pytest.approx(6 / 9)
    assert (seen.entries, seen.link, seen.pending_repairs) == (2, "none", 0)


async def test_every_read_is_counted_once_at_the_server(valkey: Any, namespace: str) -> None:
    async with AsyncCache(valkey.url, namespace=namespace) as writer:
        await writer.set_many({"a": 1, "b": 2})
        assert writer.stats().sets == 2
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        await cache.get("a")
        await cache.get("a")
        await cache.get_many(["a", "b", "c"])
        await cache.get_or_load("d", lambda: 1)
        await cache.get_or_load_many(["a", "d", "e"], lambda keys: {"e": 5})
        await cache.invalidate("a")
        seen = cache.stats()
    assert (seen.l1_hits, seen.l2_hits, seen.misses) == (4, 2, 3)
    assert (seen.loads, seen.fills, seen.fills_refused) == (2, 2, 0)
    assert (seen.invalidations, seen.remote_errors, seen.unreadable) == (1, 0, 0)
    assert (seen.link, seen.namespace) == ("up", namespace)


async def test_what_was_heard_of_others_is_counted(valkey: Any, namespace: str) -> None:
    one, other = (AsyncCache(valkey.url, namespace=namespace) for _ in range(2))
    async with one, other:
        await one.invalidate("k", tags=["t"])
        await until(lambda: other.stats().heard == 1)
        assert one.stats().heard == 0


async def test_failed_loads_and_those_who_shared_one_are_counted(
    place: Any, namespace: str
) -> None:
    began, go = aio.Event(), aio.Event()

    async def slow() -> int:
        began.set()
        assert await go.wait(10)
        return 1

    async def fail() -> int:
        raise OSError("away")

    async with AsyncCache(place, namespace=namespace) as cache:
        background = aio.Background("readers")
        background.start(cache.get_or_load, "k", slow)
        assert await began.wait(10)
        for _ in range(3):
            background.start(cache.get_or_load, "k", slow)
        await until(lambda: cache.stats().joined == 3)
        go.set()
        await background.close(10)
        with pytest.raises(OSError, match="away"):
            await cache.get_or_load("broken", fail)
        seen = cache.stats()
    assert (seen.loads, seen.load_errors, seen.joined) == (2, 1, 3)


async def test_load_seconds_are_those_of_the_cache_s_clock(clock: FakeClock) -> None:
    async with AsyncCache(clock=clock) as cache:
        await cache.get_or_load("k", lambda: clock.advance(2.5))
        assert cache.stats().load_seconds == pytest.approx(2.5)


async def test_defect_52_memory_is_bounded_and_what_left_is_counted() -> None:
    async with AsyncCache(max_entries=10) as cache:
        await cache.set_many({f"k{n}": n for n in range(100)})
        seen = cache.stats()
    assert seen.entries <= 10
    assert seen.evictions >= 90


async def test_memory_may_be_bounded_by_bytes() -> None:
    async with AsyncCache(max_bytes=50_000) as cache:
        for n in range(100):
            await cache.set(f"k{n}", "x" * 5_000)
        seen = cache.stats()
    assert 0 < seen.bytes <= 50_000
    assert seen.evictions > 0


async def test_a_snapshot_is_of_its_moment_and_cannot_be_changed() -> None:
    async with AsyncCache() as cache:
        before = cache.stats()
        await cache.set("k", 1)
        await cache.get("k")
        assert (before.hits, before.sets) == (0, 0)
        with pytest.raises(AttributeError):
            before.misses = 7  # type: ignore[misc]
        for _ in range(5):
            assert cache.stats().l1_hits == 1, "looking counts nothing"


async def test_hits_of_many_at_once_are_all_counted() -> None:
    async with AsyncCache() as cache:
        await cache.set("k", 1)
        await cache.get("k")
        before = cache.stats().l1_hits
        background = aio.Background("readers")

        async def read() -> None:
            for _ in range(500):
                await cache.get("k")

        for _ in range(8):
            background.start(read)
        await background.close(20)
        assert cache.stats().l1_hits == before + 4_000
