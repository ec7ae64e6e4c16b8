# Before the first visitor comes, from a source.
"""Warming from a source that can list its keys, under the keys and tags of the reading doors.

What must not be here: how a cache is warmed (`cachewright._async.warming`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cachewright._async.warming import AsyncWarmer
from cachewright.core.policy import Ttl
from cachewright.core.warmed import Warmed
from cachewright.errors import ConfigurationError
from cachewright.patterns.naming import checked_name, row_key, row_tags, table_of


class AsyncWarming(AsyncWarmer):
    """Warms one cache, with keys of one's own or with all rows of a source."""

    async def warm_source(self, source: Any, *, ttl: Ttl | None = None) -> Warmed:
        """The same for all rows of a source that can list its keys (`Enumerable`), under the keys of `ReadThrough`."""
        if not hasattr(source, "keys"):
            raise ConfigurationError(
                f"source {source.name!r} cannot list its keys: pass keys and load_many to warm()"
            )
        name, table = checked_name(source.name), table_of(source)

        def pages(position: dict[str, Any]) -> Any:
            return source.keys(page=self._size, after=position["after"])

        async def read(identities: list[Any], load: Callable[[list[Any]], Any]) -> Any:
            asked: dict[Any, Any] = {row_key(name, it): it for it in identities}

            async def load_rows(keys: list[Any]) -> dict[Any, Any]:
                rows = await load([asked[key] for key in keys])
                return {row_key(name, source.identity(key)): row for key, row in rows.items()}

            return await self._cache.get_or_load_many(
                asked,
                load_rows,
                tags=lambda key: row_tags(table, asked[key]),
                ttl=ttl,
                default=None,
                policy=self._policy,
            )

        job = self._job or self._resume or name
        return await self._led(job, pages, source.load_many, read=read)
