# Generated from _async/test_hits.py by tools/unasync.py. Do not edit.
"""Hits: the short way serves only what the long way would, and everything is counted exactly."""

from __future__ import annotations

from typing import Any

import pytest
from _sync.steps import until

from cachewright import ABSENT, MISSING, Cache, Policy
from cachewright._waits import threads
from cachewright.core.decision import Decision, decide, is_hot
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


@pytest.mark.parametrize(
    "policy", [Policy(), Policy(stale=30), Policy(refresh_ahead=0.5), Policy(beta=9)]
)
@pytest.mark.parametrize("age", [0, 100, 160, 299.9, 300, 310, 330, 400])
def test_the_hit_path_agrees_with_decide_at_every_age(
    policy: Policy, age: float, clock: FakeClock
) -> None:
    """Random entries meet it in tests/core/test_decision.py; these are the engine's own."""
    with Cache(policy=policy, clock=clock) as cache:
        cache.get_or_load("k", lambda: "v")
        clock.advance(age)
        entry = cache.engine.memory.table["k"]
        decision = decide(entry, policy, clock.monotonic(), cache.engine.tags)
        if is_hot(entry, clock.monotonic(), cache.engine.tags.epoch):
            assert decision is Decision.SERVE
        assert cache.get("k") == (MISSING if decision is Decision.LOAD else "v")


def test_an_unrelated_invalidation_costs_one_comparison_and_no_round_trip(
    place: Any, namespace: str
) -> None:
    with Cache(place, namespace=namespace) as cache:
        cache.get_or_load("k", lambda: "v", tags=["t"])
        cache.get("k")
        before = cache.stats()
        cache.invalidate(tags=["another"])
        entry = cache.engine.memory.table["k"]
        assert not is_hot(entry, 0.0, cache.engine.tags.epoch)
        assert cache.get("k") == "v"
        assert is_hot(entry, 0.0, cache.engine.tags.epoch), "re-stamped: hot again"
        assert cache.stats().l2_hits == before.l2_hits


def test_a_hit_is_counted_for_eviction(place: Any, namespace: str) -> None:
    with Cache(place, namespace=namespace) as cache:
        cache.get_or_load("k", lambda: "v")
        entry = cache.engine.memory.table["k"]
        for _ in range(9):
            cache.get("k")
        assert 1 <= entry.freq <= 3


def test_inside_a_load_a_hit_hands_up_its_tags(place: Any, namespace: str) -> None:
    """The hit path must not swallow what a parent is made from."""
    with Cache(place, namespace=namespace) as cache:
        cache.get_or_load("child", lambda: 1, tags=["row"])
        cache.get("child")

        def parent() -> Any:
            return [cache.get_or_load("child", lambda: 2, tags=["row"])]

        assert cache.get_or_load("parent", parent) == [1]
        cache.invalidate(tags=["row"])
        assert cache.get_or_load("parent", parent) == [2]


