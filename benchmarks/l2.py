"""Rows on the cache on a server: one key, many callers, many keys. Nothing is taken from L1 here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.peers import aiocache, cashews, django, dogpile, flask_caching, glide, raw, redis_py
from benchmarks.rows import Case, Measure, Row, Sample, Target, floor, ours
from benchmarks.stage import Stage
from benchmarks.values import HUNDRED, SMALL, TTL
from cachewright import AsyncCache, Cache, Policy

SMALL_VALUE = "A value of 230 bytes as JSON, over TCP."
ALWAYS_L2 = Policy(ttl=TTL, l1_ttl=0)
"""Nothing stays in L1, so that each read asks the server."""


def filled(stage: Stage, **options: Any) -> Cache:
    """A cache of ours on the stage's server, with a hundred values."""
    cache = Cache(stage.url, policy=ALWAYS_L2, **options)
    stage.closing(cache.close)
    if not all(cache.set_many(dict.fromkeys(HUNDRED, SMALL)).values()):
        raise RuntimeError("the values could not be stored")
    return cache


def async_filled(stage: Stage, **options: Any) -> AsyncCache:
    """The same for asyncio."""
    cache = AsyncCache(stage.url, policy=ALWAYS_L2, **options)
    stage.aclosing(cache.aclose)
    if not all(stage.wait(cache.set_many(dict.fromkeys(HUNDRED, SMALL))).values()):
        raise RuntimeError("the values could not be stored")
    return cache


def hits_only(cache: Cache | AsyncCache, sample: Callable[[], float]) -> Measure:
    """The same samples, with the reads that were no L2 hit counted: a miss may be quicker than a hit.

    A sample with more than one such read in a hundred fails.
    """

    def checked() -> Sample:
        before = cache.stats()
        value = sample()
        after = cache.stats()
        hits, others = after.l2_hits - before.l2_hits, 0
        for name in ("misses", "l1_hits"):
            others += getattr(after, name) - getattr(before, name)
        if others > hits / 100:
            raise RuntimeError(f"{others} reads were no L2 hits, {hits} were")
        return Sample(value, {"no hits": others})

    return checked


def _never() -> Any:
    raise AssertionError("a hit was expected")


def _get(stage: Stage) -> Measure:
    cache = filled(stage)
    return hits_only(cache, stage.timed("get(key)", HUNDRED, get=cache.get))


def _get_or_load(stage: Stage) -> Measure:
    cache = filled(stage)
    sample = stage.timed("get(key, load)", HUNDRED, get=cache.get_or_load, load=_never)
    return hits_only(cache, sample)


def _awaited_get(stage: Stage) -> Measure:
    cache = async_filled(stage)
    return hits_only(cache, stage.timed("await get(key)", HUNDRED, get=cache.get))


def _awaited_get_or_load(stage: Stage) -> Measure:
    cache = async_filled(stage)
    sample = stage.timed("await get(key, load)", HUNDRED, get=cache.get_or_load, load=_never)
    return hits_only(cache, sample)


def _tasks(stage: Stage) -> Measure:
    cache = async_filled(stage)
    return hits_only(cache, stage.tasks("await get(key)", HUNDRED, get=cache.get))


def _guarded_tasks(stage: Stage) -> Measure:
    cache = async_filled(stage)
    sample = stage.tasks("await get(key, load)", HUNDRED, get=cache.get_or_load, load=_never)
    return hits_only(cache, sample)


def _threads(stage: Stage) -> Measure:
    cache = filled(stage)
    return hits_only(cache, stage.threaded("get(key)", 16, HUNDRED, get=cache.get))


def _guarded_threads(stage: Stage) -> Measure:
    cache = filled(stage)
    sample = stage.threaded("get(key, load)", 16, HUNDRED, get=cache.get_or_load, load=_never)
    return hits_only(cache, sample)


def _many(stage: Stage) -> Measure:
    cache = filled(stage)
    return hits_only(cache, stage.timed("get(key)", [HUNDRED], get=cache.get_many))


def _awaited_many(stage: Stage) -> Measure:
    cache = async_filled(stage)
    return hits_only(cache, stage.timed("await get(key)", [HUNDRED], get=cache.get_many))


SYNC = Row(
    number=6,
    name="l2-sync",
    title="Sync L2 hit, one thread",
    unit="ns",
    reference="redis-py GET, msgpack decode",
    pinned=True,
    note=f"{SMALL_VALUE} Only `get_or_load` and `get_or_create` guard against stampedes.",
    cases=(
        ours("get_or_load", _get_or_load),
        ours("get", _get),
        floor("raw socket GET", raw.get),
        floor("redis-py GET", redis_py.get),
        floor("redis-py GET, msgpack decode", redis_py.get_decoded),
        floor("valkey-glide-sync GET", glide.get),
        Case("dogpile.cache get_or_create", dogpile.l2_guarded),
        Case("dogpile.cache get", dogpile.l2_get),
        Case("Flask-Caching get", flask_caching.get),
        Case("django-redis get", django.replaced_get),
        Case("Django RedisCache get", django.get),
    ),
    targets=(
        Target(
            case="cachewright get_or_load", limit=1.12, against=("redis-py GET, msgpack decode",)
        ),
        Target(
            case="cachewright get_or_load", limit=0.75, against=("dogpile.cache get_or_create",)
        ),
    ),
)

