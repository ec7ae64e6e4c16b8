# Generated from _async/work.py by tools/unasync.py. Do not edit.
"""The writing half of raw SQL: tags are noted with each statement and acted on around the commit.

What must not be here: analyses, reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from cachewright._sync.cache import Cache
from cachewright._sync.leases import Leases
from cachewright._sync.writing import Writing
from cachewright.core.policy import Seconds
from cachewright.core.reads import Tags, dead_tags, listed
from cachewright.core.tags import NAMESPACE
from cachewright.integrations.dbapi import drivers
from cachewright.integrations.dbapi.results import Result
from cachewright.integrations.dbapi.sessions import MOST_TAGS, Ledger, Sessions
from cachewright.sql import Refused, Statement, Writes

_TO_SAVEPOINT = re.compile(r"\brollback\b.*\bto\b", re.IGNORECASE | re.DOTALL)


class Works:
    """Notes writes of connections, and acts when they commit."""

    def __init__(
        self, cache: Cache, sessions: Sessions, *, strict: bool, limit: Seconds
    ) -> None:
        self._cache = cache
        self._sessions = sessions
        self._leases = Leases(cache.engine)
        self._strict = strict
        self._limit = limit

    def act(
        self,
        statement: Statement,
        given: Iterable[Any],
        connection: Any,
        *,
        act: Callable[[], Any],
        schema: Any,
    ) -> Any:
        """Execute a statement: noted in its transaction, or between the two phases where it commits itself."""
        control = statement.control if isinstance(statement, Refused) else None
        if control is not None:
            return self._control(control, connection, act)
        work = self._sessions.begin(connection)
        self._note(work, statement, list(given), schema)
        if _at_once(connection, work):
            self._sessions.end(connection)
            try:
                return self._around(work, act)
            finally:
                if drivers.in_transaction(connection):  # it was not committed after all
                    self._sessions.begin(connection).take(work)
        result = act()
        if work.empty:
            self._sessions.end(connection)
        return result

    def _control(self, word: str, connection: Any, act: Callable[[], Any]) -> Result:
        if word in ("commit", "end"):
            work = self._sessions.end(connection)
            done: Result = self._around(work or Ledger(connection), act)
            return done
        result: Result = act()
        if not drivers.in_transaction(connection):
            self._sessions.end(
                connection
            )  # a whole rollback; one to a savepoint leaves what was noted
        return result

    def _note(self, work: Ledger, statement: Statement, given: list[Any], schema: Any) -> None:
        if isinstance(statement, Refused) and statement.may_write:
            work.everything = statement.reason
        if not isinstance(statement, Writes):
            return
        for params in given[:MOST_TAGS]:
            tags = statement.tags(params)
            if tags is None:
                work.everything = statement.everything or "nobody knows"
                break
            work.note(tags)
        if len(given) > MOST_TAGS or len(work.tags) > MOST_TAGS:
            for name in statement.tables:
                work.note_unnamed(name)
        if statement.structure:
            work.structure = True
            work.note([schema])

    def commit(self, connection: Any, *, tags: Tags = ()) -> None:
        """Commit in two phases what was noted."""
        work = self._sessions.end(connection) or Ledger(connection)
        work.note(listed(tags))
        self._around(work, connection.commit)

    def _around(self, work: Ledger, act: Callable[[], Any]) -> Any:
        if work.empty:
            return act()
        if work.everything:
            self._cache.engine.tell("everything_invalidated", detail=work.everything)
        with self._marks(work) as marks:
            marks.before_commit()
            return act()

    def _marks(self, work: Ledger) -> Writing:
        tags = [NAMESPACE] if work.everything else dead_tags(work.tags)
        if work.everything:
            tags += dead_tags(work.tags)
        return Writing(
            self._cache.engine, self._leases, [], tags, strict=self._strict, limit=self._limit
        )

    def ended_elsewhere(self, connection: Any) -> None:
        """A transaction that had written is over, and nobody told us how: take it for committed."""
        work = self._sessions.end(connection)
        if work is not None and not work.empty:
            with self._marks(work):
                pass


def _at_once(connection: Any, work: Ledger) -> bool:
    """Whether a statement is committed by itself: MySQL does so with DDL, sqlite3 with all but what it calls DML."""
    dialect = drivers.dialect_of(connection)
    if dialect == "mysql" and work.structure:
        return True
    if drivers.in_transaction(connection):
        return False
    return drivers.commits_itself(connection) or (dialect == "sqlite" and bool(work.everything))


class UnitOfWork:
    """A transaction on one connection, from `QueryCache.writing`."""

    def __init__(self, queries: Any, connection: Any) -> None:
        self._queries = queries
        self._connection = connection
        self._tags: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def execute(self, sql: str, params: Any = None) -> Result:
        """Execute a statement."""
        found: Result = self._queries.execute(sql, params, self._connection)
        return found

    def executemany(self, sql: str, rows: Iterable[Any]) -> Result:
        """Execute one statement for many parameters."""
        found: Result = self._queries.executemany(sql, rows, self._connection)
        return found

    def also(self, *tags: Any) -> None:
        """Name what else the transaction makes wrong."""
        self._tags += tags

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._queries.commit(self._connection, tags=self._tags)
        else:
            self._queries.rollback(self._connection)
