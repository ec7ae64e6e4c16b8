# Many values at once, each made from something of its own.
"""A batch of values whose tags this process has never seen: their stamps are asked for together, and compared one by one."""

from __future__ import annotations

from typing import Any

import pytest

from cachewright import AsyncCache, Policy, Timeouts
from cachewright._async.looking import AsyncLooker
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
