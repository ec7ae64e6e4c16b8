# Generated from _async/properties.py by tools/unasync.py. Do not edit.
"""`cached_property_for`: a property that is computed anew after so many seconds, or when what it was made from changes.

Of an object with an identity its value is cached for all objects of that identity, in every process; of any other it is
kept by the object itself, with the stamps of what it was made from. Invariant (design rule 3;
tests/_sync/test_properties.py and its mutants would catch its loss): what is kept by an object is served while every
one of those stamps is as the clock knows it, and is handed up to the load around it as any other part is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from cachewright._sync.decorating import Decoration
from cachewright._sync.methods import CachedMethod, MethodKeys
from cachewright._waits import threads
from cachewright.core.entry import Stamps
from cachewright.core.identity import DECLARED, Identity
from cachewright.core.loading import (
    LIVE,
    Load,
    Mode,
    collecting,
    collecting_load,
    enclosing_load,
    mode_of,
)
from cachewright.core.policy import Seconds, as_float
from cachewright.errors import ConfigurationError

if TYPE_CHECKING:
    from cachewright._sync.cache import Cache


class Kept(NamedTuple):
    """A value that its object keeps, until when by the process's monotonic clock, and what it was made from."""

    value: Any
    until: float
    stamps: Stamps


class CachedProperty:
    """See `cached_property_for`."""

    def __init__(
        self,
        cache: Cache,
        function: Callable[..., Any],
        *,
        method: CachedMethod,
        ttl: float,
    ) -> None:
        self._engine = cache.engine
        self._function = function
        self._method = method
        self._ttl = ttl
        self._slot = f"_cachewright_{function.__name__}"
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """The value, cached, kept or computed now."""
        if instance is None:
            return self
        return self._method(instance) if self._is_shared(instance) else self._own(instance)

    def __set__(self, instance: Any, value: Any) -> None:
        """As any property without a setter."""
        raise AttributeError(f"{self._function.__qualname__} cannot be set")

    def forget(self, instance: Any) -> None:
        """Compute it anew when it is next asked for: `User.total.forget(user)`. Of an identity in every process."""
        if self._is_shared(instance):
            self._method.invalidate(instance)
        else:
            vars(instance).pop(self._slot, None)

    def _is_shared(self, instance: Any) -> bool:
        return self._method.has_identity or hasattr(type(instance), DECLARED)

    def _own(self, instance: Any) -> Any:
        engine = self._engine
        try:
            kept = vars(instance).get(self._slot)
        except TypeError:
            raise ConfigurationError(
                f"a {type(instance).__qualname__} has no room for {self._slot}: declare an identity, or a __dict__"
            ) from None
        if kept is not None and self._holds(kept):
            outer = collecting_load(engine.domain) if LIVE else None
            if outer is not None:
                outer.gather(kept.stamps)
            return kept.value
        return self._computed(instance)

    def _holds(self, kept: Kept) -> bool:
        engine = self._engine
        if engine.monotonic() >= kept.until or (LIVE and self._asks_further()):
            return False
        return engine.tags.matches(kept.stamps)

    def _asks_further(self) -> bool:
        """Whether what is kept will not do here: under a mode, or in a load that is verified at the server."""
        outer, engine = enclosing_load(), self._engine
        verified = outer is not None and outer.verify and engine.store is not None
        return verified or mode_of(engine) is not None

    def _computed(self, instance: Any) -> Any:
        engine, outer = self._engine, enclosing_load()
        load = Load((), engine.domain, outer, verify=outer is not None and outer.verify)
        began = engine.monotonic()
        with collecting(load):
            value = threads.call_load(self._function, (instance,), None)
        outer = collecting_load(engine.domain)
        if outer is not None:
            outer.take_over(load)
        # Nothing has shown that a tag named meanwhile is older than what was read.
        bypassed = mode_of(engine) in (Mode.BYPASS, Mode.DISABLE)
        if not (load.poisoned or load.late or bypassed):
            vars(instance)[self._slot] = Kept(value, began + self._ttl, load.gathered)
        return value


def cached_property_for(
    self: Cache,
    ttl: Seconds,
    /,
    *,
    identity: Identity | None = None,
    tags: Iterable[str] = (),
    version: str | int | None = None,
) -> Callable[[Callable[[Any], Any]], Any]:
    """A property computed anew after `ttl` seconds, or when what it was made from is invalidated.

    With `identity=`, or `__cache_identity__` on the class, it is cached as by `cached_method`, with `tags`, and shared
    by all objects of that identity. Else each object keeps its own value. Raises `ConfigurationError`.
    """
    policy, _ = self.reads.lives.choose(self.policy, ttl, None, None)
    how = Decoration(policy=policy, default=None, verify=False)

    def around(function: Callable[[Any], Any]) -> CachedProperty:
        keys = MethodKeys(function, tags=tags, ignore=(), version=version, identity=identity)
        method = CachedMethod(self, function, keys, how)
        return CachedProperty(self, function, method=method, ttl=as_float(ttl))

    return around
