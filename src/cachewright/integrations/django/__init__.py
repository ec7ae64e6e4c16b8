"""Django: models as sources of values, and its queries in the cache. Needs the extra `django`; queries need `sql` too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachewright.integrations.django.modelcache import ModelCache
    from cachewright.integrations.django.queries import QueryCache
    from cachewright.integrations.django.queryset import CachedManager, CachedQuerySet, cached
    from cachewright.integrations.django.source import ModelSource
    from cachewright.integrations.django.transactions import DjangoTransaction

__all__ = [
    "CachedManager",
    "CachedQuerySet",
    "DjangoTransaction",
    "ModelCache",
    "ModelSource",
    "QueryCache",
    "cached",
]

_WHERE = {
    "CachedManager": "queryset",
    "CachedQuerySet": "queryset",
    "DjangoTransaction": "transactions",
    "ModelCache": "modelcache",
    "ModelSource": "source",
    "QueryCache": "queries",
    "cached": "queryset",
}


def __getattr__(name: str) -> Any:
    """Each name from its own module when it is first used: Django imports this package before its applications."""
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{where}"), name)