ASYNC = Row(
    number=7,
    name="l2-async",
    title="Asyncio L2 hit, one task",
    unit="ns",
    reference="redis.asyncio GET",
    pinned=True,
    note=SMALL_VALUE,
    cases=(
        ours("get", _awaited_get),
        ours("get_or_load", _awaited_get_or_load),
        floor("raw asyncio GET", raw.awaited_get),
        floor("redis.asyncio GET", redis_py.awaited_get),
        floor("valkey-glide GET", glide.awaited_get),
        Case("cashews get", cashews.l2_get),
        Case("aiocache get", aiocache.l2_get),
    ),
    targets=(
        Target(case="cachewright get", limit=1.1, against=("redis.asyncio GET",)),
        Target(case="cachewright get_or_load", limit=1.1, against=("redis.asyncio GET",)),
        Target(case="cachewright get", limit=1.35, against=("raw asyncio GET",), goal=True),
    ),
)

TASKS = Row(
    number=8,
    name="l2-tasks",
    title="Asyncio L2, 100 tasks on different keys",
    unit="thousand/s",
    reference="redis.asyncio GET",
    higher_is_better=True,
    pinned=True,
    note=SMALL_VALUE,
    cases=(
        ours("get", _tasks),
        ours("get_or_load", _guarded_tasks),
        floor("redis.asyncio GET", redis_py.tasks),
        floor("valkey-glide GET", glide.tasks),
        Case("cashews get", cashews.l2_tasks),
        Case("aiocache get", aiocache.l2_tasks),
    ),
    targets=(
        Target(case="cachewright get", limit=10, against=("redis.asyncio GET",), at_least=True),
        Target(case="cachewright get", limit=3, against=("valkey-glide GET",), at_least=True),
        Target(
            case="cachewright get_or_load", limit=10, against=("redis.asyncio GET",), at_least=True
        ),
        Target(
            case="cachewright get_or_load", limit=3, against=("valkey-glide GET",), at_least=True
        ),
    ),
)

THREADS = Row(
    number=9,
    name="l2-threads",
    title="Sync L2, 16 threads",
    unit="thousand/s",
    reference="redis-py GET",
    higher_is_better=True,
    pinned=True,
    note=SMALL_VALUE,
    cases=(
        ours("get", _threads),
        ours("get_or_load", _guarded_threads),
        floor("redis-py GET", redis_py.threads),
        floor("valkey-glide-sync GET", glide.threads),
        Case("dogpile.cache get_or_create", dogpile.l2_threads),
    ),
    targets=(
        Target(case="cachewright get", limit=2.3, against=("redis-py GET",), at_least=True),
        Target(case="cachewright get_or_load", limit=2.3, against=("redis-py GET",), at_least=True),
    ),
)

MANY = Row(
    number=10,
    name="l2-many-sync",
    title="A hundred keys at once, sync",
    unit="ns",
    reference="redis-py mget",
    pinned=True,
    note=f"{SMALL_VALUE} Nanoseconds a batch; the clients' own mget decodes nothing.",
    cases=(
        ours("get_many", _many),
        floor("redis-py mget", redis_py.many),
        floor("valkey-glide-sync mget", glide.many),
        Case("Flask-Caching get_many", flask_caching.many),
        Case("django-redis get_many", django.replaced_many),
        Case("Django RedisCache get_many", django.many),
        Case("dogpile.cache get_multi", dogpile.many),
    ),
    targets=(Target(case="cachewright get_many", limit=1.7, against=("redis-py mget",)),),
)

AWAITED_MANY = Row(
    number=10,
    name="l2-many-async",
    title="A hundred keys at once, asyncio",
    unit="ns",
    reference="redis.asyncio mget",
    pinned=True,
    note=f"{SMALL_VALUE} Nanoseconds a batch; the clients' own mget decodes nothing.",
    cases=(
        ours("get_many", _awaited_many),
        floor("redis.asyncio mget", redis_py.awaited_many),
        floor("valkey-glide mget", glide.awaited_many),
        Case("aiocache multi_get", aiocache.many),
        Case("cashews get_many", cashews.many),
    ),
    targets=(Target(case="cachewright get_many", limit=1.35, against=("redis.asyncio mget",)),),
)

ROWS = (SYNC, ASYNC, TASKS, THREADS, MANY, AWAITED_MANY)
