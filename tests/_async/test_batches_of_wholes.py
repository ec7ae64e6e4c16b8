# Many values at once, each made from something of its own.
"""A batch of values whose tags this process has never seen: their stamps are asked for together, and compared one by one."""

from __future__ import annotations

from typing import Any

import pytest
from _async import weaknesses
from _async.racing import behind_reply, heard_by
from _async.steps import PATIENCE, AsyncSource, AsyncStep

from cachewright import AsyncCache, Policy, Timeouts, current_load
from cachewright._async.looking import AsyncLooker
from cachewright.core.tags import TagClock
from cachewright.embedded import EmbeddedServer
from rig.proxy import FaultProxy

FAR = Policy(ttl=600, timeouts=Timeouts(call=5.0, connect=5.0))
KEYS = [f"k{n}" for n in range(50)]


async def fill(cache: AsyncCache) -> None:
    """A value for each key, each with a tag of its own."""
    for key in KEYS:
        await cache.get_or_load(key, lambda key=key: f"of {key}", tags=[f"row:{key}"])


async def trips(url: str, namespace: str, *, verify: bool = False) -> int:
    """How many round trips a process that knows nothing needs for all of them."""
    with FaultProxy(url) as proxy:
        async with AsyncCache(proxy.url, namespace=namespace, policy=FAR) as cache:
            await cache.get("anything")
            proxy.reset_counters()
            found = await cache.get_many(KEYS, verify=verify)
            assert found == {key: f"of {key}" for key in KEYS}
            return proxy.round_trips


@pytest.mark.parametrize("verify", [False, True])
async def test_stamps_that_are_not_known_are_asked_for_together(
    verify: bool, valkey: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace, policy=FAR) as first:
        await fill(first)
        assert await trips(valkey.tcp_url, namespace, verify=verify) <= 3 + 1, "and a heartbeat"


async def test_asked_for_one_by_one_they_would_take_a_trip_each(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: Any) -> None:
        pass

    monkeypatch.setattr(AsyncLooker, "ask_ahead", nothing)
    async with AsyncCache(valkey.url, namespace=namespace, policy=FAR) as first:
        await fill(first)
        assert await trips(valkey.tcp_url, namespace) >= len(KEYS)


@pytest.mark.parametrize("verify", [False, True])
async def test_of_a_batch_only_what_was_invalidated_is_missing(
    verify: bool, valkey: EmbeddedServer, namespace: str
) -> None:
    async with (
        AsyncCache(valkey.url, namespace=namespace, policy=FAR) as first,
        AsyncCache(valkey.url, namespace=namespace, policy=FAR) as second,
    ):
        await fill(first)
        await first.invalidate(tags=["row:k7", "row:k9"])
        found = await second.get_many(KEYS, verify=verify)
        assert set(KEYS) - set(map(str, found)) == {"k7", "k9"}


async def test_what_is_invalidated_while_the_stamps_come_is_not_kept(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        AsyncCache(valkey.url, namespace=namespace, policy=FAR) as first,
        AsyncCache(valkey.url, namespace=namespace, policy=FAR) as second,
    ):
        await fill(first)
        ask_ahead = AsyncLooker.ask_ahead

        async def overtaken(*asked: Any) -> None:
            await ask_ahead(*asked)
            monkeypatch.setattr(AsyncLooker, "ask_ahead", ask_ahead)
            await second.invalidate(tags=["row:k7"])

        monkeypatch.setattr(AsyncLooker, "ask_ahead", overtaken)
        await second.get_many(KEYS)
        assert "k7" not in await second.get_many(KEYS)


async def joined_by_a_batch(cache: AsyncCache) -> list[Any]:
    """What a load brings that has read the old row and names its tag late, and what a batch gets that joins it later."""
    source, others = AsyncSource("old"), AsyncSource("other")

    async def load() -> Any:
        value = await source.load()
        current_load().tag("late")
        return value

    async def load_many(keys: list[Any]) -> dict[Any, Any]:
        await others.load()
        return dict.fromkeys(keys, source.value)

    source.gate.clear()
    first = AsyncStep(cache.get_or_load, "joined", load)
    assert await source.began.wait(PATIENCE)
    source.value = "new"
    await cache.invalidate(tags=["late"])
    batch = AsyncStep(cache.get_or_load_many, ["joined", "another"], load_many)
    assert await others.began.wait(PATIENCE), "it leads the other key, and has joined this one"
    source.gate.set()
    return [await first.result(), (await batch.result())["joined"]]


async def test_a_batch_that_joins_a_flight_after_an_invalidation_does_not_take_what_it_brings(
    valkey: EmbeddedServer, namespace: str
) -> None:
    async with AsyncCache(valkey.url, namespace=namespace, policy=FAR) as cache:
        assert await joined_by_a_batch(cache) == ["old", "new"]


async def test_a_batch_that_shares_with_whoever_was_first_is_old(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaknesses.shares_with_latecomers(monkeypatch)
    async with AsyncCache(valkey.url, namespace=namespace, policy=FAR) as cache:
        assert await joined_by_a_batch(cache) == ["old", "old"]


async def acquired_before_news(cache: AsyncCache, other: AsyncCache) -> list[Any]:
    """What a batch reads whose reply to acquire is overtaken by an invalidation, and then by its news."""
    source = AsyncSource("old")

    async def elsewhere() -> None:
        await other.get_or_load("x", source.load, tags=["row"])
        source.value = "new"
        await heard_by(cache, lambda: other.invalidate(tags=["row"]))

    async def load_many(keys: list[Any]) -> dict[Any, Any]:
        return dict.fromkeys(keys, 1)

    behind_reply(cache, "acquire", elsewhere)
    await cache.get_or_load_many(["a", "b"], load_many, tags=["row"])
    return [source.value, await cache.get_or_load("x", source.load, tags=["row"])]


async def test_what_a_batch_has_acquired_teaches_nothing_that_news_have_overtaken(
    valkey: EmbeddedServer, namespace: str
) -> None:
    async with (
        AsyncCache(valkey.url, namespace=namespace, policy=FAR) as cache,
        AsyncCache(valkey.url, namespace=namespace, policy=FAR) as other,
    ):
        assert await acquired_before_news(cache, other) == ["new", "new"]


async def test_if_it_taught_nevertheless_an_old_value_would_be_served(
    valkey: EmbeddedServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = TagClock.learn
    monkeypatch.setattr(
        TagClock, "learn", lambda self, issued, stamps: learn(self, self.epoch, stamps)
    )
    async with (
        AsyncCache(valkey.url, namespace=namespace, policy=FAR) as cache,
        AsyncCache(valkey.url, namespace=namespace, policy=FAR) as other,
    ):
        assert await acquired_before_news(cache, other) == ["new", "old"]
