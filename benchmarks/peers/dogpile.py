"""dogpile.cache: regions in memory and on Redis, with its dogpile lock."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import warming
from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import CONNECTIONS, HUNDRED, SMALL, TTL


def _memory() -> Any:
    from dogpile.cache import make_region

    return make_region().configure("dogpile.cache.memory", expiration_time=TTL)


def region(
    url: str, *, distributed_lock: bool = False, connections: int | None = CONNECTIONS
) -> Any:
    """A region on Redis, pickling, which is its default; keys expire on the server too."""
    from dogpile.cache import make_region

    arguments: dict[str, Any] = {
        "url": url,
        "redis_expiration_time": 2 * TTL,
        "distributed_lock": distributed_lock,
        "lock_sleep": 0.01,  # seconds between two looks at the lock; the default of 0.1 is far slower
        "thread_local_lock": False,
    }
    if connections is not None:
        arguments["connection_kwargs"] = {"max_connections": connections}
    return make_region().configure("dogpile.cache.redis", expiration_time=TTL, arguments=arguments)


def get(stage: Stage) -> Measure:
    """region.get in memory."""
    memory = _memory()
    return warming.gets(stage, memory.get, memory.set)


def decorate(load: Any) -> Any:
    """@cache_on_arguments in memory."""
    return _memory().cache_on_arguments()(load)


def hit(stage: Stage) -> Measure:
    """A decorated function's hit in memory."""
    return warming.calls(stage, decorate)


def l2_get(stage: Stage) -> Measure:
    """region.get on Redis."""
    remote = _filled(stage)
    return stage.timed("get(key)", HUNDRED, get=remote.get)


def l2_guarded(stage: Stage) -> Measure:
    """get_or_create on Redis: a read guarded against stampedes."""
    remote = _filled(stage)
    return stage.timed("get(key, load)", HUNDRED, get=remote.get_or_create, load=lambda: SMALL)


def many(stage: Stage) -> Measure:
    """get_multi of 100 keys."""
    remote = _filled(stage)
    return stage.timed("get(key)", [HUNDRED], get=remote.get_multi)


def l2_threads(stage: Stage) -> Measure:
    """get_or_create on Redis from 16 threads."""
    remote = _filled(stage)
    return stage.threaded(
        "get(key, load)", 16, HUNDRED, get=remote.get_or_create, load=lambda: SMALL
    )


def _filled(stage: Stage) -> Any:
    remote = region(stage.url)
    remote.set_multi(dict.fromkeys(HUNDRED, SMALL))
    return remote


def remote(
    url: str,
    fresh: float = TTL,
    *,
    distributed_lock: bool = False,
    connections: int | None = CONNECTIONS,
) -> Any:
    """A decorator that reads a function through a region on Redis. `fresh`: seconds."""
    it = region(url, distributed_lock=distributed_lock, connections=connections)

    def decorate(load: Any) -> Any:
        return lambda key: it.get_or_create(key, lambda: load(key), expiration_time=fresh)

    return decorate
