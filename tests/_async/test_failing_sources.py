# Sources that fail.
"""What a failing source costs: stale values where the policy has them, doubling pauses, and errors kept on request."""

from __future__ import annotations

import pytest
from _async.pairs import SWR, AsyncPair, idle
from _async.steps import AsyncSource

from cachewright import AsyncCache, Policy
from cachewright.embedded import EmbeddedServer
from cachewright.testing import FakeClock, RecordingListener


class Down(Exception):
    """What the source raises."""


async def test_stale_if_error_serves_the_old_value_and_asks_again_at_doubling_intervals(
    server: EmbeddedServer, namespace: str
) -> None:
    policy = Policy(ttl=10, stale_if_error=1000, retry_after=1)
    async with AsyncPair(server, namespace, policy) as pair:
        await pair.read(pair.a)
        pair.clock.advance(10)
        pair.source.error = Down()
        for pause in (1, 2, 4, 8, 10, 10):
            loads = pair.source.loads
            assert await pair.read(pair.a) == "old"
            assert pair.source.loads == loads + 1, f"asked, before a pause of {pause} s"
            pair.clock.advance(pause - 0.1)
            assert await pair.read(pair.a) == "old"
            assert pair.source.loads == loads + 1, f"left alone for {pause} s"
            pair.clock.advance(0.1)
        pair.source.error, pair.source.value = None, "new"
        assert await pair.read(pair.a) == "new"


async def test_after_a_success_the_pauses_begin_anew() -> None:
    clock, source = FakeClock(), AsyncSource("old")
    policy = Policy(ttl=10, stale_if_error=1000, retry_after=1)
    async with AsyncCache(policy=policy, clock=clock) as cache:
        await cache.get_or_load("k", source.load)
        for _ in range(2):
            source.error = Down()
            clock.advance(10)
            await cache.get_or_load("k", source.load)
            clock.advance(1.0)
            source.error = None
            loads = source.loads
            await cache.get_or_load("k", source.load)
            assert source.loads == loads + 1


async def test_past_stale_if_error_the_loaders_error_is_raised_as_it_is(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncPair(server, namespace, Policy(ttl=10, stale_if_error=20)) as pair:
        await pair.read(pair.a)
        pair.source.error = Down("as it is")
        pair.clock.advance(30)
        with pytest.raises(Down, match="as it is"):
            await pair.read(pair.a)


async def test_stale_if_error_does_not_serve_what_was_invalidated(
    server: EmbeddedServer, namespace: str
) -> None:
    async with AsyncPair(server, namespace, Policy(ttl=10, stale_if_error=100)) as pair:
        await pair.read(pair.a, tags=["row"])
        pair.clock.advance(11)
        pair.source.error = Down()
        await pair.a.invalidate(tags=["row"])
        with pytest.raises(Down):
            await pair.read(pair.a, tags=["row"])


async def test_a_refresh_that_fails_keeps_the_stale_value_tells_it_and_backs_off() -> None:
    clock, source, events = FakeClock(), AsyncSource("old"), RecordingListener()
    async with AsyncCache(policy=SWR, clock=clock, listeners=[events]) as cache:
        await cache.get_or_load("k", source.load)
        source.error = Down()
        clock.advance(11)
        for _ in range(5):
            assert await cache.get_or_load("k", source.load) == "old"
            await idle(cache)
        assert source.loads == 2, "one refresh, then a pause"
        assert len(events.of("refresh_failed")) == 1
        clock.advance(1.1)
        source.error, source.value = None, "new"
        assert await cache.get_or_load("k", source.load) == "old"
        await idle(cache)
        assert await cache.get_or_load("k", source.load) == "new"


async def test_an_exception_is_kept_only_when_asked_for(
    server: EmbeddedServer, namespace: str
) -> None:
    source = AsyncSource()
    source.error = Down("no such row")
    kept = Policy(cache_errors=(Down,), error_ttl=5)
    async with AsyncPair(server, namespace, kept) as pair:
        for _ in range(3):
            with pytest.raises(Down, match="no such row"):
                await pair.a.get_or_load("plain", source.load, policy=Policy())
        assert source.loads == 3
        for _ in range(3):
            with pytest.raises(Down, match="no such row"):
                await pair.a.get_or_load("kept", source.load)
        assert source.loads == 4
        source.error = ValueError("not among them")
        for _ in range(2):
            with pytest.raises(ValueError, match="not among them"):
                await pair.a.get_or_load("other", source.load)
        assert source.loads == 6
        pair.clock.advance(5)
        source.error = None
        assert await pair.a.get_or_load("kept", source.load) == "old"


async def test_a_kept_exception_is_forgotten_when_its_key_or_tag_is_invalidated() -> None:
    source = AsyncSource("value")
    policy = Policy(cache_errors=(Down,), error_ttl=60)
    async with AsyncCache(policy=policy) as cache:
        for keys, tags in ((["k"], []), ([], ["row"])):
            source.error = Down()
            with pytest.raises(Down):
                await cache.get_or_load("k", source.load, tags=["row"])
            source.error = None
            await cache.invalidate(*keys, tags=tags)
            assert await cache.get_or_load("k", source.load, tags=["row"]) == "value"
            await cache.clear()
