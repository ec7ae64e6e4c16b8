# One object for one key, while a piece of work lasts.
"""A session: within it, a key gives the same object as long as what is cached is the same value.

Memory does that by itself, until it evicts the entry, keeps none (`l1_ttl=0`) or hands out copies (`copy=True`). Every read
still goes to the cache, so that an invalidation is seen and a load around it is told what it read. What must not be
here: how a read is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from cachewright.core.entry import Entry
from cachewright.core.policy import Policy, Ttl
from cachewright.core.reads import Tags
from cachewright.types import ABSENT, MISSING, Key

if TYPE_CHECKING:
    from cachewright._async.cache import AsyncCache


class AsyncSession:
    """See `AsyncCache.session`. For one thread or task at a time; it holds what it has given out until it ends."""

    def __init__(self, cache: AsyncCache) -> None:
        self._cache = cache
        self._given: dict[str, tuple[Entry, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Hold nothing any more: the next reads give objects of their own."""
        self._given.clear()

    async def get(self, key: Key, default: Any = MISSING, *, verify: bool = False) -> Any:
        """The object that is cached, or `default`; the one that was given before, if it is still the same value."""
        read = self._cache.reads.read(key, verify=verify)
        found = await self._cache._reader.find(read)
        return default if found is None else self._one(read.key, found, default, read.policy)

    async def get_or_load(
        self,
        key: Key,
        load: Callable[[], Any],
        *,
        tags: Tags = (),
        ttl: Ttl | None = None,
        default: Any = MISSING,
        verify: bool = False,
        policy: Policy | None = None,
    ) -> Any:
        """As `AsyncCache.get_or_load`, and as `get` here."""
        reads = self._cache.reads
        read = reads.read(key, tags, policy=policy, verify=verify)
        read.policy, read.life = reads.lives.choose(read.policy, ttl, None, None)
        read.load = load
        entry = await self._cache._reader.get_or_load(read)
        return self._one(read.key, entry, default, read.policy)

    async def get_many(self, keys: Iterable[Key]) -> dict[Key, Any]:
        """The objects of those keys that have one."""
        found = {key: await self.get(key) for key in keys}
        return {key: value for key, value in found.items() if value is not MISSING}

    def _one(self, name: str, entry: Entry, default: Any, policy: Policy) -> Any:
        if entry.value is ABSENT:
            self._given.pop(name, None)
            return default
        given = self._given.get(name)
        if given is not None and _same(given[0], entry):
            return given[1]
        value = self._cache.reads.value(entry, default, policy)
        self._given[name] = entry, value
        return value


def _same(one: Entry, other: Entry) -> bool:
    """Whether two entries are of one write: the id of a write at a server is carried by no other."""
    return one is other or (bool(one.fill) and one.fill == other.fill)
