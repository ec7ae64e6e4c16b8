"""cachebox: native containers. Its decorator copies dicts on each hit unless told not to; it is told."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import warming
from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import TTL


def _cache() -> Any:
    import cachebox

    return cachebox.TTLCache(10_000, global_ttl=TTL)


def get(stage: Stage) -> Measure:
    """TTLCache.get."""
    cache = _cache()
    return warming.gets(stage, cache.get, cache.insert)


def decorate(load: Any) -> Any:
    """@cached over a TTLCache, with its guard against stampedes, which costs a hit nothing."""
    import cachebox

    return cachebox.cached(_cache(), postprocess=None)(load)


def hit(stage: Stage) -> Measure:
    """A decorated function's hit."""
    return warming.calls(stage, decorate)


def awaited_hit(stage: Stage) -> Measure:
    """A decorated coroutine function's hit."""
    return warming.awaited_calls(stage, decorate)
