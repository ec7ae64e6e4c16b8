# Generated from _async/meeting.py by tools/unasync.py. Do not edit.
"""Two processes over one source with one row, and a writer in steps that a test puts in the order it wants.

What must not be here: tests, and what is weakened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any, Self

from _sync.steps import until
from patterns._sync.through import Table

from cachewright import ABSENT, MISSING, Cache, Policy, Timeouts
from cachewright.patterns._sync.write_through import CommitOfRows, WriteThrough


class News:
    """A flight that is doomed when the news of its key arrive."""

    key = "the last news"

    def __init__(self, cache: Cache) -> None:
        self._flight = cache.engine.flights.open(self.key, [])

    def heard(self) -> None:
        until(lambda: self._flight.doomed)


class Pair:
    """Two processes, as far as they know, over one source with row 1."""

    def __init__(self, url: str | None, namespace: str, *, call: float = 5.0) -> None:
        # A slow machine must not look like a slow server.
        how: Any = {"namespace": namespace, "policy": Policy(timeouts=Timeouts(call=call))}
        first = Cache(url, **how)
        # Without a server two threads of one process meet.
        self.caches = (first, first if url is None else Cache(url, **how))
        self.source = Table(1)
        self.doors = [WriteThrough(cache, self.source) for cache in self.caches]
        self.found_wrong = False

    def __enter__(self) -> Self:
        for cache in self.caches:
            cache.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for cache in self.caches:
            cache.close()

    def cached(self) -> list[Any]:
        """What is cached for the row in each process, when all news have arrived."""
        self.settle()
        door = self.doors[0]
        return [
            cache.get(door.key(1), verify=verify)
            for cache in self.caches
            for verify in (0, 1)
        ]

    def settle(self) -> None:
        """A server tells news in their order: who has heard the last one has heard all."""
        if self.caches[0] is self.caches[1]:
            return
        for cache, other in (self.caches, self.caches[::-1]):
            last = News(other)
            cache.invalidate(last.key)
            last.heard()

    def wrong(self) -> bool:
        """Whether anything is cached that the source does not hold."""
        row = self.source.rows.get(1, ABSENT)
        return any(found not in (MISSING, row) for found in self.cached())


class Writer:
    """A write of row 1 in three steps."""

    def __init__(self, pair: Pair, which: int, name: str | None) -> None:
        self._pair = pair
        self._door = pair.doors[which]
        self._name = name
        self._commit: CommitOfRows | None = None
        self.steps: Iterator[Callable[[], Any]] = iter((self.mark, self.commit, self.end))

    def mark(self) -> None:
        self._commit = self._door.commit_of([1])
        self._commit.begin()

    def commit(self) -> None:
        assert self._commit is not None
        if self._name is None:
            self._commit.committed({1: ABSENT} if self._pair.source.delete(1) else {})
        else:
            row = self._pair.source.save({"id": 1, "name": self._name})
            self._commit.committed({1: row})

    def end(self) -> None:
        assert self._commit is not None
        self._commit.end()


def orders(first: int, second: int) -> list[str]:
    """All orders of `first` steps of A and `second` steps of B."""
    places = range(first + second)
    return [
        "".join("A" if place in chosen else "B" for place in places)
        for chosen in combinations(places, first)
    ]
