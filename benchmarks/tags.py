"""Rows on tags: what invalidating one costs, however many keys carry it, and what carrying one costs a write."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.peers import cashews, redis_py
from benchmarks.rows import Case, Measure, Prepare, Row, Target, floor, ours
from benchmarks.stage import Stage
from benchmarks.values import HUNDRED, PATIENT, SMALL, TTL
from cachewright import MISSING, Cache, Policy

CARRIED = 20
"""Tags that each of the keys carries, so that one filling serves so many invalidations."""
_BATCH = 250
_POLICY = Policy(ttl=TTL, l1_ttl=0, timeouts=PATIENT)


def _cache(stage: Stage, namespace: str) -> Cache:
    cache = Cache(stage.url, namespace=namespace, policy=_POLICY)
    stage.closing(cache.close)
    return cache


def _fill(cache: Cache, number: int, tags: list[str]) -> None:
    """Store so many keys that carry all of these tags."""
    for first in range(0, number, _BATCH):
        names = [f"carrier:{i}" for i in range(first, min(first + _BATCH, number))]
        if not all(cache.set_many(dict.fromkeys(names, SMALL), tags=tags).values()):
            raise RuntimeError("the values could not be stored")


def _thousand(stage: Stage) -> Measure:
    """Each sample invalidates tags that 1,000 live keys carry."""
    cache = _cache(stage, "thousand")
    tags = [f"group:{i}" for i in range(CARRIED)]

    def sample() -> float:
        _fill(cache, 1_000, tags)
        if cache.get("carrier:0") is MISSING:
            raise RuntimeError("there was nothing to invalidate")
        took = _invalidate_each(cache, tags)
        if cache.get("carrier:0") is not MISSING:
            raise RuntimeError("a value outlived its tag")
        return took

    return sample


def _million(stage: Stage) -> Measure:
    """1,000,000 keys carry the tags. They are stored once: from the second sample on they are there, and dead."""
    cache = _cache(stage, "million")
    tags = [f"group:{i}" for i in range(2)]
    _fill(cache, 1_000_000, tags)
    return lambda: _invalidate_each(cache, [tag for _ in range(CARRIED // 2) for tag in tags])


def _none(stage: Stage) -> Measure:
    cache = _cache(stage, "none")
    tags = [f"group:{i}" for i in range(CARRIED)]
    return lambda: _invalidate_each(cache, tags)


def _invalidate_each(cache: Cache, tags: list[str]) -> float:
    """Nanoseconds that half of the invalidations take at most."""
    invalidate, times = cache.invalidate, []
    for tag in tags:
        begin = time.perf_counter_ns()
        invalidate(tags=[tag])
        times.append(time.perf_counter_ns() - begin)
    return median(times)


def _incr(stage: Stage) -> Measure:
    client = redis_py.client(stage.url)
    stage.closing(client.close)
    return stage.timed("incr(key)", [f"counter:{i}" for i in range(CARRIED)], incr=client.incr)


INVALIDATE = Row(
    number=14,
    name="tag-invalidate",
    title="Invalidating a tag",
    unit="ns",
    reference="redis-py INCR",
    pinned=True,
    rounds=21,
    note="One tag a call, sync. What peers do grows with the number of keys that carry the tag.",
    full_only=("cachewright invalidate, 1,000,000 keys carry it",),
    cases=(
        ours("invalidate, no key carries it", _none),
        ours("invalidate, 1,000 keys carry it", _thousand),
        ours("invalidate, 1,000,000 keys carry it", _million),
        floor("redis-py INCR", _incr),
        Case("cashews delete_tags, 1,000 keys carry it", cashews.delete_tags),
    ),
    targets=(
        Target(
            case="cachewright invalidate, 1,000 keys carry it",
            limit=2.0,
            against=("redis-py INCR",),
        ),
        Target(
            case="cachewright invalidate, 1,000,000 keys carry it",
            limit=2.0,
            against=("redis-py INCR",),
        ),
        Target(
            case="cachewright invalidate, 1,000,000 keys carry it",
            limit=1.2,
            against=("cachewright invalidate, 1,000 keys carry it",),
        ),
    ),
)


def _set(tags: tuple[str, ...], namespace: str) -> Prepare:
    def prepare(stage: Stage) -> Measure:
        cache = _cache(stage, namespace)
        stored = cache.set(HUNDRED[0], SMALL, tags=tags)
        if not stored:
            raise RuntimeError("the value could not be stored")
        return stage.timed(
            "put(key, value, tags=tags)", HUNDRED, put=cache.set, value=SMALL, tags=tags
        )

    return prepare


def _raw_set(stage: Stage) -> Measure:
    client = redis_py.client(stage.url)
    stage.closing(client.close)
    return stage.timed(
        "put(key, encode(value), ex=ttl)",
        redis_py.NAMES,
        put=client.set,
        encode=redis_py.ENCODE,
        value=SMALL,
        ttl=TTL,
    )


SET = Row(
    number=14,
    name="tag-set",
    title="What a tag adds to a write",
    unit="ns",
    reference="cachewright set",
    pinned=True,
    note="The same value to L2 again and again, sync; cashews in asyncio.",
    cases=(
        ours("set", _set((), "untagged")),
        ours("set, one tag", _set(("group:1",), "tagged")),
        ours("set, three tags", _set(("group:1", "group:2", "group:3"), "tagged3")),
        floor("redis-py SET, msgpack encode", _raw_set),
        Case("cashews set", cashews.plain_set),
        Case("cashews set, one tag", cashews.tagged_set),
    ),
    targets=(Target(case="cachewright set, one tag", limit=1.1, against=("cachewright set",)),),
)

ROWS = (INVALIDATE, SET)
