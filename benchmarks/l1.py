"""Rows on the cache in the process: hits of `get` and of decorated functions."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import (
    aiocache,
    async_lru,
    cachebox,
    cachetools,
    cashews,
    dogpile,
    lru_cache,
    moka,
    theine,
    warming,
)
from benchmarks.rows import Case, Measure, Row, Target, floor, ours
from benchmarks.stage import Stage
from benchmarks.values import KEYS, SMALL, TTL
from cachewright import AsyncCache, Cache, Policy

POLICY = Policy(ttl=TTL)


def cache_of_ours(stage: Stage) -> Cache:
    """Without a server."""
    cache = Cache(policy=POLICY)
    stage.closing(cache.close)
    return cache


def async_cache_of_ours(stage: Stage) -> AsyncCache:
    """The same for asyncio."""
    cache = AsyncCache(policy=POLICY)
    stage.aclosing(cache.aclose)
    return cache


def _get(stage: Stage) -> Measure:
    cache = cache_of_ours(stage)
    return warming.gets(stage, cache.get, cache.set)


def _get_or_load(stage: Stage) -> Measure:
    cache = cache_of_ours(stage)
    cache.set_many(dict.fromkeys(KEYS, SMALL))
    return stage.timed("get(key, load)", get=cache.get_or_load, load=lambda: SMALL)


def _cached(stage: Stage) -> Measure:
    return warming.calls(stage, cache_of_ours(stage).cached)


def _cached_by_template(stage: Stage) -> Measure:
    return warming.calls(stage, cache_of_ours(stage).cached(key="user:{key}", tags=["user:{key}"]))


def _bare_await(stage: Stage) -> Measure:
    async def load(_key: str) -> Any:
        return SMALL

    return stage.timed("await load(key)", load=load)


def _awaited(stage: Stage) -> Measure:
    return warming.awaited_calls(stage, async_cache_of_ours(stage).cached)


def _awaited_with_tags(stage: Stage) -> Measure:
    cache = async_cache_of_ours(stage)
    return warming.awaited_calls(stage, cache.cached(key="user:{key}", tags=["user:{key}"]))


def _awaited_get(stage: Stage) -> Measure:
    cache = async_cache_of_ours(stage)
    stage.wait(cache.set_many(dict.fromkeys(KEYS, SMALL)))
    return stage.timed("await get(key)", get=cache.get)


PURE_PYTHON_GETS = (
    "cachetools TTLCache.get",
    "theine Cache.get, nolock",
    "dogpile.cache memory get",
)

GET = Row(
    number=1,
    name="l1-get",
    title="Sync get, L1, with a TTL",
    unit="ns",
    reference="functools.lru_cache",
    clock="cpu",
    note="1,000 resident keys; lru_cache has no TTL, cachebox and moka are native code.",
    cases=(
        ours("get", _get),
        ours("get_or_load", _get_or_load),
        floor("functools.lru_cache", lru_cache.hit),
        Case("cachebox TTLCache.get", cachebox.get),
        Case("moka Moka.get", moka.get),
        Case("cachetools TTLCache.get", cachetools.get),
        Case("theine Cache.get, nolock", theine.get),
        Case("dogpile.cache memory get", dogpile.get),
    ),
    targets=(
        Target(case="cachewright get", limit=3.3, against=("functools.lru_cache",)),
        Target(
            case="cachewright get",
            limit=0.25,
            against=PURE_PYTHON_GETS,
        ),
        Target(case="cachewright get", limit=1.0, against=("moka Moka.get",), goal=True),
    ),
)

DECORATED = Row(
    number=2,
    name="l1-decorated",
    title="Sync decorated hit, with a TTL",
    unit="ns",
    reference="functools.lru_cache",
    clock="cpu",
    note="1,000 resident keys, one string argument; cachebox's copying of values is switched off.",
    cases=(
        ours("@cached", _cached),
        ours("@cached, key and tags by template", _cached_by_template),
        floor("functools.lru_cache", lru_cache.hit),
        Case("cachebox @cached", cachebox.hit),
        Case("moka @cached", moka.hit),
        Case("cachetools @cached", cachetools.hit),
        Case("cachetools @cached, lock", cachetools.locked_hit),
        Case("theine @Memoize", theine.hit),
        Case("dogpile.cache @cache_on_arguments", dogpile.hit),
    ),
    targets=(
        Target(case="cachewright @cached", limit=4.0, against=("functools.lru_cache",)),
        Target(case="cachewright @cached", limit=0.65, against=("cachebox @cached",)),
        Target(case="cachewright @cached", limit=2.8, against=("functools.lru_cache",), goal=True),
    ),
)

AWAITED = Row(
    number=4,
    name="l1-async",
    title="Asyncio decorated hit, with a TTL",
    unit="ns",
    reference="a bare await",
    clock="cpu",
    note="1,000 resident keys, one string argument.",
    cases=(
        ours("@cached", _awaited),
        ours("@cached, key and tags by template", _awaited_with_tags),
        ours("get", _awaited_get),
        floor("a bare await", _bare_await),
        Case("moka @cached", moka.awaited_hit),
        Case("moka @cached, wait_concurrent", moka.awaited_guarded_hit),
        Case("cachebox @cached", cachebox.awaited_hit),
        Case("async-lru @alru_cache", async_lru.awaited_hit),
        Case("theine @Memoize", theine.awaited_hit),
        Case("cashews @cache", cashews.awaited_hit),
        Case("cashews @cache, tags", cashews.awaited_tagged_hit),
        Case("aiocache @cached", aiocache.awaited_hit),
    ),
    targets=(
        Target(case="cachewright @cached", limit=3.5, against=("a bare await",)),
        Target(
            case="cachewright @cached, key and tags by template",
            limit=6.0,
            against=("a bare await",),
        ),
    ),
)

ROWS = (GET, DECORATED, AWAITED)
