"""theine: W-TinyLFU with a core in Rust."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from benchmarks.peers import warming
from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import KEYS, SMALL, TTL


def get(stage: Stage) -> Measure:
    """Cache.get without its lock, for one thread."""
    from theine import Cache

    cache: Any = Cache(10_000, nolock=True)
    life = timedelta(seconds=TTL)
    for key in KEYS:
        cache.set(key, SMALL, life)
    return stage.timed("get(key)", get=cache.get)


def decorate(load: Any) -> Any:
    """@Memoize with a TTL; its guard against stampedes is built in."""
    from theine import Memoize

    return Memoize(10_000, timedelta(seconds=TTL))(load)


def hit(stage: Stage) -> Measure:
    """A decorated function's hit."""
    return warming.calls(stage, decorate)


def awaited_hit(stage: Stage) -> Measure:
    """A decorated coroutine function's hit."""
    return warming.awaited_calls(stage, decorate)