def test_a_hit_path_that_forgot_the_open_load_would_serve_an_old_parent(
    place: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above."""
    monkeypatch.setattr("cachewright._sync.cache.LIVE", set())
    with Cache(place, namespace=namespace) as cache:
        cache.get_or_load("child", lambda: 1, tags=["row"])
        cache.get("child")

        def parent() -> Any:
            return [cache.get_or_load("child", lambda: 2, tags=["row"])]

        assert cache.get_or_load("parent", parent) == [1]
        cache.invalidate(tags=["row"])
        assert cache.get_or_load("parent", parent) == [1]


# -------------------------------------------------------------------- numbers


def test_every_read_is_counted_once_in_memory(clock: FakeClock) -> None:
    policy = Policy(ttl=10, stale=5)
    with Cache(policy=policy, clock=clock) as cache:
        cache.get("k")
        cache.get_or_load("k", lambda: 1)
        for _ in range(3):
            cache.get("k")
        cache.get_or_load("k", lambda: 1)
        cache.get_or_load("none", lambda: ABSENT)
        cache.get("none")
        clock.advance(11)
        cache.get("k")
        seen = cache.stats()
    assert (seen.l1_hits, seen.l2_hits, seen.hits, seen.misses) == (6, 0, 6, 3)
    assert (seen.loads, seen.load_errors, seen.negative_hits, seen.stale) == (2, 0, 1, 1)
    assert seen.hit_ratio == pytest.approx(6 / 9)
    assert (seen.entries, seen.link, seen.pending_repairs) == (2, "none", 0)


def test_every_read_is_counted_once_at_the_server(valkey: Any, namespace: str) -> None:
    with Cache(valkey.url, namespace=namespace) as writer:
        writer.set_many({"a": 1, "b": 2})
        assert writer.stats().sets == 2
    with Cache(valkey.url, namespace=namespace) as cache:
        cache.get("a")
        cache.get("a")
        cache.get_many(["a", "b", "c"])
        cache.get_or_load("d", lambda: 1)
        cache.get_or_load_many(["a", "d", "e"], lambda keys: {"e": 5})
        cache.invalidate("a")
        seen = cache.stats()
    assert (seen.l1_hits, seen.l2_hits, seen.misses) == (4, 2, 3)
    assert (seen.loads, seen.fills, seen.fills_refused) == (2, 2, 0)
    assert (seen.invalidations, seen.remote_errors, seen.unreadable) == (1, 0, 0)
    assert (seen.link, seen.namespace) == ("up", namespace)


def test_what_was_heard_of_others_is_counted(valkey: Any, namespace: str) -> None:
    one, other = (Cache(valkey.url, namespace=namespace) for _ in range(2))
    with one, other:
        one.invalidate("k", tags=["t"])
        until(lambda: other.stats().heard == 1)
        assert one.stats().heard == 0


def test_failed_loads_and_those_who_shared_one_are_counted(
    place: Any, namespace: str
) -> None:
    began, go = threads.Event(), threads.Event()

    def slow() -> int:
        began.set()
        assert go.wait(10)
        return 1

    def fail() -> int:
        raise OSError("away")

    with Cache(place, namespace=namespace) as cache:
        background = threads.Background("readers")
        background.start(cache.get_or_load, "k", slow)
        assert began.wait(10)
        for _ in range(3):
            background.start(cache.get_or_load, "k", slow)
        until(lambda: cache.stats().joined == 3)
        go.set()
        background.close(10)
        with pytest.raises(OSError, match="away"):
            cache.get_or_load("broken", fail)
        seen = cache.stats()
    assert (seen.loads, seen.load_errors, seen.joined) == (2, 1, 3)


def test_load_seconds_are_those_of_the_cache_s_clock(clock: FakeClock) -> None:
    with Cache(clock=clock) as cache:
        cache.get_or_load("k", lambda: clock.advance(2.5))
        assert cache.stats().load_seconds == pytest.approx(2.5)


def test_defect_52_memory_is_bounded_and_what_left_is_counted() -> None:
    with Cache(max_entries=10) as cache:
        cache.set_many({f"k{n}": n for n in range(100)})
        seen = cache.stats()
    assert seen.entries <= 10
    assert seen.evictions >= 90


def test_memory_may_be_bounded_by_bytes() -> None:
    with Cache(max_bytes=50_000) as cache:
        for n in range(100):
            cache.set(f"k{n}", "x" * 5_000)
        seen = cache.stats()
    assert 0 < seen.bytes <= 50_000
    assert seen.evictions > 0


def test_a_snapshot_is_of_its_moment_and_cannot_be_changed() -> None:
    with Cache() as cache:
        before = cache.stats()
        cache.set("k", 1)
        cache.get("k")
        assert (before.hits, before.sets) == (0, 0)
        with pytest.raises(AttributeError):
            before.misses = 7  # type: ignore[misc]
        for _ in range(5):
            assert cache.stats().l1_hits == 1, "looking counts nothing"


def test_hits_of_many_at_once_are_all_counted() -> None:
    with Cache() as cache:
        cache.set("k", 1)
        cache.get("k")
        before = cache.stats().l1_hits
        background = threads.Background("readers")

        def read() -> None:
            for _ in range(500):
                cache.get("k")

        for _ in range(8):
            background.start(read)
        background.close(20)
        assert cache.stats().l1_hits == before + 4_000
