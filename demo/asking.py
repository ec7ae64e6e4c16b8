"""Asking through a cache: the handful of lines that an application has to write.

`Desk` opens caches as separate processes would have them, asks them the demo's questions, and counts
what still reaches the database. What must not be here: timing, judging, printing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from cachewright import AsyncCache, Cache, Policy, Timeouts
from cachewright.core.explained import Explained
from cachewright.integrations.sqlalchemy import QueryCache
from demo.database import Database, Row
from demo.questions import Plan, Question
from demo.schema import Flight

Answers: TypeAlias = dict[str, list[Row]]
"""Rows by the key of their question."""
Ask: TypeAlias = Callable[[Question], Awaitable[list[Row]]]

POLICY = Policy(ttl=600, timeouts=Timeouts(call=2.0, connect=2.0))
_ASKED = "question"
"""The execution option by which a statement that reaches the database is told from others."""


@dataclass(frozen=True, slots=True)
class Process:
    """What a process of its own would have: a cache with its own memory, and sessions that are served from it."""

    cache: Cache
    sessions: sessionmaker[Session]

    def execute(self, session: Session, question: Question) -> sa.Result[Any]:
        """The answer from the cache, which loads it if it has none: nobody says what it depends on."""
        return session.execute(
            question.statement,
            question.parameters,
            execution_options={"cache": POLICY.ttl, _ASKED: question.key},
        )

    def ask(self, question: Question) -> list[Row]:
        """The same as plain rows."""
        with self.sessions() as session:
            return [dict(row) for row in self.execute(session, question).mappings()]

    def answers(self, questions: Sequence[Question]) -> Answers:
        """What the cache says to each of the questions."""
        return {question.key: self.ask(question) for question in questions}

    def entry(self, question: Question) -> str:
        """The key under which the answer is cached."""
        return self.explained(lambda: self.ask(question)).key

    def explained(self, make: Callable[[], object]) -> Explained:
        """The one entry that is read by `make`, and what it was made of: the cache knows it of whatever is made in a load."""
        self.cache.get_or_load(_PROBE, lambda: make() is not None)
        (part,) = self.cache.explain(_PROBE).parts
        self.cache.invalidate(_PROBE)
        return part

    def write(self, number: Any, **values: Any) -> None:
        """Change a flight: a unit of work, and nothing about caches."""
        with self.sessions.begin() as session:
            flight = session.get_one(Flight, number)
            for name, value in values.items():
                setattr(flight, name, value)


_PROBE = "what-is-it-made-of"


class Desk:
    """Where questions are asked: of the database, or of a cache in front of it."""

    def __init__(self, url: str, database: Database, plan: Plan) -> None:
        self.plan = plan
        self.database = database
        self._url = url
        self._loads: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def process(self, namespace: str = "demo") -> Iterator[Process]:
        """A cache as a process of its own would have it, with its own L1 and its own connections."""
        engine = self.database.engine()
        sa.event.listen(engine, "before_cursor_execute", self._count)
        try:
            with Cache(self._url, namespace=namespace, policy=POLICY) as cache:
                cache.get("nothing")  # so that no question pays for the first connection
                sessions = sessionmaker(engine)
                QueryCache(cache).attach(sessions)
                yield Process(cache, sessions)
        finally:
            engine.dispose()

    @asynccontextmanager
    async def async_ask(self) -> AsyncIterator[Ask | None]:
        """`Process.ask` for asyncio; None where the database's driver has no side for it."""
        engine = self.database.async_engine()
        if engine is None:
            yield None
            return
        sa.event.listen(engine.sync_engine, "before_cursor_execute", self._count)
        try:
            async with AsyncCache(self._url, namespace="demo", policy=POLICY) as cache:
                sessions = async_sessionmaker(engine)
                QueryCache(cache).attach(sessions)

                async def ask(question: Question) -> list[Row]:
                    async with sessions() as session:
                        return await _asked(session, question)

                yield ask
        finally:
            await engine.dispose()

    def truth(self) -> Answers:
        """What the database itself says to all questions of the plan."""
        return {question.key: self.straight(question) for question in self.plan.questions}

    def straight(self, question: Question) -> list[Row]:
        """The answer from the database itself; it does not count as a load."""
        return question.ask(self.database)

    @contextmanager
    def changed(self, process: Process, *names: str) -> Iterator[None]:
        """These columns of the plan's flight are changed in here and back afterwards."""
        old, new = self.plan.flight, self.plan.changed
        process.write(old["id"], **{name: new[name] for name in names})
        try:
            yield
        finally:
            process.write(old["id"], **{name: old[name] for name in names})

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """A counter that holds, when the context ends, the loads made in it by question key."""
        before, made = self._loads.copy(), Counter[str]()
        yield made
        made.update(self._loads - before)

    def _count(self, _connection: Any, _cursor: Any, *about: Any) -> None:
        """Every statement on the way to the database comes by here."""
        _statement, _parameters, context, _many = about
        question = context.execution_options.get(_ASKED) if context is not None else None
        if question is not None:
            with self._lock:
                self._loads[question] += 1


async def _asked(session: AsyncSession, question: Question) -> list[Row]:
    options = {"cache": POLICY.ttl, _ASKED: question.key}
    found = await session.execute(
        question.statement, question.parameters, execution_options=options
    )
    return [dict(row) for row in found.mappings()]
