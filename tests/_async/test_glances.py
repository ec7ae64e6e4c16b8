# Hits of L2, the short way.
"""A glance serves what the long way would, in one round trip, and keeps nothing that an invalidation has overtaken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from _async.mutants_of_glances import believes_glances_of_any_epoch, lands_whatever_moved
from _async.racing import heard_by

from cachewright import ABSENT, MISSING, AsyncCache, Policy, Timeouts
from cachewright.embedded import EmbeddedServer
from cachewright.testing import FakeClock
from rig.proxy import FaultProxy

pytestmark = pytest.mark.usefixtures("patient")

FAR = Policy(ttl=60, l1_ttl=0)
"""Nothing is kept in memory, so that every read asks the server."""


async def ready(cache: AsyncCache) -> None:
    """It is connected, and knows the namespace's stamp."""
    await cache.set("ready", 1)
    await cache.get("ready")
    await cache.get_or_load("also ready", lambda: 1)


def glances(cache: AsyncCache) -> int:
    """How many reads have gone the short way to a value."""
    return cache.engine.stats.l2_glances.value


def behind_glance(cache: AsyncCache, write: Callable[[], Any]) -> None:
    """Run `write()` when the server's next reply to a glance has come and nobody has seen it yet."""
    pipe = cache.engine.store.pipe
    ways = {"get": pipe.get, "one": pipe.one}

    def behind(way: Callable[..., Any]) -> Callable[..., Any]:
        async def overtaken(*asked: Any, **how: Any) -> Any:
            vars(pipe).update(ways)
            reply = await way(*asked, **how)
            await write()
            return reply

        return overtaken

    vars(pipe).update({name: behind(way) for name, way in ways.items()})


# -------------------------------------------------------------------- what is served


@pytest.mark.parametrize("value", [0, "", [], False, None, {"a": [1, 2.5]}, "text"])
async def test_a_value_comes_back_in_one_round_trip(
    value: Any, valkey: EmbeddedServer, namespace: str
) -> None:
    with FaultProxy(valkey.url) as proxy:
        async with AsyncCache(proxy.url, namespace=namespace, policy=FAR) as cache:
            await ready(cache)
            await cache.set("k", value)
            proxy.reset_counters()
            before = glances(cache), cache.stats().l2_hits
            assert await cache.get("k") == value
            assert await cache.get_or_load("k", lambda: "loaded") == value
            assert (glances(cache), cache.stats().l2_hits) == (before[0] + 2, before[1] + 2)
            assert proxy.round_trips <= 2 + 1, "and a heartbeat, if it so happens"


async def test_a_long_value_comes_back_whole_however_often_it_is_asked_for(
    valkey: EmbeddedServer, namespace: str
) -> None:
    """In threads the first piece comes by the kernel's time-out and the rest by Python's."""
    async with AsyncCache(valkey.url, namespace=namespace, policy=FAR) as cache:
        await ready(cache)
        await cache.set_many({"long": "x" * 300_000, "short": "y"})
        before = glances(cache)
        for _ in range(3):
            assert await cache.get("long") == "x" * 300_000
            assert await cache.get("short") == "y"
        assert glances(cache) == before + 6


async def test_a_miss_is_handed_on_and_not_asked_for_again(
    valkey: EmbeddedServer, namespace: str
) -> None:
    asked: list[Any] = []
    async with AsyncCache(valkey.url, namespace=namespace, policy=FAR) as cache:
        await ready(cache)
        store = cache.engine.store
        ask = store.ask

        async def listen(commands: Any) -> Any:
            asked.extend(command[0] for command in commands)
            return await ask(commands)

        store.ask = listen
        assert await cache.get("k") is MISSING
        assert asked == []
        assert await cache.get_or_load("k", lambda: "v") == "v"
        assert "GET" not in asked


async def test_what_is_no_plain_hit_goes_the_long_way_to_the_same_answer(
    valkey: EmbeddedServer, namespace: str, clock: FakeClock
) -> None:
    policy = Policy(ttl=60, stale=60, l1_ttl=0)
    async with AsyncCache(valkey.url, namespace=namespace, policy=policy, clock=clock) as cache:
        await ready(cache)
        await cache.get_or_load("absent", lambda: ABSENT)
        await cache.incr("counter", 5)
        await cache.set("sliding", "s", sliding=60)
        await cache.set("stale", "old")
        before = glances(cache)
        assert await cache.get("absent", "none") == "none"
        assert await cache.get("counter") == 5
        assert await cache.get("sliding") == "s"
        clock.advance(90)
        assert await cache.get("stale") == "old"
        clock.advance(90)
        assert await cache.get("stale") is MISSING
        assert glances(cache) == before


