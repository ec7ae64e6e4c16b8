"""cachetools: pure Python, no lock of its own. `condition` is its guard against stampedes."""

from __future__ import annotations

import threading
from typing import Any

from benchmarks.peers import warming
from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import TTL


def get(stage: Stage) -> Measure:
    """TTLCache.get, for one thread."""
    from cachetools import TTLCache

    cache: Any = TTLCache(10_000, TTL)
    return warming.gets(stage, cache.get, cache.__setitem__)


def decorate(load: Any) -> Any:
    """@cached over a TTLCache, for one thread."""
    from cachetools import TTLCache, cached

    return cached(TTLCache(10_000, TTL))(load)


def decorate_locked(load: Any) -> Any:
    """The same with a lock, as its documentation asks for where there are threads."""
    from cachetools import TTLCache, cached

    return cached(TTLCache(10_000, TTL), lock=threading.Lock())(load)


def decorate_guarded(load: Any) -> Any:
    """The same with a condition: one load at a time for a key."""
    from cachetools import TTLCache, cached

    return cached(TTLCache(10_000, TTL), condition=threading.Condition())(load)


def hit(stage: Stage) -> Measure:
    """A decorated function's hit."""
    return warming.calls(stage, decorate)


def locked_hit(stage: Stage) -> Measure:
    """A decorated function's hit, safe for threads."""
    return warming.calls(stage, decorate_locked)
