# Who meets whom at one row.
"""Two processes over one source with one row, and a writer in steps that a test puts in the order it wants.

What must not be here: tests, and what is weakened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any, Self

from _async.steps import until
from patterns._async.through import AsyncTable

from cachewright import ABSENT, MISSING, AsyncCache, Policy, Timeouts
from cachewright.patterns._async.write_through import AsyncCommitOfRows, AsyncWriteThrough


class AsyncNews:
    """A flight that is doomed when the news of its key arrive."""

    key = "the last news"

    def __init__(self, cache: AsyncCache) -> None:
        self._flight = cache.engine.flights.open(self.key, [])

    async def heard(self) -> None:
        await until(lambda: self._flight.doomed)


class AsyncPair:
    """Two processes, as far as they know, over one source with row 1."""

    def __init__(self, url: str | None, namespace: str, *, call: float = 5.0) -> None:
        # A slow machine must not look like a slow server.
        how: Any = {"namespace": namespace, "policy": Policy(timeouts=Timeouts(call=call))}
        first = AsyncCache(url, **how)
        # Without a server two threads of one process meet.
        self.caches = (first, first if url is None else AsyncCache(url, **how))
        self.source = AsyncTable(1)
        self.doors = [AsyncWriteThrough(cache, self.source) for cache in self.caches]
        self.found_wrong = False

    async def __aenter__(self) -> Self:
        for cache in self.caches:
            await cache.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for cache in self.caches:
            await cache.aclose()

    async def cached(self) -> list[Any]:
        """What is cached for the row in each process, when all news have arrived."""
        await self.settle()
        door = self.doors[0]
        return [
            await cache.get(door.key(1), verify=verify)
            for cache in self.caches
            for verify in (0, 1)
        ]

    async def settle(self) -> None:
        """A server tells news in their order: who has heard the last one has heard all."""
        if self.caches[0] is self.caches[1]:
            return
        for cache, other in (self.caches, self.caches[::-1]):
            last = AsyncNews(other)
            await cache.invalidate(last.key)
            await last.heard()

    async def wrong(self) -> bool:
        """Whether anything is cached that the source does not hold."""
        row = self.source.rows.get(1, ABSENT)
        return any(found not in (MISSING, row) for found in await self.cached())


class AsyncWriter:
    """A write of row 1 in three steps."""

    def __init__(self, pair: AsyncPair, which: int, name: str | None) -> None:
        self._pair = pair
        self._door = pair.doors[which]
        self._name = name
        self._commit: AsyncCommitOfRows | None = None
        self.steps: Iterator[Callable[[], Any]] = iter((self.mark, self.commit, self.end))

    async def mark(self) -> None:
        self._commit = self._door.commit_of([1])
        await self._commit.begin()

    async def commit(self) -> None:
        assert self._commit is not None
        if self._name is None:
            self._commit.committed({1: ABSENT} if await self._pair.source.delete(1) else {})
        else:
            row = await self._pair.source.save({"id": 1, "name": self._name})
            self._commit.committed({1: row})

    async def end(self) -> None:
        assert self._commit is not None
        await self._commit.end()


def orders(first: int, second: int) -> list[str]:
    """All orders of `first` steps of A and `second` steps of B."""
    places = range(first + second)
    return [
        "".join("A" if place in chosen else "B" for place in places)
        for chosen in combinations(places, first)
    ]
