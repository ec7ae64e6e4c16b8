# Functions whose results are cached.
"""`cached`: a function whose results are cached, with the signature and the docstring it had.

Keys are built in `core.calls`; everything else is `get_or_load`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from cachewright._waits import aio
from cachewright.core.calls import CallKeys
from cachewright.core.decision import is_hot
from cachewright.core.entry import Entry
from cachewright.core.loading import LIVE, hands_up
from cachewright.core.policy import Policy, Seconds, Ttl
from cachewright.core.storable import refuse_generator_function
from cachewright.core.wrappers import compile_wrapper, remember

if TYPE_CHECKING:
    from cachewright._async.cache import AsyncCache

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class AsyncCachedFunction(Protocol[P, R_co]):
    """A function whose results are cached. All of its verbs take the function's own arguments."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The cached result, or that of a call."""

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function now, cache the result and return it."""

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget the result of the call with these arguments, in every process."""

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key under which that result is cached."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """A method is bound as any function is."""


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

    async def invalidate(*args: Any, **kwargs: Any) -> None:
        """Forget the result of the call with these arguments."""
        await cache.invalidate(keys.key(*args, **kwargs))

    async def reread(load: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        with cache.refreshed():
            return await read(load, args, kwargs)

    async def refresh(*args: Any, **kwargs: Any) -> Any:
        """Call the function now and cache the result."""
        return await reread(function, args, kwargs)

    if aio.is_foreign(function):
        wrapper = aio.bridge(function, read, _hot(cache, keys, how))
        refresh = aio.bridge(function, reread, lambda *args, **kwargs: None)
    else:
        wrapper = _wrapper(cache, function, keys, read, how=how)
    vars(wrapper).update(invalidate=invalidate, refresh=refresh, key=keys.key)
    return wraps(function)(wrapper)


def _wrapper(
    cache: AsyncCache,
    function: Callable[..., Any],
    keys: CallKeys,
    read: Callable[..., Any],
    *,
    how: Decoration,
) -> Callable[..., Any]:
    engine = cache.engine
    known: dict[Any, str] = {}

    async def read_and_learn(
        short: Any, plain: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if plain:
            remember(known, short, keys.key(*args, **kwargs), most=engine.memory.max_entries)
        return await read(function, args, kwargs)

    compiled = compile_wrapper(
        keys.parameters,
        keys.names,
        define=aio.DEFINE,
        wait=aio.WAIT,
        table=_table(cache, how),
        domain=engine.domain,
        keys=known,
        tags=engine.tags,
        monotonic=engine.monotonic,
        hits=engine.stats.l1_hits.ticks,
        read=read_and_learn,
    )
    return compiled or _starred(function, read, _hot(cache, keys, how))


def _starred(
    function: Callable[..., Any], read: Callable[..., Any], hot: Callable[..., Entry | None]
) -> Callable[..., Any]:
    """For a signature with stars: each call spells its key."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        entry = hot(*args, **kwargs)
        if entry is not None:
            return entry.value
        return await read(function, args, kwargs)

    return wrapper


def _table(cache: AsyncCache, how: Decoration) -> Mapping[str, Entry]:
    """Where a hit may be looked up: nowhere, if each caller wants a copy or asks the server."""
    return {} if how.policy.copy or how.verify else cache.table


def _hot(cache: AsyncCache, keys: CallKeys, how: Decoration) -> Callable[..., Entry | None]:
    """The same test of a hit for calls that are not compiled: the entry, counted, or None."""
    engine, table = cache.engine, _table(cache, how)

    def hot(*args: Any, **kwargs: Any) -> Entry | None:
        entry = table.get(keys.key(*args, **kwargs))
        if entry is None or not is_hot(entry, engine.monotonic(), engine.tags.epoch):
            return None
        if LIVE and not hands_up(entry, engine.domain):
            return None
        if entry.freq < 3:
            entry.freq += 1
        engine.stats.l1_hits.add()
        return entry

    return hot


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


@overload
def cached(self: AsyncCache, function: Callable[P, R], /) -> AsyncCachedFunction[P, R]: ...


@overload
def cached(
    self: AsyncCache,
    /,
    *,
    key: str | None = None,
    tags: Iterable[str] = (),
    ttl: Ttl | None = None,
    sliding: Seconds | None = None,
    policy: Policy | None = None,
    default: Any = None,
    ignore: Iterable[str] = (),
    version: str | int | None = None,
    verify: bool = False,
) -> Callable[[Callable[P, R]], AsyncCachedFunction[P, R]]: ...


def cached(
    self: AsyncCache,
    function: Callable[..., Any] | None = None,
    /,
    *,
    key: str | None = None,
    tags: Iterable[str] = (),
    ttl: Ttl | None = None,
    sliding: Seconds | None = None,
    policy: Policy | None = None,
    default: Any = None,
    ignore: Iterable[str] = (),
    version: str | int | None = None,
    verify: bool = False,
) -> Any:
    """Cache a function's results: `@cache.cached(ttl=60, key="user:{user_id}", tags=["user:{user_id}"])`.

    Without `key` it is made of module, qualified name, `version` and all arguments but those in `ignore` (`self`,
    sessions). A call that returns `ABSENT` returns `default`. The function gets `invalidate`, `refresh` and `key`,
    which take its arguments. Raises `ConfigurationError` for what cannot work, `Unstorable` for generators.
    """
    chosen, _ = self.reads.lives.choose(policy or self.policy, ttl, None, sliding)
    how = Decoration(policy=chosen, default=default, verify=verify)

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        keys = CallKeys(function, key=key, tags=tags, ignore=ignore, version=version)
        return decorate(self, function, keys, how)

    return around if function is None else around(function)
