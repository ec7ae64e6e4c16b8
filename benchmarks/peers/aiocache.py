"""aiocache: in memory and on Redis. Its time-outs are switched off (each is an `asyncio.wait_for`).

It pickles: its msgpack serializer returns bytes for text, or fails, with this client.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers import warming
from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import CONNECTIONS, HUNDRED, SMALL, TTL, address


def decorate(load: Any) -> Any:
    """@cached in memory."""
    import aiocache

    return aiocache.cached(ttl=TTL, cache=aiocache.Cache.MEMORY, timeout=None)(load)


def awaited_hit(stage: Stage) -> Measure:
    """A decorated coroutine function's hit in memory."""
    return warming.awaited_calls(stage, decorate, HUNDRED)


def remote(url: str, **options: Any) -> Any:
    """A cache on Redis."""
    from aiocache import RedisCache
    from aiocache.serializers import PickleSerializer

    host, port = address(url)
    return RedisCache(
        endpoint=host,
        port=port,
        namespace="aiocache",
        serializer=PickleSerializer(),
        timeout=None,
        **options,
    )


def l2_get(stage: Stage) -> Measure:
    """get on Redis."""
    cache = _filled(stage)
    return stage.timed("await get(key)", HUNDRED, get=cache.get)


def _filled(stage: Stage) -> Any:
    cache = remote(stage.url)
    stage.aclosing(cache.close)
    stage.wait(cache.multi_set([(key, SMALL) for key in HUNDRED], ttl=TTL))
    return cache


def l2_tasks(stage: Stage) -> Measure:
    """get on Redis, a task for each key."""
    return stage.tasks("await get(key)", HUNDRED, get=_filled(stage).get)


def many(stage: Stage) -> Measure:
    """multi_get of 100 keys."""
    return stage.timed("await get(key)", [HUNDRED], get=_filled(stage).multi_get)


def decorate_remote(url: str) -> Any:
    """@cached on Redis."""
    import aiocache

    return aiocache.cached(ttl=TTL, **_at(url))


def decorate_guarded(url: str) -> Any:
    """@cached_stampede on Redis: its lock lasts for two seconds."""
    import aiocache

    return aiocache.cached_stampede(lease=2, ttl=TTL, **_at(url))


def _at(url: str) -> dict[str, Any]:
    from aiocache import RedisCache
    from aiocache.serializers import PickleSerializer

    host, port = address(url)
    return {
        "cache": RedisCache,
        "endpoint": host,
        "port": port,
        "serializer": PickleSerializer(),
        "timeout": None,
        "pool_max_size": CONNECTIONS,
        "namespace": "aiocache",
    }