@pytest.mark.parametrize(
    "policy",
    [
        Policy(refresh_ahead=0.5, l1_ttl=0),
        Policy(beta=1.0, l1_ttl=0),
        Policy(copy=True, l1_ttl=0),
        Policy(sliding=60, l1_ttl=0),
    ],
)
async def test_a_policy_that_wants_a_thought_at_each_hit_gets_it(
    policy: Policy, valkey: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace, policy=policy) as cache:
        await ready(cache)
        await cache.get_or_load("k", lambda: ["v"])
        assert await cache.get("k") == ["v"]
        assert glances(cache) == 0


async def test_tags_that_can_be_iterated_once_only_are_not_used_up(
    valkey: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace, policy=FAR) as cache:
        await ready(cache)
        tags = (tag for tag in ["t"])
        await cache.get_or_load("k", lambda: "old", tags=tags)
        await cache.invalidate(tags=["t"])
        assert await cache.get_or_load("k", lambda: "new") == "new"


async def test_many_keys_come_from_memory_the_server_and_the_long_way_at_once(
    valkey: EmbeddedServer, namespace: str
) -> None:
    async with (
        AsyncCache(valkey.url, namespace=namespace) as cache,
        AsyncCache(valkey.url, namespace=namespace) as other,
    ):
        await ready(cache)
        await cache.set("here", 1)
        await other.set("there", 2)
        await other.set("tagged", 3, tags=["unknown here"])
        await other.get_or_load("absent", lambda: ABSENT)
        before = cache.stats()
        keys = ["here", "there", "tagged", "absent", "nowhere"]
        assert await cache.get_many(keys) == {"here": 1, "there": 2, "tagged": 3}
        now = cache.stats()
        assert now.hits + now.misses - before.hits - before.misses == len(keys)
        assert await cache.get_many(["here", ("a", "tuple"), "there"]) == {"here": 1, "there": 2}


# -------------------------------------------------------------------- invalidations that meet it

WRITES: dict[str, Callable[[AsyncCache], Any]] = {
    "key": lambda cache: cache.invalidate("k"),
    "tag": lambda cache: cache.invalidate(tags=["t"]),
    "clear": lambda cache: cache.clear(),
    "set": lambda cache: cache.set("k", "new"),
}
writes = pytest.mark.parametrize("write", WRITES)
who = pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])


async def overtaken(
    url: str, namespace: str, *, write: str, here: bool, known: bool, many: bool = False
) -> list[Any]:
    """What is read after a glance whose reply an invalidation has overtaken; `known`: its tag's stamp is."""
    async with (
        AsyncCache(url, namespace=namespace) as cache,
        AsyncCache(url, namespace=namespace) as other,
    ):
        await ready(cache)
        if known:
            await cache.get_or_load("also tagged", lambda: 1, tags=["t"])
        await heard_by(cache, lambda: other.set("k", "old", tags=["t"]))
        if known:
            await cache.get("also tagged")
        await cache.get("ready")

        async def change() -> None:
            writer = cache if here else other
            if here:
                await WRITES[write](writer)
            else:
                await heard_by(cache, lambda: WRITES[write](writer))

        behind_glance(cache, change)
        await (cache.get_many(["k", "l"]) if many else cache.get("k"))
        return [await cache.get("k"), await cache.get("k", verify=True)]


@who
@writes
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("many", [False, True])
async def test_what_an_invalidation_overtook_is_not_served_again(
    *, write: str, here: bool, known: bool, many: bool, valkey: EmbeddedServer, namespace: str
) -> None:
    seen = await overtaken(valkey.url, namespace, write=write, here=here, known=known, many=many)
    assert "old" not in seen


@who
@pytest.mark.parametrize("many", [False, True])
async def test_it_would_be_if_it_landed_whatever_had_moved(
    *,
    here: bool,
    many: bool,
    valkey: EmbeddedServer,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lands_whatever_moved(monkeypatch)
    seen = await overtaken(valkey.url, namespace, write="key", here=here, known=True, many=many)
    assert seen[0] == "old"


@who
async def test_it_would_be_if_the_long_way_believed_a_glance_of_any_epoch(
    here: bool, valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    believes_glances_of_any_epoch(monkeypatch)
    seen = await overtaken(valkey.url, namespace, write="key", here=here, known=False)
    assert seen[0] == "old"


# -------------------------------------------------------------------- a server that fails


async def test_a_glance_that_gets_no_answer_costs_one_budget_and_is_a_miss(
    valkey: EmbeddedServer, namespace: str
) -> None:
    policy = Policy(l1_ttl=0, timeouts=Timeouts(call=0.1, connect=5.0))
    with FaultProxy(valkey.url) as proxy:
        async with AsyncCache(proxy.url, namespace=namespace, policy=policy) as cache:
            await ready(cache)
            await cache.set("k", "v")
            proxy.stall()
            try:
                errors = cache.stats().remote_errors
                assert await cache.get("k") is MISSING
                assert cache.stats().remote_errors == errors + 1
                assert await cache.get_or_load("k", lambda: "loaded") == "loaded"
            finally:
                proxy.heal()
