"""A source made of functions, for what is no table: a service, a file, a query of one's own.

Two classes written by hand, since a source belongs to the caller's world and not to the engine. What must not be here:
caches, SQL.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from cachewright.errors import ConfigurationError
from cachewright.patterns.identities import Identity, canonical_key, distinct
from cachewright.types import ABSENT, Absent

V = TypeVar("V")
F = TypeVar("F")


class ReadOnly(ConfigurationError):
    """A write to a source that was given no way to write."""


class _Keyed(Generic[V]):
    """What both worlds share: the name, and what an id is."""

    def __init__(
        self, name: str, key: Callable[[V], Any] | None, kinds: type | Sequence[type]
    ) -> None:
        if not name:
            raise ConfigurationError("a source needs a name: it spells the keys and tags")
        self.name = name
        self._key = key
        self._kinds = (kinds,) if isinstance(kinds, type) else tuple(kinds)

    def identity(self, key: Any) -> Identity:
        """The one form of a key of the types `key_types`; `InvalidKey` for what cannot be one."""
        found: Identity = canonical_key(key, self._kinds)
        return found

    def key_of(self, value: V) -> Identity:
        """The identity of a value, by the function `key`."""
        if self._key is None:
            raise ConfigurationError(f"source {self.name}: pass key=, which tells a value's id")
        return self.identity(self._key(value))

    def _given(self, function: F | None, verb: str) -> F:
        if function is None:
            raise ReadOnly(f"source {self.name} cannot {verb}: it was given no function for it")
        return function


def _check(load: object, load_many: object) -> None:
    if load is None and load_many is None:
        raise ConfigurationError("a source needs load=, load_many= or both")


class CallableSource(_Keyed[V]):
    """A source for threads, made of functions.

    At least one of `load` (returns a value or `ABSENT`) and `load_many` (gets distinct identities, returns a mapping by
    identity without the absent) is needed; either serves for the other. `save` and `save_many` return what was stored.
    `key` tells a value's id. `key_types` is the type of an id, or those of its parts: `int`, `(int, str)`; by default
    text, ints and UUIDs are taken as they are, and then "1" and 1 are two.
    """

    def __init__(
        self,
        name: str,
        *,
        load: Callable[[Any], V | Absent] | None = None,
        load_many: Callable[[Sequence[Any]], Mapping[Any, V]] | None = None,
        save: Callable[[V], V] | None = None,
        save_many: Callable[[Sequence[V]], Sequence[V]] | None = None,
        delete: Callable[[Any], bool] | None = None,
        key: Callable[[V], Any] | None = None,
        key_types: type | Sequence[type] = object,
    ) -> None:
        super().__init__(name, key, key_types)
        _check(load, load_many)
        self._load, self._load_many = load, load_many
        self._save, self._save_many, self._delete = save, save_many, delete

    def load(self, key: Any) -> V | Absent:
        """The value, or `ABSENT`."""
        identity = self.identity(key)
        if self._load is not None:
            return self._load(identity)
        return self.load_many([identity]).get(identity, ABSENT)

    def load_many(self, keys: Sequence[Any]) -> Mapping[Identity, V]:
        """The values there are, by identity; each id is asked for once."""
        wanted = distinct(keys, self.identity)
        if not wanted:
            return {}
        if self._load_many is not None:
            found = self._load_many(wanted)
            return {self.identity(key): value for key, value in found.items()}
        loaded = {key: self.load(key) for key in wanted}
        return {key: value for key, value in loaded.items() if value is not ABSENT}

    def save(self, value: V) -> V:
        """Store a value; returns what was stored."""
        if self._save is None and self._save_many is not None:
            return self._save_many([value])[0]
        return self._given(self._save, "save")(value)

    def save_many(self, values: Sequence[V]) -> Sequence[V]:
        """Store values in their order; without a function `save_many`, one by one."""
        if self._save_many is not None:
            return self._save_many(values)
        save = self._given(self._save, "save")
        return [save(value) for value in values]

    def delete(self, key: Any) -> bool:
        """Whether there was something to delete."""
        return self._given(self._delete, "delete")(self.identity(key))


class AsyncCallableSource(_Keyed[V]):
    """A source for asyncio, made of coroutine functions; the arguments are those of `CallableSource`."""

    def __init__(
        self,
        name: str,
        *,
        load: Callable[[Any], Awaitable[V | Absent]] | None = None,
        load_many: Callable[[Sequence[Any]], Awaitable[Mapping[Any, V]]] | None = None,
        save: Callable[[V], Awaitable[V]] | None = None,
        save_many: Callable[[Sequence[V]], Awaitable[Sequence[V]]] | None = None,
        delete: Callable[[Any], Awaitable[bool]] | None = None,
        key: Callable[[V], Any] | None = None,
        key_types: type | Sequence[type] = object,
    ) -> None:
        super().__init__(name, key, key_types)
        _check(load, load_many)
        self._load, self._load_many = load, load_many
        self._save, self._save_many, self._delete = save, save_many, delete
        for function in (load, load_many, save, save_many, delete):
            _refuse_plain(function)

    async def load(self, key: Any) -> V | Absent:
        """The value, or `ABSENT`."""
        identity = self.identity(key)
        if self._load is not None:
            return await self._load(identity)
        return (await self.load_many([identity])).get(identity, ABSENT)

    async def load_many(self, keys: Sequence[Any]) -> Mapping[Identity, V]:
        """The values there are, by identity; each id is asked for once."""
        wanted = distinct(keys, self.identity)
        if not wanted:
            return {}
        if self._load_many is not None:
            found = await self._load_many(wanted)
            return {self.identity(key): value for key, value in found.items()}
        loaded = {key: await self.load(key) for key in wanted}
        return {key: value for key, value in loaded.items() if value is not ABSENT}

    async def save(self, value: V) -> V:
        """Store a value; returns what was stored."""
        if self._save is None and self._save_many is not None:
            return (await self._save_many([value]))[0]
        return await self._given(self._save, "save")(value)

    async def save_many(self, values: Sequence[V]) -> Sequence[V]:
        """Store values in their order; without a function `save_many`, one by one."""
        if self._save_many is not None:
            return await self._save_many(values)
        save = self._given(self._save, "save")
        return [await save(value) for value in values]

    async def delete(self, key: Any) -> bool:
        """Whether there was something to delete."""
        return await self._given(self._delete, "delete")(self.identity(key))


def _refuse_plain(function: object) -> None:
    """A plain function would stop the loop while it waits."""
    if inspect.isfunction(function) and not inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f"{function.__qualname__} is no coroutine function: an AsyncCallableSource needs 'async def'"
        )
