"""A cache made once at import is used from whichever event loop runs: from one after the other."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from cachewright import AsyncCache, Policy
from cachewright.embedded import EmbeddedServer
from rig.waiting import eventually_async

# Python says of each connection that was left in a loop which has ended that nobody closed it, and so it is.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _nothing_left_for_other_tests() -> Iterator[None]:
    yield
    gc.collect()


def in_a_loop(work: Callable[[], Awaitable[Any]]) -> Any:
    """As `asyncio.run` does it, in a loop of its own."""

    async def run() -> Any:
        return await work()

    return asyncio.run(run())


async def value() -> str:
    return "value"


async def use(cache: AsyncCache) -> tuple[Any, Any, str]:
    """Stores and reads, from memory and from the server."""
    await cache.get_or_load("k", value)
    return await cache.get("k"), await cache.get("k", verify=True), cache.stats().link


def test_a_cache_works_in_one_loop_after_another(server: EmbeddedServer, namespace: str) -> None:
    cache = AsyncCache(server.url, namespace=namespace)
    for _ in range(3):
        assert in_a_loop(lambda: use(cache)) == ("value", "value", "up")

    async def end() -> None:
        await use(cache)
        await cache.aclose()

    in_a_loop(end)


def test_without_a_server_what_is_cached_outlives_the_loop() -> None:
    cache = AsyncCache()
    assert in_a_loop(lambda: cache.get_or_load("k", value)) == "value"
    assert in_a_loop(lambda: cache.get("k")) == "value"
    in_a_loop(cache.aclose)


def test_a_load_that_died_with_its_loop_does_not_hold_its_key_in_the_next(
    server: EmbeddedServer, namespace: str
) -> None:
    cache = AsyncCache(server.url, namespace=namespace, policy=Policy(lease=0.5))

    async def abandon() -> None:
        began = asyncio.Event()

        async def load() -> None:
            began.set()
            await asyncio.Event().wait()

        caller = asyncio.create_task(cache.get_or_load("k", load))
        await began.wait()
        caller.cancel()

    async def read_again() -> Any:
        try:
            return await asyncio.wait_for(cache.get_or_load("k", value), 5)
        finally:
            await cache.aclose()

    in_a_loop(abandon)
    assert in_a_loop(read_again) == "value"


def test_leases_are_renewed_in_every_loop(valkey: EmbeddedServer, namespace: str) -> None:
    """A loop that ends amid a renewal must not be the last that renews."""
    cache = AsyncCache(valkey.url, namespace=namespace, policy=Policy(lease=0.5))

    async def slow() -> str:
        await asyncio.sleep(1.2)  # longer than two leases
        return "value"

    async def first() -> None:
        await cache.get_or_load("a", value)

    async def second() -> int:
        await cache.get_or_load("b", slow)
        await cache.aclose()
        return cache.stats().fills_refused

    in_a_loop(first)
    assert in_a_loop(second) == 0


def test_a_loop_that_was_left_in_disorder_does_not_disturb_the_next(
    valkey: EmbeddedServer, namespace: str
) -> None:
    """Its pending tasks are only collected later, when the cache has a link in another loop."""
    cache = AsyncCache(valkey.url, namespace=namespace)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # it would log the tasks left behind
    loop.run_until_complete(use(cache))
    loop.close()
    del loop

    async def go_on() -> tuple[Any, Any, str]:
        await use(cache)
        gc.collect()
        try:
            await eventually_async(lambda: cache.stats().link == "up")
            return await use(cache)
        finally:
            await cache.aclose()

    assert in_a_loop(go_on) == ("value", "value", "up")
