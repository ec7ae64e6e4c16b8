# Methods and properties whose results are cached.
"""`cached_method`: a method whose results are cached by the identity that its object declares.

The key is made of the object's class, its identity (`core.identity`), the method and the bound arguments. What must
not be here: keys of arguments (`core.calls`), how a result is cached.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from cachewright._async.decorating import Decoration
from cachewright._waits import aio
from cachewright.core.calls import CallKeys
from cachewright.core.decision import is_hot
from cachewright.core.entry import Entry
from cachewright.core.identity import Identity, named
from cachewright.core.keys import spell
from cachewright.core.loading import LIVE, hands_up
from cachewright.core.policy import Policy, Seconds, Ttl
from cachewright.core.storable import refuse_generator_function
from cachewright.errors import ConfigurationError

if TYPE_CHECKING:
    from cachewright._async.cache import AsyncCache


class MethodKeys(CallKeys):
    """The keys of one method's calls. The first parameter is the object."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        tags: Iterable[str],
        ignore: Iterable[str],
        version: str | int | None,
        identity: Identity | None,
    ) -> None:
        ignored = [ignore] if isinstance(ignore, str) else list(ignore)
        first = next(iter(inspect.signature(function).parameters), None)
        if first is None:
            raise ConfigurationError(f"{function.__qualname__} is no method: it takes no object")
        super().__init__(function, key=None, tags=tags, ignore=[*ignored, first], version=version)
        self._first = first
        self.identity = identity
        self._method = spell(function.__name__)

    def key(self, *args: Any, **kwargs: Any) -> str:
        """The key of the call with these arguments, the first of which is the object."""
        arguments = self.arguments(*args, **kwargs)
        # The function's own name as well: an override that calls the method it overrides must not find itself.
        return f"{named(arguments[self._first], self.identity)}:{self._method}:{self._listed(arguments)}"


class AsyncCachedMethod:
    """A method whose results are cached. On the class its verbs take the object first, on an object they have it."""

    def __init__(
        self, cache: AsyncCache, function: Callable[..., Any], keys: MethodKeys, how: Decoration
    ) -> None:
        refuse_generator_function(function)
        self._cache = cache
        self._function = function
        self._keys = keys
        self._how = how
        self._table = {} if how.policy.copy or how.verify else cache.table
        foreign = aio.is_foreign(function)
        self._call = aio.bridge(function, self._read, self._hot) if foreign else self._own
        self._again = (
            aio.bridge(function, self._reread, lambda *args, **kwargs: None)
            if foreign
            else lambda *args, **kwargs: self._reread(function, args, kwargs)
        )
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The cached result, or that of a call."""
        return self._call(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Bound to an object; the verbs as well."""
        return self if instance is None else AsyncBoundMethod(self, instance)

    @property
    def has_identity(self) -> bool:
        """Whether the decorator was told what identifies an object."""
        return self._keys.identity is not None

    def key(self, *args: Any, **kwargs: Any) -> str:
        """The key of the call with these arguments."""
        return self._keys.key(*args, **kwargs)

    async def invalidate(self, *args: Any, **kwargs: Any) -> None:
        """Forget the result of the call with these arguments, in every process."""
        await self._cache.invalidate(self._keys.key(*args, **kwargs))

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method now, cache the result and return it."""
        return self._again(*args, **kwargs)

    async def _own(self, *args: Any, **kwargs: Any) -> Any:
        entry = self._hot(*args, **kwargs)
        return entry.value if entry is not None else await self._read(self._function, args, kwargs)

    async def _read(self, load: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        keys, how = self._keys, self._how
        return await self._cache.get_or_load(
            keys.key(*args, **kwargs),
            lambda: load(*args, **kwargs),
            tags=keys.tags(*args, **kwargs),
            default=how.default,
            verify=how.verify,
            policy=how.policy,
        )

    async def _reread(self, load: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        with self._cache.refreshed():
            return await self._read(load, args, kwargs)

    def _hot(self, *args: Any, **kwargs: Any) -> Entry | None:
        """The entry of a hit that needs no thought, counted, or None."""
        engine = self._cache.engine
        entry = self._table.get(self._keys.key(*args, **kwargs)) if self._table else None
        if entry is None or not is_hot(entry, engine.monotonic(), engine.tags.epoch):
            return None
        if LIVE and not hands_up(entry, engine.domain):
            return None
        if entry.freq < 3:
            entry.freq += 1
        engine.stats.l1_hits.add()
        return entry


class AsyncBoundMethod:
    """A cached method of one object."""

    __slots__ = ("_instance", "_method")

    def __init__(self, method: AsyncCachedMethod, instance: Any) -> None:
        self._method = method
        self._instance = instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The cached result, or that of a call."""
        return self._method._call(self._instance, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """What the method has: its name and its documentation."""
        return getattr(self._method, name)

    def key(self, *args: Any, **kwargs: Any) -> str:
        """The key of the call with these arguments."""
        return self._method.key(self._instance, *args, **kwargs)

    async def invalidate(self, *args: Any, **kwargs: Any) -> None:
        """Forget the result of the call with these arguments, in every process."""
        await self._method.invalidate(self._instance, *args, **kwargs)

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method now, cache the result and return it."""
        return self._method.refresh(self._instance, *args, **kwargs)


def cached_method(
    self: AsyncCache,
    function: Callable[..., Any] | None = None,
    /,
    *,
    ttl: Ttl | None = None,
    tags: Iterable[str] = (),
    identity: Identity | None = None,
    sliding: Seconds | None = None,
    policy: Policy | None = None,
    default: Any = None,
    ignore: Iterable[str] = (),
    version: str | int | None = None,
    verify: bool = False,
) -> Any:
    """Cache a method's results by its object's identity: `@cache.cached_method(ttl=60, tags=["user:{self.id}"])`.

    `identity`: what identifies the object among those of its class, the name of an attribute, several, or a function of
    it; else the class says `__cache_identity__ = "id"`. Neither `id()` nor `repr()` is ever used. The method gets
    `invalidate`, `refresh` and `key`: `User.orders.invalidate(user, 2024)` or `user.orders.invalidate(2024)`. Raises
    `ConfigurationError` for an object without a declared identity, `InvalidKey` for one that has none yet.
    """
    chosen, _ = self.reads.lives.choose(policy or self.policy, ttl, None, sliding)
    how = Decoration(policy=chosen, default=default, verify=verify)

    def around(function: Callable[..., Any]) -> AsyncCachedMethod:
        keys = MethodKeys(function, tags=tags, ignore=ignore, version=version, identity=identity)
        return AsyncCachedMethod(self, function, keys, how)

    return around if function is None else around(function)
