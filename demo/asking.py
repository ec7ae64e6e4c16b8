"""Asking through a cache: the handful of lines that an application has to write.

`Desk` opens caches as separate processes would have them, asks them the demo's questions, and counts
what still reaches the database. What must not be here: timing, judging, printing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias

from cachewright import AsyncCache, Cache, Policy
from demo.database import AsyncAsk, Database, Row
from demo.questions import Plan, Question, flight_tags

Answers: TypeAlias = dict[str, list[Row]]
"""Rows by the key of their question."""

POLICY = Policy(ttl=600)


class Desk:
    """Where questions are asked: of the database, or of a cache in front of it."""

    def __init__(self, url: str, database: Database, plan: Plan) -> None:
        self.plan = plan
        self.database_url = database.url
        self._url = url
        self._database = database
        self._loads: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def cache(self) -> Iterator[Cache]:
        """A cache as a process of its own would have it, with its own L1 and its own connection."""
        with Cache(self._url, namespace="demo", policy=POLICY) as cache:
            cache.get("nothing")  # so that no question pays for the first connection
            yield cache

    @asynccontextmanager
    async def async_cache(self) -> AsyncIterator[tuple[AsyncCache, AsyncAsk]]:
        """The same for asyncio, with a way to ask the database that does not block the loop."""
        async with (
            AsyncCache(self._url, namespace="demo", policy=POLICY) as cache,
            self._database.asynchronous() as ask,
        ):
            yield cache, ask

    def ask(self, cache: Cache, question: Question) -> list[Row]:
        """The answer from the cache, which loads it if it has none."""

        def load() -> list[Row]:
            self._count(question)
            return question.ask(self._database)

        rows: list[Row] = cache.get_or_load(question.key, load, tags=question.tags)
        return rows

    async def ask_async(self, cache: AsyncCache, ask: AsyncAsk, question: Question) -> list[Row]:
        """The same for asyncio; `ask` goes to the database."""

        async def load() -> list[Row]:
            self._count(question)
            return await ask(question.sql, question.parameters)

        rows: list[Row] = await cache.get_or_load(question.key, load, tags=question.tags)
        return rows

    def answers(self, cache: Cache, questions: Sequence[Question] = ()) -> Answers:
        """What the cache says to each of the questions, or to all of the plan."""
        return {q.key: self.ask(cache, q) for q in questions or self.plan.questions}

    def truth(self) -> Answers:
        """What the database itself says to all questions of the plan."""
        return {question.key: self.straight(question) for question in self.plan.questions}

    def straight(self, question: Question) -> list[Row]:
        """The answer from the database itself; it does not count as a load."""
        return question.ask(self._database)

    @contextmanager
    def changed(self, cache: Cache) -> Iterator[list[str]]:
        """The plan's flight is changed in here and back afterwards; yields the tags it named."""
        old, new = self.plan.flight, self.plan.changed
        # Of the row before and after: one plane loses the flight, another one gets it.
        tags = sorted({*flight_tags(old), *flight_tags(new)})
        self._write(cache, new, tags)
        try:
            yield tags
        finally:
            self._write(cache, old, tags)

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """A counter that holds, when the context ends, the loads made in it by question key."""
        before, made = self._loads.copy(), Counter[str]()
        yield made
        made.update(self._loads - before)

    def _write(self, cache: Cache, flight: Row, tags: list[str]) -> None:
        with cache.writing(tags=tags):
            self._database.change(
                "UPDATE flights SET arr_delay = %(arr_delay)s, tailnum = %(tailnum)s"
                " WHERE id = %(id)s",
                {name: flight[name] for name in ("arr_delay", "tailnum", "id")},
            )

    def _count(self, question: Question) -> None:
        with self._lock:
            self._loads[question.key] += 1
