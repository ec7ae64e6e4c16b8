"""functools.lru_cache, which knows no TTL: the floor for hits of a decorated function."""

from __future__ import annotations

from functools import lru_cache

from benchmarks.peers import warming
from benchmarks.rows import Measure
from benchmarks.stage import Stage

decorate = lru_cache(maxsize=10_000)


def hit(stage: Stage) -> Measure:
    """A decorated function's hit."""
    return warming.calls(stage, decorate)
