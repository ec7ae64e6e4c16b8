# The end of a cache.
"""A closed cache leaves nothing open, whatever was under way, and takes no longer than that to close."""

from __future__ import annotations

import time

from _async.steps import AsyncSource, AsyncStep, until

from cachewright import AsyncCache, Policy
from cachewright.embedded import EmbeddedServer
from rig.proxy import FaultProxy
from rig.servers import OwnServer

PROMPT = 1.0
"""Seconds; half of what closing would wait for work that does not end."""


async def test_closing_takes_no_time_when_nothing_is_under_way(
    server: EmbeddedServer, namespace: str
) -> None:
    cache = AsyncCache(server.url, namespace=namespace)
    source = AsyncSource("value")
    await cache.get_or_load("k", source.load)
    async with cache.writing(keys=["k"]):
        pass
    began = time.monotonic()
    await cache.aclose()
    assert time.monotonic() - began < PROMPT


async def test_closing_waits_for_a_refresh_that_is_about_to_end(
    valkey: EmbeddedServer, namespace: str
) -> None:
    source = AsyncSource("old")
    policy = Policy(ttl=0.001, stale=100)
    async with AsyncCache(valkey.url, namespace=namespace) as reader:
        cache = AsyncCache(valkey.url, namespace=namespace, policy=policy)
        await cache.get_or_load("k", source.load)
        source.gate.clear()
        source.value = "new"
        await until(lambda: time.monotonic() > cache.table["k"].fresh_until)
        await cache.get_or_load("k", source.load)
        await until(lambda: source.loads == 2)
        closing = AsyncStep(cache.aclose)
        source.gate.set()
        await closing.result()
        assert await reader.get_or_load("k", source.load, policy=policy.but(ttl=100)) == "new"


async def test_a_closed_cache_leaves_no_connection_open(
    server: EmbeddedServer, namespace: str
) -> None:
    source = AsyncSource("value")
    with FaultProxy(server.url) as proxy:
        cache = AsyncCache(proxy.url, namespace=namespace)
        await cache.get_or_load("k", source.load)
        assert proxy.open_connections >= 2
        await cache.aclose()
        await until(lambda: proxy.open_connections == 0)


async def test_a_load_that_outlives_its_cache_leaves_no_connection_open_either(
    server: EmbeddedServer, namespace: str
) -> None:
    source = AsyncSource("value")
    source.gate.clear()
    with FaultProxy(server.url) as proxy:
        cache = AsyncCache(proxy.url, namespace=namespace)
        late = AsyncStep(cache.get_or_load, "k", source.load)
        await until(source.began.is_set)
        await cache.aclose()
        source.gate.set()
        assert await late.result() == "value", "its caller is served all the same"
        await until(lambda: proxy.open_connections == 0, within=2.0)


async def test_a_cache_can_be_closed_twice_and_without_ever_having_been_used(
    valkey: EmbeddedServer, namespace: str
) -> None:
    unused = AsyncCache(valkey.url, namespace=namespace)
    await unused.aclose()
    async with AsyncCache(valkey.url, namespace=namespace) as cache:
        await cache.set("k", 1)
        await cache.aclose()


async def test_a_cache_can_be_closed_while_its_server_is_frozen(
    own_server: OwnServer, namespace: str
) -> None:
    server = own_server()
    cache = AsyncCache(server.url, namespace=namespace)
    await cache.set("k", 1)
    server.pause()
    try:
        began = time.monotonic()
        await cache.aclose()
        assert time.monotonic() - began < PROMPT
    finally:
        server.resume()
