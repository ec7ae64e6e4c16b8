"""A task that is cancelled while it waits for a load harms nobody else, and not the load either."""

from __future__ import annotations

import asyncio

import pytest
from _async.steps import AsyncSource, until

from cachewright import AsyncCache, Policy
from cachewright._waits import aio
from cachewright.core.policy import Timeouts
from cachewright.embedded import EmbeddedServer

FOLLOWERS = 5


async def read_after_the_leader_was_cancelled(cache: AsyncCache, source: AsyncSource) -> list[str]:
    """What the followers get whose leader is cancelled in the middle of its load."""
    source.gate.clear()
    leader = asyncio.create_task(cache.get_or_load("k", source.load))
    await until(source.began.is_set)
    followers = [asyncio.create_task(cache.get_or_load("k", source.load)) for _ in range(FOLLOWERS)]
    await until(lambda: cache.stats().joined == FOLLOWERS)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    source.gate.set()
    return await asyncio.wait_for(asyncio.gather(*followers), 5)


async def test_the_load_of_a_cancelled_leader_goes_on_for_its_followers(
    server: EmbeddedServer, namespace: str
) -> None:
    source = AsyncSource("value")
    async with AsyncCache(server.url, namespace=namespace) as cache:
        assert await read_after_the_leader_was_cancelled(cache, source) == ["value"] * FOLLOWERS
        assert source.loads == 1
        assert await cache.get("k", verify=True) == "value", "and is kept"


async def test_the_same_holds_without_a_server() -> None:
    source = AsyncSource("value")
    async with AsyncCache() as cache:
        assert await read_after_the_leader_was_cancelled(cache, source) == ["value"] * FOLLOWERS
        assert source.loads == 1
        assert await cache.get("k") == "value"


async def test_a_load_that_dies_with_its_leader_is_begun_again_by_a_follower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the shield is for: without it one caller's impatience costs another load."""

    async def carry(work, *args):  # type: ignore[no-untyped-def]
        await work(*args)

    monkeypatch.setattr(aio, "carry", carry)
    source = AsyncSource("value")
    async with AsyncCache() as cache:
        assert await read_after_the_leader_was_cancelled(cache, source) == ["value"] * FOLLOWERS
        assert source.loads == 2


async def test_a_cancelled_follower_leaves_the_others_and_the_load_alone() -> None:
    source = AsyncSource("value")
    source.gate.clear()
    async with AsyncCache() as cache:
        leader = asyncio.create_task(cache.get_or_load("k", source.load))
        await until(source.began.is_set)
        followers = [asyncio.create_task(cache.get_or_load("k", source.load)) for _ in range(3)]
        await until(lambda: cache.stats().joined == 3)
        followers[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await followers[0]
        source.gate.set()
        assert await asyncio.gather(leader, *followers[1:]) == ["value"] * 3
        assert source.loads == 1


async def test_a_loader_that_cancels_itself_does_not_cancel_who_follows_it() -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    loads = 0

    async def load() -> str:
        nonlocal loads
        loads += 1
        if loads == 1:
            began.set()
            await go_on.wait()
            raise asyncio.CancelledError
        return "value"

    async with AsyncCache() as cache:
        leader = asyncio.create_task(cache.get_or_load("k", load))
        await began.wait()
        follower = asyncio.create_task(cache.get_or_load("k", load))
        await until(lambda: cache.stats().joined == 1)
        go_on.set()
        assert await asyncio.wait_for(follower, 5) == "value"
        with pytest.raises(asyncio.CancelledError):
            await leader


async def test_a_caller_that_is_cancelled_while_it_waits_for_another_process_gives_up_nothing(
    valkey: EmbeddedServer, namespace: str
) -> None:
    source = AsyncSource("value")
    source.gate.clear()
    async with (
        AsyncCache(valkey.url, namespace=namespace) as a,
        AsyncCache(valkey.url, namespace=namespace) as b,
    ):
        leader = asyncio.create_task(a.get_or_load("k", source.load))
        await until(source.began.is_set)
        waiting = asyncio.create_task(b.get_or_load("k", source.load))
        await until(lambda: b.stats().misses == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        source.gate.set()
        assert await leader == await b.get_or_load("k", source.load) == "value"
        assert source.loads == 1


async def test_a_load_is_stopped_when_its_time_is_over_and_its_lease_is_given_back(
    valkey: EmbeddedServer, namespace: str
) -> None:
    """A task can be stopped, unlike a thread."""
    stopped = asyncio.Event()

    async def load() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError("not reached")

    policy = Policy(timeouts=Timeouts(load=0.1))
    async with AsyncCache(valkey.url, namespace=namespace, policy=policy) as cache:
        with pytest.raises(TimeoutError):
            await cache.get_or_load("k", load)
        assert stopped.is_set()

        async def value() -> str:
            return "value"

        assert await asyncio.wait_for(cache.get_or_load("k", value), 2) == "value"
