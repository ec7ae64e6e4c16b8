# The pattern most people begin with.
"""Cache-aside: the application asks the cache, and says how to load what is missing.

The door adds a name to the keys and the right tags; leases, negative entries and two-phase writes are the engine's.
What must not be here: a `set` after a load, which is what lets an old value come back (see `cache.get_or_load`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from cachewright._async.cache import AsyncCache
from cachewright._async.writing import AsyncWriting
from cachewright.core.keys import as_key
from cachewright.core.policy import Policy, Seconds, Ttl
from cachewright.core.reads import Tags
from cachewright.errors import ConfigurationError
from cachewright.patterns.naming import checked_name, dirty_tags, row_key, row_tags, table_of
from cachewright.patterns.sources import AsyncSource
from cachewright.types import MISSING


class AsyncCacheAside:
    """Rows by key, each loaded by what the caller says: `users.get(42, load_user)`.

    `name`: what the rows are, such as their table; keys and tags begin with it. `source` instead of it: a `Source`,
    whose name is taken, whose identities are canonical (`"1"` and `1` are one row of an int column) and whose `load`
    is used where none is given. `policy`: how long and how fresh, the cache's own unless given.
    """

    def __init__(
        self,
        cache: AsyncCache,
        name: str | None = None,
        *,
        source: AsyncSource[Any] | None = None,
        policy: Policy | None = None,
    ) -> None:
        if (name is None) == (source is None):
            raise ConfigurationError("give a name or a source: one of them names the rows")
        self.cache = cache
        self.name = checked_name(name if source is None else source.name)
        self._table = self.name if source is None else table_of(source)
        self._source = source
        self._policy = policy

    def key(self, key: Any) -> tuple[Any, ...]:
        """The cache key of a row."""
        return row_key(self.name, self._identity(key))

    def _identity(self, key: Any) -> Any:
        return key if self._source is None else self._source.identity(key)

    async def get(
        self,
        key: Any,
        load: Callable[[Any], Any] | None = None,
        *,
        default: Any = MISSING,
        tags: Tags = (),
        verify: bool = False,
    ) -> Any:
        """The row, or what `load(key)` returns, which is then cached; `default` if that is `ABSENT`.

        One load for a key runs in the fleet, and none that raced a write is stored. `load` gets the canonical key.
        `tags`: what else the value is made from. Raises what `load` raises.
        """
        identity = self._identity(key)
        if load is None:
            if self._source is None:
                raise ConfigurationError("say how to load it: get(key, load), or give a source")
            load = self._source.load
        return await self.cache.get_or_load(
            # As the text that it is in the table of L1, a hit needs no further thought.
            as_key(row_key(self.name, identity)),
            partial(load, identity),
            tags=[*row_tags(self._table, identity), *tags],
            default=default,
            verify=verify,
            policy=self._policy,
        )

    async def put(self, key: Any, value: Any, *, ttl: Ttl | None = None, tags: Tags = ()) -> bool:
        """Cache a value that was computed elsewhere; whether it was stored.

        Not for what was read from the source: a write may have come in between, and no cache can know. Use `get`.
        """
        identity = self._identity(key)
        lifetime = self._policy.ttl if ttl is None and self._policy is not None else ttl
        return await self.cache.set(
            row_key(self.name, identity),
            value,
            ttl=lifetime,
            tags=[*row_tags(self._table, identity), *tags],
        )

    async def invalidate(self, *keys: Any) -> None:
        """Forget rows, and all that was made from them, in every process. After the commit; better use `writing`."""
        identities = [self._identity(key) for key in keys]
        await self.cache.invalidate(
            *(row_key(self.name, identity) for identity in identities),
            tags=dirty_tags(self._table, identities),
        )

    def writing(
        self, *keys: Any, tags: Tags = (), strict: bool = False, limit: Seconds = 30.0
    ) -> AsyncWriting:
        """Around a write of these rows to the source: dirty before the commit, fresh after it (`cache.writing`).

        A crash in between costs misses and leaves no old value. `tags`: what else the write makes wrong.
        """
        identities = [self._identity(key) for key in keys]
        dirty = dirty_tags(self._table, identities)
        return self.cache.writing(
            keys=[row_key(self.name, identity) for identity in identities],
            tags=[*dirty, *tags],
            strict=strict,
            limit=limit,
        )
