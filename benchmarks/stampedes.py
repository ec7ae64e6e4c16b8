"""Rows on stampedes: a cold key (12) and a key that has just gone stale (13), wanted by many callers at once."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.peers import (
    aiocache,
    async_lru,
    cachebox,
    cachetools,
    cashews,
    django,
    dogpile,
    flask_caching,
    lru_cache,
    moka,
    theine,
)
from benchmarks.rows import Case, Measure, Prepare, Row, Target, ours
from benchmarks.rushing import LOAD, Call, Decorate, Fleet, Loader, by_tasks, by_threads, settled
from benchmarks.stage import Stage
from cachewright import AsyncCache, Cache, Policy

CALLERS = 200
PROCESSES = 4
FRESH = 1.0
"""Seconds for which a value of row 13 is fresh."""
_ROUNDS = 9
_number = itertools.count()


@dataclass(frozen=True)
class Product:
    """How one product serves a function on a server: from the server's URL to a decorator."""

    tasks: bool
    cold: Callable[[str], Decorate]
    stale: Callable[[str], Decorate] = lambda url: _unsupported()


def _unsupported() -> Decorate:
    raise ImportError("it serves no stale values")


def _our_threads(url: str | None, **policy: Any) -> Decorate:
    return Cache(url, namespace="rush", policy=Policy(**policy)).cached(key="rush:{key}")


def _our_tasks(url: str | None, **policy: Any) -> Decorate:
    async def opened(load: Any) -> Call:
        cache = AsyncCache(url, namespace="arush", policy=Policy(**policy))
        await cache.__aenter__()
        call: Call = cache.cached(key="rush:{key}")(load)
        return call

    return opened


PRODUCTS = {
    "cachewright threads": Product(
        False, _our_threads, lambda url: _our_threads(url, ttl=FRESH, stale=60)
    ),
    "cachewright tasks": Product(
        True, _our_tasks, lambda url: _our_tasks(url, ttl=FRESH, stale=60)
    ),
    "dogpile.cache Redis": Product(False, dogpile.remote, lambda url: dogpile.remote(url, FRESH)),
    "dogpile.cache Redis, default pool": Product(
        False, lambda url: dogpile.remote(url, connections=None)
    ),
    "dogpile.cache Redis, distributed_lock": Product(
        False,
        lambda url: dogpile.remote(url, distributed_lock=True),
        lambda url: dogpile.remote(url, FRESH, distributed_lock=True),
    ),
    "Django RedisCache get_or_set": Product(False, django.get_or_set),
    "django-redis get_or_set": Product(
        False, lambda url: django.get_or_set(url, which="django-redis")
    ),
    "Flask-Caching @memoize": Product(False, flask_caching.decorate),
    "cashews @cache": Product(True, cashews.decorate),
    "cashews @cache, lock": Product(True, lambda url: cashews.decorate(url, lock=True)),
    "cashews @early": Product(
        True, cashews.decorate_early, lambda url: cashews.decorate_early(url, FRESH)
    ),
    "cashews @soft": Product(
        True, cashews.decorate_soft, lambda url: cashews.decorate_soft(url, FRESH)
    ),
    "aiocache @cached": Product(True, aiocache.decorate_remote),
    "aiocache @cached_stampede": Product(True, aiocache.decorate_guarded),
}


def _key() -> str:
    return f"{os.getpid()}-{next(_number)}"


def _rushed(decorate: Callable[[Stage], Decorate]) -> Prepare:
    """Threads of this process ask for a cold key."""

    def prepare(stage: Stage) -> Measure:
        loader = Loader()
        call = decorate(stage)(loader.function())
        call(_key())  # connects, and whatever else is done once
        loader.taken()

        def sample() -> Any:
            rush = by_threads(call, _key(), CALLERS)
            rush.loads = loader.taken()
            return rush.sample()

        return sample

    return prepare


def _rushed_by_tasks(decorate: Callable[[Stage], Decorate]) -> Prepare:
    """Tasks of this process ask for a cold key."""

    def prepare(stage: Stage) -> Measure:
        loader = Loader()

        async def warmed() -> Call:
            call: Call = await settled(decorate(stage)(loader.coroutine_function()))
            await call(_key())
            return call

        call = stage.wait(warmed())
        loader.taken()

        def sample() -> Any:
            rush = stage.wait(by_tasks(call, _key(), CALLERS))
            rush.loads = loader.taken()
            return rush.sample()

        return sample

    return prepare


def _local(decorate: Decorate) -> Callable[[Stage], Decorate]:
    return lambda stage: decorate


def _remote(product: str) -> Callable[[Stage], Decorate]:
    return lambda stage: PRODUCTS[product].cold(stage.url)


