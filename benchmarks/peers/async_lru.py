"""async-lru: `alru_cache`, which joins concurrent calls."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import warming
from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import TTL


def decorate(load: Any) -> Any:
    """@alru_cache with a TTL."""
    from async_lru import alru_cache

    return alru_cache(maxsize=10_000, ttl=TTL)(load)


def awaited_hit(stage: Stage) -> Measure:
    """A decorated coroutine function's hit."""
    return warming.awaited_calls(stage, decorate)
