# How long a value lives.
"""Lifetimes: relative, absolute, sliding, adaptive, soft and hard; in memory by a clock, at the server by PTTL too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from cachewright import MISSING, AdaptiveTtl, AsyncCache, ConfigurationError, Policy
from cachewright.testing import FakeClock

pytestmark = pytest.mark.usefixtures("patient")


def name_of(namespace: str, key: str = "k") -> str:
    return f"{namespace}:{{{key}}}"


class Loads:
    """A source that counts how often it is asked, and returns the count."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self) -> int:
        self.count += 1
        return self.count


def at(clock: FakeClock, seconds: float) -> datetime:
    """An aware moment so many seconds from the clock's now."""
    return datetime.fromtimestamp(clock.time() + seconds, timezone(timedelta(hours=5)))


# -------------------------------------------------------------------- relative


@pytest.mark.parametrize("ttl", [60, 60.0, timedelta(minutes=1), lambda value: 60 if value else 1])
async def test_a_value_lives_for_its_ttl_and_no_longer(
    place: Any, namespace: str, clock: FakeClock, ttl: Any
) -> None:
    async with AsyncCache(place, namespace=namespace, clock=clock) as cache:
        await cache.set("k", "v", ttl=ttl)
        await cache.get_or_load("l", lambda: "v", ttl=ttl)
        await cache.get_or_load_many(["m"], lambda keys: {"m": "v"}, ttl=ttl)
        clock.advance(59)
        assert await cache.get_many(["k", "l", "m"]) == {"k": "v", "l": "v", "m": "v"}
        clock.advance(2)
        assert await cache.get_many(["k", "l", "m"]) == {}
        assert await cache.get("k") is MISSING


