# Values of one type.
"""A cache seen as one that holds values of one type: what is of another is refused on its way in and a miss on its way out.

Objects of the type come back as such: its classes are declared to the codec, and the fingerprint of their schema goes
with the bytes, so that an entry of another release is a miss that the next load replaces (tests/_async/test_typed.py).
What must not be here: how anything is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cachewright._waits import aio
from cachewright.core.kinds import classes_of
from cachewright.errors import Unstorable
from cachewright.types import ABSENT, MISSING, Key

if TYPE_CHECKING:
    from cachewright._async.cache import AsyncCache

T = TypeVar("T")


class AsyncTypedCache(Generic[T]):
    """See `AsyncCache.typed`. The verbs are those of `cache`, over the same entries, with the same options.

    A value of another class raises `Unstorable`, a TypeError, where it is set or loaded. Where it is found, somebody
    has used the key for something else: it is told as `unreadable` and is a miss, and a load replaces it.
    """

    def __init__(self, cache: AsyncCache, spec: Any) -> None:
        self.cache = cache
        self.spec = spec
        self._classes = classes_of(spec)
        cache.engine.packer.declare(spec)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.spec!r} in {self.cache!r}>"

    # ---------------------------------------------------------------- reading

    async def get(self, key: Key, default: Any = MISSING, *, verify: bool = False) -> T | Any:
        """The cached object, or `default`."""
        value = await self.cache.get(key, verify=verify)
        return value if value is not MISSING and self._found(key, value) else default

    async def get_or_load(
        self, key: Key, load: Callable[[], Any], *, default: Any = MISSING, **options: Any
    ) -> T | Any:
        """The cached object, or what `load` returns; `default` where that is `ABSENT`.

        `options`: those of `AsyncCache.get_or_load`.
        """
        checked = partial(self._loaded, load)
        value = await self.cache.get_or_load(key, checked, default=ABSENT, **options)
        if value is not ABSENT and not self._found(key, value):
            with self.cache.refreshed():
                value = await self.cache.get_or_load(key, checked, default=ABSENT, **options)
        return default if value is ABSENT else value

    async def get_many(self, keys: Iterable[Key], *, verify: bool = False) -> dict[Key, T]:
        """The cached objects of those keys that have one."""
        found = await self.cache.get_many(keys, verify=verify)
        return {key: value for key, value in found.items() if self._found(key, value)}

    async def get_or_load_many(
        self,
        keys: Iterable[Key],
        load_many: Callable[[list[Key]], Any],
        *,
        default: Any = MISSING,
        **options: Any,
    ) -> dict[Key, T | Any]:
        """The object of every key; `load_many` gets those that are missing and returns a mapping.

        `options`: those of `AsyncCache.get_or_load_many`.
        """
        checked = partial(self._loaded_many, load_many)
        options["default"] = ABSENT
        found = await self.cache.get_or_load_many(keys, checked, **options)
        wrong = [key for key, it in found.items() if it is not ABSENT and not self._found(key, it)]
        if wrong:
            with self.cache.refreshed():
                found |= await self.cache.get_or_load_many(wrong, checked, **options)
        return {key: default if value is ABSENT else value for key, value in found.items()}

    # ---------------------------------------------------------------- storing

    async def set(self, key: Key, value: T, **options: Any) -> bool:
        """Cache an object; whether it was stored. `options`: those of `AsyncCache.set`."""
        return await self.cache.set(key, self._checked(value), **options)

    async def set_many(self, values: Mapping[Key, T], **options: Any) -> dict[Key, bool]:
        """`set` for many keys: whether each was stored."""
        for value in values.values():
            self._checked(value)
        return await self.cache.set_many(values, **options)

    async def add(self, key: Key, value: T, **options: Any) -> bool:
        """Cache an object if the key has none; whether it was stored."""
        return await self.cache.add(key, self._checked(value), **options)

    async def invalidate(self, *keys: Key, **options: Any) -> None:
        """As `AsyncCache.invalidate`."""
        await self.cache.invalidate(*keys, **options)

    # ---------------------------------------------------------------- what is of the type

    def _checked(self, value: Any) -> Any:
        if (
            value is not ABSENT
            and self._classes is not None
            and not isinstance(value, self._classes)
        ):
            raise Unstorable(f"a {type(value).__qualname__} where {self.spec!r} is kept")
        return value

    def _found(self, key: Key, value: Any) -> bool:
        """Whether what is cached under `key` is of the type."""
        if self._classes is None or isinstance(value, self._classes):
            return True
        what = f"a {type(value).__qualname__} where {self.spec!r} is kept"
        self.cache.engine.unreadable(self.cache.reads.name(key), what)
        return False

    async def _loaded(self, load: Callable[[], Any]) -> Any:
        return self._checked(await aio.call_load(load, (), None))

    async def _loaded_many(self, load_many: Callable[[list[Key]], Any], keys: list[Key]) -> Any:
        values = await aio.call_load(load_many, (keys,), None)
        if isinstance(values, Mapping):
            for value in values.values():
                self._checked(value)
        return values
