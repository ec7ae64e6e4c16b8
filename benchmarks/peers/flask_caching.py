"""Flask-Caching on Redis."""

from __future__ import annotations

from typing import Any

from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import CONNECTIONS, HUNDRED, SMALL, TTL


def cache(url: str) -> Any:
    """A cache bound to an application."""
    from flask import Flask
    from flask_caching import Cache

    app = Flask("benchmark")
    settings = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_REDIS_URL": f"{url}?max_connections={CONNECTIONS}",
        "CACHE_DEFAULT_TIMEOUT": TTL,
        "CACHE_KEY_PREFIX": "flask-caching:",
    }
    return Cache(app, config=settings)


def _filled(stage: Stage) -> Any:
    it = cache(stage.url)
    it.set_many(dict.fromkeys(HUNDRED, SMALL))
    return it


def get(stage: Stage) -> Measure:
    """Cache.get."""
    return stage.timed("get(key)", HUNDRED, get=_filled(stage).get)


def many(stage: Stage) -> Measure:
    """Cache.get_many of 100 keys."""
    return stage.timed("get(*key)", [HUNDRED], get=_filled(stage).get_many)


def decorate(url: str) -> Any:
    """@memoize on Redis."""
    return cache(url).memoize(TTL)
