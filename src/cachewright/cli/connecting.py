"""The cache that a command works on: the application's own, or one made of a URL, a namespace and the environment.

What must not be here: commands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from cachewright import Cache
from cachewright.cli.asking import BadInput
from cachewright.cli.naming import NAMED
from cachewright.errors import ConfigurationError

_OPTIONS = (
    click.option(
        "--cache",
        "named",
        type=NAMED,
        help="The application's own Cache, or a function that gives it.",
    ),
    click.option("--url", help="The server, if not of --cache; CACHEWRIGHT_URL unless given."),
    click.option("--namespace", help="CACHEWRIGHT_NAMESPACE unless given."),
)


def connected(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options `named`, `url` and `namespace` of a command, for `the_cache`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def the_cache(named: Any, url: str | None, namespace: str | None) -> Cache:
    """The cache. Raises `BadInput` for one that cannot be had, or that has no server."""
    if named is not None:
        if url or namespace:
            raise BadInput("give --cache, or --url and --namespace: the cache has its own")
        cache = named if isinstance(named, Cache) else named()
        if not isinstance(cache, Cache):
            raise BadInput(f"--cache names a {type(cache).__name__}, not a Cache for threads")
    else:
        given: dict[str, Any] = {"namespace": namespace} if namespace else {}
        try:
            cache = Cache(url, **given) if url else Cache.from_env(**given)
        except ConfigurationError as error:
            raise BadInput(str(error)) from None
    if cache.engine.target is None:
        raise BadInput("a cache without a server ends with this command: give --url or --cache")
    return cache
