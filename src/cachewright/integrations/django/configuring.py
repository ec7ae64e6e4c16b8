"""The query cache that settings describe: `CACHEWRIGHT = {"server": "redis://…", "models": {"shop.Book": 300}}`.

What must not be here: anything that a settings module could not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.module_loading import import_string

from cachewright import Cache
from cachewright.errors import ConfigurationError
from cachewright.integrations.django.queries import QueryCache

_NAMES = {"server", "options", "models", "writes", "replicas", "scope", "exact", "crash_safe"}


def from_settings(said: Mapping[str, Any]) -> QueryCache:
    """The query cache of these settings. Raises `ConfigurationError`.

    `server` and `options` are what `Cache` takes; the others what `QueryCache` takes. `scope` may be the dotted name of
    a function.
    """
    unknown = sorted(set(said) - _NAMES)
    if unknown:
        raise ConfigurationError(
            f"CACHEWRIGHT has {', '.join(sorted(_NAMES))}, not {', '.join(unknown)}"
        )
    scope = said.get("scope")
    return QueryCache(
        Cache(said.get("server"), **said.get("options", {})),
        models=said.get("models"),
        writes=said.get("writes"),
        replicas=said.get("replicas", ()),
        exact=said.get("exact", ()),
        crash_safe=said.get("crash_safe", True),
        scope=import_string(scope) if isinstance(scope, str) else scope,
    )