def _fleet(product: str) -> Prepare:
    """Four processes ask for a cold key."""

    def prepare(stage: Stage) -> Measure:
        fleet = Fleet(product, stage.url, "cold", PROCESSES)
        stage.closing(fleet.close)
        fleet.ask(_key(), 1, 0.1)
        return lambda: fleet.ask(_key(), CALLERS // PROCESSES, 0.2).sample()

    return prepare


def _stale_fleet(product: str) -> Prepare:
    """Four processes that all have the value ask for it just after it has gone stale."""

    def prepare(stage: Stage) -> Measure:
        PRODUCTS[product].stale(stage.url)  # raises for what has no such thing
        fleet = Fleet(product, stage.url, "stale", PROCESSES)
        stage.closing(fleet.close)

        def sample() -> Any:
            key = _key()
            fleet.ask(key, 1, 0.1)
            time.sleep(FRESH + 0.2)
            return fleet.ask(key, CALLERS // PROCESSES, 0.2).sample()

        return sample

    return prepare


def _targets(case: str, limit: float) -> tuple[Target, ...]:
    return (
        Target(case=case, limit=limit, what="× the load (median of rounds)"),
        Target(case=case, limit=1, count="loads", what="loads (worst round)"),
        Target(case=case, limit=0, count="errors", what="errors (worst round)"),
    )


def _stale_targets(case: str) -> tuple[Target, ...]:
    return (
        Target(case=case, limit=1, count="loads", what="loads (worst round)"),
        Target(case=case, limit=0, count="waited", what="callers who waited (worst round)"),
        Target(case=case, limit=0, count="errors", what="errors (worst round)"),
    )


_NOTE = (
    f"A load takes {LOAD * 1000:.0f} ms; the slowest of {CALLERS} callers, in units of that. Peers that take a connection a "
    "caller may open 400; redis-py's default is 100."
)
_ON_SERVER = ("cachewright threads", "cachewright tasks")

COLD_THREADS = Row(
    number=12,
    name="cold-threads",
    title="A cold key, 200 threads of one process",
    unit="× the load",
    reference="cachewright L1",
    rounds=_ROUNDS,
    note=_NOTE,
    cases=(
        ours("L1", _rushed(_local(_our_threads(None)))),
        ours("L1 and L2", _rushed(_remote("cachewright threads"))),
        Case("functools.lru_cache", _rushed(_local(lru_cache.decorate))),
        Case("cachebox @cached", _rushed(_local(cachebox.decorate))),
        Case("cachetools @cached, lock", _rushed(_local(cachetools.decorate_locked))),
        Case("cachetools @cached, condition", _rushed(_local(cachetools.decorate_guarded))),
        Case("theine @Memoize", _rushed(_local(theine.decorate))),
        Case("moka @cached", _rushed(_local(moka.decorate))),
        Case("moka @cached, wait_concurrent", _rushed(_local(moka.decorate_guarded))),
        Case("dogpile.cache memory", _rushed(_local(dogpile.decorate))),
        *(
            Case(name, _rushed(_remote(name)))
            for name, product in PRODUCTS.items()
            if not product.tasks and name not in _ON_SERVER
        ),
    ),
    targets=(*_targets("cachewright L1", 1.3), *_targets("cachewright L1 and L2", 1.3)),
)

COLD_TASKS = Row(
    number=12,
    name="cold-tasks",
    title="A cold key, 200 tasks of one process",
    unit="× the load",
    reference="cachewright L1",
    rounds=_ROUNDS,
    note=_NOTE,
    cases=(
        ours("L1", _rushed_by_tasks(_local(_our_tasks(None)))),
        ours("L1 and L2", _rushed_by_tasks(_remote("cachewright tasks"))),
        Case("async-lru @alru_cache", _rushed_by_tasks(_local(async_lru.decorate))),
        Case("cachebox @cached", _rushed_by_tasks(_local(cachebox.decorate))),
        Case("theine @Memoize", _rushed_by_tasks(_local(theine.decorate))),
        Case("moka @cached", _rushed_by_tasks(_local(moka.decorate))),
        Case("moka @cached, wait_concurrent", _rushed_by_tasks(_local(moka.decorate_guarded))),
        *(
            Case(name, _rushed_by_tasks(_remote(name)))
            for name, product in PRODUCTS.items()
            if product.tasks and name not in _ON_SERVER
        ),
    ),
    targets=(*_targets("cachewright L1", 1.3), *_targets("cachewright L1 and L2", 1.3)),
)

COLD_FLEET = Row(
    number=12,
    name="cold-fleet",
    title="A cold key, 4 processes with 50 callers each",
    unit="× the load",
    reference="cachewright threads",
    rounds=_ROUNDS,
    note=_NOTE,
    cases=tuple(
        Case(name, _fleet(name), "ours" if name in _ON_SERVER else "peer") for name in PRODUCTS
    ),
    targets=tuple(target for name in _ON_SERVER for target in _targets(name, 1.6)),
)

STALE_FLEET = Row(
    number=13,
    name="stale-fleet",
    title="A hot key gone stale, 4 processes with 50 callers each",
    unit="× the load",
    reference="cachewright threads",
    rounds=_ROUNDS,
    note=f"{_NOTE} A caller has waited if it took half a load or more.",
    cases=tuple(
        Case(name, _stale_fleet(name), "ours" if name in _ON_SERVER else "peer")
        for name in (
            *_ON_SERVER,
            "dogpile.cache Redis",
            "dogpile.cache Redis, distributed_lock",
            "cashews @early",
            "cashews @soft",
        )
    ),
    targets=tuple(target for name in _ON_SERVER for target in _stale_targets(name)),
)

ROWS = (COLD_THREADS, COLD_TASKS, COLD_FLEET, STALE_FLEET)