async def test_defect_23_a_value_is_loaded_again_when_its_life_has_ended(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    loads = Loads()
    async with AsyncCache(place, namespace=namespace, clock=clock) as cache:
        assert [await cache.get_or_load("k", loads, ttl=60) for _ in range(2)] == [1, 1]
        clock.advance(61)
        assert [await cache.get_or_load("k", loads, ttl=60) for _ in range(2)] == [2, 2]


async def test_the_server_drops_a_value_by_itself_when_its_ttl_ends(
    server: Any, raw: Any, namespace: str
) -> None:
    async with AsyncCache(server.url, namespace=namespace, policy=Policy(stale=40)) as cache:
        await cache.set("k", "v", ttl=60)
        await cache.get_or_load("l", lambda: "v", ttl=60)
        await cache.incr("n", ttl=60)
    client = raw(server)
    for key in "kln":
        assert 95_000 < client.pttl(name_of(namespace, key)) <= 100_000


async def test_every_key_that_is_left_at_the_server_expires(
    server: Any, raw: Any, namespace: str
) -> None:
    """Design rule 8."""
    async with AsyncCache(server.url, namespace=namespace, hierarchy=True) as cache:
        await cache.set("a:b", 1, tags=["t"])
        await cache.get_or_load("c", lambda: 1, tags=["t"])
        await cache.set("s", 1, sliding=60)
        await cache.incr("n")
        await cache.invalidate("a:b", tags=["t", "u"])
        async with cache.writing(keys=["w"], tags=["v"]):
            client = raw(server)
            names = list(client.scan_iter(f"{namespace}*"))
            assert len(names) > 5
            assert [name for name in names if client.pttl(name) < 0] == []


@pytest.mark.parametrize("ttl", [0, 0.0, timedelta(0), lambda value: 0])
async def test_defect_05_a_ttl_of_zero_stores_nothing_and_removes_what_was_there(
    place: Any, namespace: str, clock: FakeClock, ttl: Any
) -> None:
    loads = Loads()
    async with AsyncCache(place, namespace=namespace, clock=clock) as cache:
        assert [await cache.get_or_load("k", loads, ttl=ttl) for _ in range(2)] == [1, 2]
        await cache.set("k", "old")
        await cache.set("k", "new", ttl=ttl)
        assert await cache.get("k") is MISSING


@pytest.mark.parametrize(
    "ttl", [-1, timedelta(seconds=-1), lambda value: -1, "60", float("nan"), True]
)
@pytest.mark.parametrize("verb", ["set", "get_or_load", "add", "incr", "touch"])
async def test_defect_05_a_ttl_that_makes_no_sense_is_refused_by_every_verb(
    place: Any, namespace: str, verb: str, ttl: Any
) -> None:
    arguments: dict[str, list[Any]] = {"set": ["v"], "add": ["v"], "get_or_load": [lambda: "v"]}
    given = arguments.get(verb, [])
    async with AsyncCache(place, namespace=namespace) as cache:
        with pytest.raises(ConfigurationError, match="ttl"):
            await getattr(cache, verb)("k", *given, ttl=ttl)


async def test_defect_05_jitter_only_shortens_and_spreads(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    policy = Policy(ttl=100, jitter=0.5)
    async with AsyncCache(place, namespace=namespace, policy=policy, clock=clock) as cache:
        keys = [f"k{n}" for n in range(40)]
        await cache.set_many(dict.fromkeys(keys, 1))
        left = [await cache.ttl(key) for key in keys]
    assert all(one is not None and 50 <= one <= 100 for one in left)
    assert len(set(left)) > 20


# -------------------------------------------------------------------- absolute


async def test_defect_48_a_value_with_a_deadline_lives_until_then(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    async with AsyncCache(place, namespace=namespace, clock=clock) as cache:
        await cache.set("k", "v", expires_at=at(clock, 90))
        await cache.get_or_load("l", lambda: "v", expires_at=at(clock, 90))
        assert await cache.add("m", "v", expires_at=at(clock, 90))
        clock.advance(89)
        assert await cache.get_many(["k", "l", "m"]) == {"k": "v", "l": "v", "m": "v"}
        clock.advance(2)
        assert await cache.get_many(["k", "l", "m"]) == {}


async def test_defect_48_a_deadline_that_has_passed_removes_the_key(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    async with AsyncCache(place, namespace=namespace, clock=clock) as cache:
        await cache.set("k", "old")
        await cache.set("k", "new", expires_at=at(clock, -5))
        assert await cache.get("k") is MISSING
        await cache.set("k", "old")
        assert await cache.touch("k", expires_at=at(clock, -5))
        assert await cache.get("k") is MISSING


async def test_defect_48_a_naive_deadline_is_refused(place: Any, namespace: str) -> None:
    naive = datetime.now(UTC).replace(tzinfo=None)
    async with AsyncCache(place, namespace=namespace) as cache:
        with pytest.raises(ConfigurationError, match="aware"):
            await cache.set("k", "v", expires_at=naive)
        with pytest.raises(ConfigurationError, match="one of"):
            await cache.set("k", "v", ttl=1, expires_at=datetime.now(UTC))


async def test_defect_36_the_wall_clock_may_jump_and_memory_keeps_its_own_time(
    clock: FakeClock,
) -> None:
    """Defect 36: intervals are measured by the monotonic clock."""
    async with AsyncCache(clock=clock) as cache:
        await cache.set("k", "v", ttl=60)
        clock.set_time(clock.time() + 1_000_000)
        assert await cache.get("k") == "v"
        clock.set_time(0.0)
        clock.advance(61)
        assert await cache.get("k") is MISSING


@pytest.mark.parametrize("skew", [1_000_000, -30])
async def test_a_writer_whose_clock_is_wrong_lends_no_extra_life(
    valkey: Any, namespace: str, skew: float
) -> None:
    theirs, mine = FakeClock(1_000_000.0 + skew), FakeClock(1_000_000.0)
    async with AsyncCache(valkey.url, namespace=namespace, clock=theirs) as writer:
        await writer.set("k", "v", ttl=60)
    async with AsyncCache(valkey.url, namespace=namespace, clock=mine) as reader:
        assert await reader.get("k") == "v"
        left = await reader.ttl("k")
        assert left is not None
        assert left <= 60 + min(0, skew) + 0.001


# -------------------------------------------------------------------- adaptive


async def test_an_adaptive_ttl_grows_with_how_often_a_key_is_read(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    policy = Policy(ttl=AdaptiveTtl(low=10, high=110, full_at=10))
    async with AsyncCache(place, namespace=namespace, policy=policy, clock=clock) as cache:
        await cache.get_or_load("cold", lambda: 1)
        for _ in range(20):
            await cache.get_or_load("hot", lambda: 1)
        clock.advance(60)
        assert await cache.get("cold") is MISSING
        await cache.get_or_load("cold", lambda: 2)
        await cache.get_or_load("hot", lambda: 2)
        cold, hot = await cache.ttl("cold"), await cache.ttl("hot")
    assert cold is not None
    assert hot is not None
    assert cold < 50
    assert 100 < hot <= 110


async def test_a_callable_ttl_follows_the_value(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    policy = Policy(ttl=lambda value: timedelta(seconds=value["max_age"]))
    async with AsyncCache(place, namespace=namespace, policy=policy, clock=clock) as cache:
        await cache.get_or_load("k", lambda: {"max_age": 7})
        await cache.set("l", {"max_age": 70})
        assert await cache.ttl("k") == pytest.approx(7)
        assert await cache.ttl("l") == pytest.approx(70)


# -------------------------------------------------------------------- remaining, touch


async def test_what_is_left_is_told_in_seconds(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    policy = Policy(ttl=60, stale=30)
    async with AsyncCache(place, namespace=namespace, policy=policy, clock=clock) as cache:
        assert await cache.ttl("k") is None
        await cache.set("k", "v")
        assert await cache.ttl("k") == pytest.approx(60)
        clock.advance(45)
        assert await cache.ttl("k") == pytest.approx(15)
        clock.advance(20)
        assert await cache.ttl("k") == 0.0, "stale but usable"
        clock.advance(30)
        assert await cache.ttl("k") is None


async def test_what_is_left_is_told_of_the_value_and_not_of_its_copy_in_memory(
    valkey: Any, namespace: str, clock: FakeClock
) -> None:
    async with AsyncCache(
        valkey.url, namespace=namespace, policy=Policy(ttl=60, l1_ttl=5), clock=clock
    ) as cache:
        await cache.set("k", "v")
        assert await cache.ttl("k") == pytest.approx(60)


async def test_defect_50_touch_extends_and_shortens_and_moves_no_value(
    place: Any, raw: Any, namespace: str, clock: FakeClock
) -> None:
    async with AsyncCache(place, namespace=namespace, clock=clock) as cache:
        await cache.set("k", ["v"], ttl=60)
        assert await cache.touch("k", ttl=600)
        assert await cache.ttl("k") == pytest.approx(600)
        clock.advance(100)
        assert await cache.get("k") == ["v"]
        assert await cache.touch("k", ttl=5)
        if place is not None:
            assert raw(place).pttl(name_of(namespace)) <= 5_000
        clock.advance(6)
        assert await cache.get("k") is MISSING


async def test_touch_without_a_ttl_gives_the_policys(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    async with AsyncCache(place, namespace=namespace, policy=Policy(ttl=100), clock=clock) as cache:
        await cache.set("k", "v", ttl=5)
        assert await cache.touch("k")
        assert await cache.ttl("k") == pytest.approx(100)
        assert await cache.touch("k", expires_at=at(clock, 33))
        assert await cache.ttl("k") == pytest.approx(33)


async def test_touch_of_nothing_says_so_and_makes_nothing(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        assert not await cache.touch("k", ttl=60)
        assert not await cache.touch("k", ttl=0)
        assert await cache.get("k") is MISSING


async def test_touch_with_zero_removes(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.set("k", "v")
        assert await cache.touch("k", ttl=0)
        assert await cache.get("k") is MISSING


async def test_touch_does_not_bring_back_what_was_invalidated(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    async with AsyncCache(place, namespace=namespace, clock=clock) as cache:
        await cache.set("k", "v", tags=["t"])
        await cache.invalidate(tags=["t"])
        assert not await cache.touch("k", ttl=600)
        assert await cache.get("k") is MISSING


async def test_touch_keeps_the_tags(place: Any, namespace: str) -> None:
    async with AsyncCache(place, namespace=namespace) as cache:
        await cache.set("k", "v", tags=["t"])
        assert await cache.touch("k", ttl=600)
        await cache.invalidate(tags=["t"])
        assert await cache.get("k") is MISSING


async def test_a_touch_reaches_the_other_processes(valkey: Any, namespace: str) -> None:
    """Their copies in memory would go on with the longer life they were made for."""
    one, other = (AsyncCache(valkey.url, namespace=namespace) for _ in range(2))
    async with one, other:
        await one.set("k", "v", ttl=600)
        assert await other.get("k") == "v"
        await one.touch("k", ttl=0)
        assert await other.get("k", verify=True) is MISSING


# -------------------------------------------------------------------- soft and hard ends


async def test_a_stale_value_is_served_in_its_grace_and_not_after(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    policy = Policy(ttl=60, stale=30)
    async with AsyncCache(place, namespace=namespace, policy=policy, clock=clock) as cache:
        await cache.set("k", "v")
        clock.advance(89)
        assert await cache.get("k") == "v"
        assert cache.stats().stale == 1
        clock.advance(2)
        assert await cache.get("k") is MISSING


async def test_stale_means_stale_by_time_and_never_by_a_stamp(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    """Design rule 1: an invalidated value is not served, whatever the grace."""
    policy = Policy(ttl=60, stale=1000, stale_if_error=1000)
    async with AsyncCache(place, namespace=namespace, policy=policy, clock=clock) as cache:
        await cache.set("k", "v", tags=["t"])
        clock.advance(61)
        await cache.invalidate(tags=["t"])
        assert await cache.get("k") is MISSING
        assert await cache.get_or_load("k", lambda: "new", tags=["t"]) == "new"


async def test_a_grace_for_errors_alone_serves_nothing_while_the_source_is_well(
    place: Any, namespace: str, clock: FakeClock
) -> None:
    loads = Loads()
    policy = Policy(ttl=60, stale_if_error=1000)
    async with AsyncCache(place, namespace=namespace, policy=policy, clock=clock) as cache:
        await cache.get_or_load("k", loads)
        clock.advance(61)
        assert await cache.get_or_load("k", loads) == 2


async def test_memory_keeps_a_value_no_longer_than_its_own_limit(
    valkey: Any, namespace: str, clock: FakeClock
) -> None:
    policy = Policy(ttl=600, l1_ttl=5)
    async with AsyncCache(valkey.url, namespace=namespace, policy=policy, clock=clock) as cache:
        await cache.set("k", "v")
        await cache.get("k")
        await cache.get("k")
        assert cache.stats().l2_hits == 0
        clock.advance(6)
        assert await cache.get("k") == "v"
        assert cache.stats().l2_hits == 1


async def test_a_limit_of_zero_keeps_nothing_in_memory(valkey: Any, namespace: str) -> None:
    async with AsyncCache(valkey.url, namespace=namespace, policy=Policy(l1_ttl=0)) as cache:
        await cache.set("k", "v")
        assert [await cache.get("k") for _ in range(3)] == ["v"] * 3
        assert cache.stats().l2_hits == 3
