# Functions whose results are cached.
"""`cached`: a function whose results are cached, with the signature and the docstring it had.

Keys are built in `core.calls`; everything else is `get_or_load`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from cachewright._waits import aio
from cachewright.core.calls import CallKeys
from cachewright.core.loading import LIVE
from cachewright.core.policy import Policy
from cachewright.core.storable import refuse_generator_function

if TYPE_CHECKING:
    from cachewright._async.cache import AsyncCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoration:
    """How one function is cached."""

    policy: Policy
    default: Any
    verify: bool


def decorate(
    cache: AsyncCache, function: Callable[..., Any], keys: CallKeys, how: Decoration
) -> Callable[..., Any]:
    """The caching twin of `function`, with `invalidate`, `refresh` and `key`, each taking the function's arguments."""
    refuse_generator_function(function)
    read = _reading(cache, keys, how)
    if aio.is_foreign(function):
        wrapper = aio.bridge(function, read)
    else:
        wrapper = _wrapper(cache, function, keys, read)

    async def invalidate(*args: Any, **kwargs: Any) -> None:
        """Forget the result of the call with these arguments."""
        await cache.invalidate(keys.key(*args, **kwargs))

    async def refresh(*args: Any, **kwargs: Any) -> Any:
        """Call the function now and cache the result."""
        with cache.refreshed():
            return await wrapper(*args, **kwargs)

    wrapper.invalidate = invalidate  # type: ignore[attr-defined]
    wrapper.refresh = refresh  # type: ignore[attr-defined]
    wrapper.key = keys.key  # type: ignore[attr-defined]
    return wraps(function)(wrapper)


def _wrapper(
    cache: AsyncCache, function: Callable[..., Any], keys: CallKeys, read: Callable[..., Any]
) -> Callable[..., Any]:
    engine = cache.engine
    table, tags, monotonic = cache.table, engine.tags, engine.monotonic
    count_hit = engine.stats.l1_hits.add
    key_of = keys.key

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        entry = table.get(key_of(*args, **kwargs))
        if (
            entry is not None
            and monotonic() < entry.hot_until
            and entry.epoch == tags.epoch
            and not LIVE.count
        ):
            if entry.freq < 3:
                entry.freq += 1
            count_hit()
            return entry.value
        return await read(function, args, kwargs)

    return wrapper


def _reading(cache: AsyncCache, keys: CallKeys, how: Decoration) -> Callable[..., Any]:
    async def read(load: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return await cache.get_or_load(
            keys.key(*args, **kwargs),
            (lambda: load(*args, **kwargs)) if args or kwargs else load,
            tags=keys.tags(*args, **kwargs),
            default=how.default,
            verify=how.verify,
            policy=how.policy,
        )

    return read
