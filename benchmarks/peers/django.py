"""Django's own RedisCache, and django-redis, which replaces it."""

from __future__ import annotations

from typing import Any

from benchmarks.rows import Measure
from benchmarks.stage import Stage
from benchmarks.values import CONNECTIONS, HUNDRED, SMALL, TTL


def cache(url: str, *, which: str = "own") -> Any:
    """A cache of Django's: `which` is "own" or "django-redis"."""
    from django.conf import settings
    from django.core.cache import caches

    if which == "django-redis":
        import django_redis  # noqa: F401 - so that a missing one is told as such
    if not settings.configured:
        settings.configure(CACHES=_settings(url))
    return caches["default" if which == "own" else which]


def _settings(url: str) -> dict[str, Any]:
    return {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": "own",
            "OPTIONS": {"max_connections": CONNECTIONS},
        },
        "django-redis": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": "django-redis",
            "OPTIONS": {"CONNECTION_POOL_KWARGS": {"max_connections": CONNECTIONS}},
        },
    }


def _filled(stage: Stage, which: str) -> Any:
    it = cache(stage.url, which=which)
    it.set_many(dict.fromkeys(HUNDRED, SMALL), TTL)
    return it


def get(stage: Stage) -> Measure:
    """RedisCache.get."""
    return stage.timed("get(key)", HUNDRED, get=_filled(stage, "own").get)


def many(stage: Stage) -> Measure:
    """RedisCache.get_many of 100 keys."""
    return stage.timed("get(key)", [HUNDRED], get=_filled(stage, "own").get_many)


def replaced_get(stage: Stage) -> Measure:
    """get of django-redis."""
    return stage.timed("get(key)", HUNDRED, get=_filled(stage, "django-redis").get)


def replaced_many(stage: Stage) -> Measure:
    """get_many of django-redis."""
    return stage.timed("get(key)", [HUNDRED], get=_filled(stage, "django-redis").get_many)


def get_or_set(url: str, *, which: str = "own") -> Any:
    """A decorator that reads a function through get_or_set."""
    it = cache(url, which=which)

    def decorate(load: Any) -> Any:
        return lambda key: it.get_or_set(key, lambda: load(key), TTL)

    return decorate
