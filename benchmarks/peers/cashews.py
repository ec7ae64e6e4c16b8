"""cashews: decorators for asyncio, in memory and on Redis."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.peers import warming
from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import HUNDRED, SMALL, TTL


def memory() -> Any:
    """A cache in memory that does not look for expired entries during the run."""
    from cashews import Cache

    cache = Cache()
    cache.setup("mem://", size=10_000, check_interval=TTL)
    return cache


def remote(url: str) -> Any:
    """A cache on Redis."""
    from cashews import Cache

    cache = Cache()
    cache.setup(url)
    return cache


def awaited_hit(stage: Stage) -> Measure:
    """A decorated coroutine function's hit in memory."""
    return warming.awaited_calls(stage, memory()(ttl=TTL, key="user:{key}"), HUNDRED)


def awaited_tagged_hit(stage: Stage) -> Measure:
    """The same with a tag."""
    decorate = memory()(ttl=TTL, key="user:{key}", tags=["users:{key}"])
    return warming.awaited_calls(stage, decorate, HUNDRED)


def l2_get(stage: Stage) -> Measure:
    """get on Redis."""
    cache = _filled(stage)
    return stage.timed("await get(key)", HUNDRED, get=cache.get)


def _filled(stage: Stage) -> Any:
    cache = remote(stage.url)
    stage.aclosing(cache.close)
    stage.wait(cache.set_many(dict.fromkeys(HUNDRED, SMALL), expire=TTL))
    return cache


def l2_tasks(stage: Stage) -> Measure:
    """get on Redis, a task for each key."""
    return stage.tasks("await get(key)", HUNDRED, get=_filled(stage).get)


def many(stage: Stage) -> Measure:
    """get_many of 100 keys."""
    return stage.timed("await get(*key)", [HUNDRED], get=_filled(stage).get_many)


def plain_set(stage: Stage) -> Measure:
    """set on Redis."""
    cache = _filled(stage)
    return stage.timed(
        "await put(key, value, expire=ttl)", HUNDRED, put=cache.set, value=SMALL, ttl=TTL
    )


def _tagged(stage: Stage) -> Any:
    cache = _filled(stage)
    cache.register_tag("group", "carrier:{number}")
    return cache


def tagged_set(stage: Stage) -> Measure:
    """set on Redis of keys whose template carries a tag."""
    cache = _tagged(stage)
    names = [f"carrier:{number}" for number in range(len(HUNDRED))]
    return stage.timed(
        "await put(key, value, expire=ttl, tags=tags)",
        names,
        put=cache.set,
        value=SMALL,
        ttl=TTL,
        tags=("group",),
    )


def delete_tags(stage: Stage) -> Measure:
    """delete_tags of one tag that 1,000 keys carry, which are stored anew for each sample."""
    cache = _tagged(stage)

    async def timed() -> float:
        for number in range(1_000):
            await cache.set(f"carrier:{number}", SMALL, expire=TTL, tags=("group",))
        begin = time.perf_counter_ns()
        await cache.delete_tags("group")
        took = time.perf_counter_ns() - begin
        if await cache.get("carrier:0") is not None:
            raise RuntimeError("a value outlived its tag")
        return took

    return lambda: stage.wait(timed())


def decorate(url: str, *, lock: bool = False) -> Any:
    """@cache on Redis. `lock`: its guard across processes."""
    return remote(url)(ttl=TTL, key="rush:{key}", lock=lock)


def decorate_early(url: str, fresh: float = TTL / 2) -> Any:
    """@cache.early: refreshed in the background after `fresh` seconds."""
    return remote(url).early(ttl=TTL, early_ttl=fresh, key="early:{key}")


def decorate_soft(url: str, fresh: float = TTL / 2) -> Any:
    """@cache.soft: refreshed by a caller after `fresh` seconds."""
    return remote(url).soft(ttl=TTL, soft_ttl=fresh, key="soft:{key}")
