"""Rows on the graph: what it costs a fill that its parts hand up their stamps, and what a sampled index of keys costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from statistics import median

from benchmarks.rows import Measure, Prepare, Row, Target, ours
from benchmarks.stage import Stage
from benchmarks.values import PATIENT, SMALL, TTL
from cachewright import Cache, Policy, TagIndex
from cachewright.core.loading import collecting

FEW, MANY = 10, 50
"""Cached values that a whole is made of, each with a row's tags: in memory, as they are on a page that is asked for."""
_FILLS = 60


def _cache(stage: Stage, namespace: str, index: TagIndex | None = None) -> Cache:
    policy = Policy(ttl=TTL, timeouts=PATIENT)
    cache = Cache(stage.url, namespace=namespace, policy=policy, tag_index=index)
    stage.closing(cache.close)
    return cache


def _parts(cache: Cache, number: int) -> list[str]:
    """The keys of parts that are in memory with the stamps of their keys, as after any load that has read them."""
    keys = [f"part:{n}" for n in range(number)]
    for n, key in enumerate(keys):
        cache.set(key, SMALL, tags=[f"row:users:{n}", "rows:users"])
    cache.get_or_load("warm", lambda: [cache.get(key) for key in keys])
    return keys


def _each_fill(cache: Cache, load: Callable[[], object]) -> Measure:
    numbers = count()

    def sample() -> float:
        """Nanoseconds that half of the fills take at most."""
        times = []
        for _ in range(_FILLS):
            key = f"whole:{next(numbers)}"
            begin = time.perf_counter_ns()
            cache.get_or_load(key, load, tags=["page"])
            times.append(time.perf_counter_ns() - begin)
            if key not in cache.engine.memory.table:
                raise RuntimeError("a whole was not stored")
        return median(times)

    return sample


def _gathered(number: int) -> Prepare:
    def prepare(stage: Stage) -> Measure:
        cache = _cache(stage, f"gathered-{number}")
        keys = _parts(cache, number)
        cache.get_or_load("whole", lambda: [cache.get(key) for key in keys])
        if len(cache.engine.memory.table["whole"].stamps) < 2 * number:
            raise RuntimeError("a whole carries no stamps of its parts")
        return _each_fill(cache, lambda: [cache.get(key) for key in keys])

    return prepare


def _ungathered(number: int) -> Prepare:
    """The control: the same reads, in no load, so that hits of memory cost what they cost outside."""

    def prepare(stage: Stage) -> Measure:
        cache = _cache(stage, f"ungathered-{number}")
        keys = _parts(cache, number)

        def load() -> object:
            with collecting(None):
                return [cache.get(key) for key in keys]

        return _each_fill(cache, load)

    return prepare


def _plain_fill(share: float | None) -> Prepare:
    def prepare(stage: Stage) -> Measure:
        index = None if share is None else TagIndex(share=share)
        cache = _cache(stage, f"index-{share}", index)
        return _each_fill(cache, lambda: SMALL)

    return prepare


GATHERING = Row(
    number=19,
    name="gathering",
    title="What gathering adds to a fill",
    unit="ns",
    reference=f"cachewright fill, {FEW} parts, nothing handed up",
    note="A miss, a load that reads cached values from memory and does nothing else, and a fill at the server; sync. "
    "The controls read the same values outside of the load.",
    cases=(
        ours(f"fill, {FEW} parts", _gathered(FEW)),
        ours(f"fill, {FEW} parts, nothing handed up", _ungathered(FEW)),
        ours(f"fill, {MANY} parts", _gathered(MANY)),
        ours(f"fill, {MANY} parts, nothing handed up", _ungathered(MANY)),
    ),
    targets=(
        Target(
            case=f"cachewright fill, {FEW} parts",
            limit=1.1,
            against=(f"cachewright fill, {FEW} parts, nothing handed up",),
        ),
        Target(
            case=f"cachewright fill, {MANY} parts",
            limit=1.1,
            against=(f"cachewright fill, {MANY} parts, nothing handed up",),
            goal=True,
        ),
    ),
)

INDEX = Row(
    number=19,
    name="tag-index",
    title="What a sampled index of keys adds to a fill",
    unit="ns",
    reference="cachewright fill, no index",
    note="A miss, a load that costs nothing, and a fill at the server; sync. The index is told in the background.",
    cases=(
        ours("fill, no index", _plain_fill(None)),
        ours("fill, a tenth of the keys", _plain_fill(0.1)),
        ours("fill, all keys", _plain_fill(1.0)),
    ),
    targets=(
        Target(
            case="cachewright fill, a tenth of the keys",
            limit=1.1,
            against=("cachewright fill, no index",),
        ),
    ),
)

ROWS = (GATHERING, INDEX)
"""All rows, in the order of their numbers."""
