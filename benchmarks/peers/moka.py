"""moka-py: the Rust cache moka. `wait_concurrent` is its guard against stampedes."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import warming
from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import TTL


def get(stage: Stage) -> Measure:
    """Moka.get."""
    from moka_py import Moka

    cache: Any = Moka(10_000, ttl=TTL)
    return warming.gets(stage, cache.get, cache.set)


def decorate(load: Any) -> Any:
    """@cached with a TTL."""
    from moka_py import cached

    return cached(10_000, ttl=TTL)(load)


def decorate_guarded(load: Any) -> Any:
    """The same, one load at a time for a key."""
    from moka_py import cached

    return cached(10_000, ttl=TTL, wait_concurrent=True)(load)


def hit(stage: Stage) -> Measure:
    """A decorated function's hit."""
    return warming.calls(stage, decorate)


def awaited_hit(stage: Stage) -> Measure:
    """A decorated coroutine function's hit."""
    return warming.awaited_calls(stage, decorate)


def awaited_guarded_hit(stage: Stage) -> Measure:
    """The same with the guard."""
    return warming.awaited_calls(stage, decorate_guarded)
