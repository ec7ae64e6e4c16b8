"""One face for both worlds: a store has an engine, makes sources and counts statements.

Tests await `now(...)` of whatever a source returns, a result or a coroutine. What must not be here: servers, tests.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from cachewright.integrations.sqlalchemy import AsyncTableSource, TableSource


async def now(result: Any) -> Any:
    """The result, in either world."""
    return await result if inspect.isawaitable(result) else result


async def pages(found: Any) -> list[Any]:
    """All pages of `keys()`, in either world."""
    if hasattr(found, "__aiter__"):
        return [page async for page in found]
    return list(found)


class Store:
    """A database, seen from one world."""

    def __init__(self, url: str, *, asynchronous: bool) -> None:
        self.asynchronous = asynchronous
        self.engine: Any = create_async_engine(url) if asynchronous else sa.create_engine(url)
        self.dialect = self.engine.dialect.name
        self.plain: sa.Engine = self.engine.sync_engine if asynchronous else self.engine

    def source(self, of: Any, **options: Any) -> Any:
        """A source of a table of this database."""
        kind = AsyncTableSource if isinstance(self.engine, AsyncEngine) else TableSource
        return kind(self.engine, of, **options)

    async def run(self, work: Any) -> Any:
        """Run a function of a plain connection in a transaction."""
        if self.asynchronous:
            async with self.engine.begin() as connection:
                return await connection.run_sync(work)
        with self.engine.begin() as connection:
            return work(connection)

    async def sql(self, text: str) -> list[Any]:
        """Run a statement; its rows."""

        def work(connection: sa.Connection) -> list[Any]:
            result = connection.execute(sa.text(text))
            return [tuple(row) for row in result] if result.returns_rows else []

        found: list[Any] = await self.run(work)
        return found

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Any]:
        """A connection in a transaction that is rolled back."""
        if self.asynchronous:
            async with self.engine.connect() as connection:
                yield connection
        else:
            with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """A session whose work is rolled back unless it commits."""
        if self.asynchronous:
            async with AsyncSession(self.engine) as session:
                yield session
        else:
            with Session(self.engine) as session:
                yield session

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """The statements that are sent meanwhile."""
        sent: list[str] = []

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            sent.append(statement)

        sa.event.listen(self.plain, "before_cursor_execute", note)
        try:
            yield sent
        finally:
            sa.event.remove(self.plain, "before_cursor_execute", note)

    async def close(self) -> None:
        """Close all connections."""
        await now(self.engine.dispose())
