# A write to the source, and what it makes wrong.
"""The two-phase write: dirty before the source commits, fresh stamps after, so that a crash in between leaves no lie.

Invariants kept here (design rule 5; tests/_async/test_writing.py and its mutants would catch their loss):
- phase 1 destroys the stamp or entry, adds the writer's own token to the mark, publishes and drops locally;
- `before_commit` re-asserts every mark, and one found missing is made and published again;
- phase 2 removes only the writer's own token; the mark of a writer that died runs out by itself and costs misses.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from cachewright._async.engine import AsyncEngine
from cachewright._async.flights import Flight
from cachewright._async.leases import AsyncLeases
from cachewright._async.redis import AsyncRedisStore
from cachewright.core.policy import Seconds, seconds
from cachewright.errors import ConfigurationError, RemoteError


class AsyncWriting:
    """One write: `async with cache.writing(...) as write: ...; await write.before_commit(); ...`.

    `limit`: seconds that the source allows from `before_commit` (or the last sign of life) to the commit.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        leases: AsyncLeases,
        keys: Sequence[str],
        tags: Sequence[str],
        *,
        strict: bool,
        limit: Seconds,
    ) -> None:
        if not keys and not tags:
            raise ConfigurationError(
                "writing() needs to know what it makes wrong: give keys= or tags="
            )
        limit = seconds("limit", limit, zero=False)
        self._engine = engine
        self._keys = keys
        self._tags = tags
        self._refuses = strict or engine.policy.on_error == "raise"
        """Whether it does not go on when the server cannot be told."""
        self._limit = limit
        self._token = secrets.token_hex(12)
        self._flights: list[Flight] = []
        """Flights of its own, which it does not doom itself."""
        self._keeping = leases.keeping(self._renew, every=limit / 3, limit=float("inf"))

    async def __aenter__(self) -> Self:
        await self._engine.open()
        try:
            await self._mark(always_tell=True)
        except RemoteError:
            # The body will not run, so nothing was written; take back what may have been marked.
            await self._end()
            raise
        self._keeping.__enter__()
        return self

    async def before_commit(self) -> None:
        """Call immediately before the source commits, where the source lets you.

        Raises `RemoteError` in a strict write whose marks cannot be re-asserted: do not commit then.
        """
        await self._mark()

    async def _mark(self, *, always_tell: bool = False, renewing: bool = False) -> None:
        engine, store = self._engine, self._engine.store
        made = 0
        try:
            if store is not None:
                made = await self._mark_at(store, renewing=renewing)
        except RemoteError as error:
            made = 1
            engine.stats.count("remote_errors")
            engine.tell("remote_error", detail="mark", error=error)
            if store is not None:
                store.repairs.add(self._keys, self._tags)
            if self._refuses:
                raise
        finally:
            if made or always_tell:
                engine.flights.invalidate(self._keys, self._tags, but=self._flights)

    async def _mark_at(self, store: AsyncRedisStore, *, renewing: bool) -> int:
        """Mark at the server; how many marks had to be made."""
        return await store.mark(
            self._keys, self._tags, self._token, lasting=self._limit, renewing=renewing
        )

    async def _renew(self) -> None:
        await self._mark(renewing=True)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._keeping.__exit__(None, None, None)
        # Also after an error: whether the source committed before it, nobody here knows.
        await self._end()

    async def _end(self) -> None:
        await self._engine.invalidate(self._keys, self._tags, token=self._token)
