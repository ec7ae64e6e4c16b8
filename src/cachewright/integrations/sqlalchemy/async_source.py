"""A table as a source, for asyncio: SQLAlchemy runs the same verbs on its plain connection. What must not be here: SQL (`statements`), what a verb does (`verbs`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeAlias, TypeVar, Unpack, overload

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
)

from cachewright.errors import ConfigurationError
from cachewright.integrations.sqlalchemy import batches, joining, positions
from cachewright.integrations.sqlalchemy.tabular import Options, Tabular
from cachewright.patterns.identities import Identity
from cachewright.patterns.sources import Change, Position
from cachewright.types import MISSING, Absent

V = TypeVar("V")
T = TypeVar("T")
AsyncJoined: TypeAlias = AsyncConnection | AsyncSession | async_scoped_session[Any]


class AsyncTableSource(Tabular[V]):
    """The rows of a table for asyncio; arguments, verbs and results are those of `TableSource`.

    `connection=` takes an AsyncConnection or AsyncSession.
    """

    @overload
    def __init__(
        self: AsyncTableSource[dict[str, Any]],
        engine: AsyncEngine,
        of: sa.Table,
        *,
        into: None = None,
        **options: Unpack[Options],
    ) -> None: ...

    @overload
    def __init__(
        self, engine: AsyncEngine, of: type[V], *, into: None = None, **options: Unpack[Options]
    ) -> None: ...

    @overload
    def __init__(
        self, engine: AsyncEngine, of: Any, *, into: type[V], **options: Unpack[Options]
    ) -> None: ...

    def __init__(
        self, engine: AsyncEngine, of: Any, *, into: Any = None, **options: Unpack[Options]
    ) -> None:
        if not isinstance(engine, AsyncEngine):
            raise ConfigurationError(
                "AsyncTableSource needs an AsyncEngine; TableSource takes Engine"
            )
        super().__init__(engine.dialect, of, into=into, **options)
        self._engine = engine
        self._reading = engine
        if self._without_transaction:
            self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction of its own, whose connection the verbs take."""
        return self._engine.begin()

    async def load(self, key: Any, *, connection: AsyncJoined | None = None) -> V | Absent:
        """As `TableSource.load`."""
        return await self._read(connection, lambda own: self._verbs.load(own, key))

    async def load_many(
        self, keys: Sequence[Any], *, connection: AsyncJoined | None = None
    ) -> Mapping[Identity, V]:
        """As `TableSource.load_many`."""
        if not keys:
            return {}
        return await self._read(connection, lambda own: self._verbs.load_many(own, keys))

    async def keys(
        self, *, page: int = 1000, after: Any = None, connection: AsyncJoined | None = None
    ) -> AsyncIterator[Sequence[Identity]]:
        """As `TableSource.keys`."""
        while True:
            found = await self._read(connection, partial(self._verbs.page, after=after, size=page))
            if found:
                yield found
                after = found[-1]
            if len(found) < page:
                return

    async def save(
        self, value: V, *, expected: Any = MISSING, connection: AsyncJoined | None = None
    ) -> V:
        """As `TableSource.save`."""
        return await self._write(
            connection,
            partial(self._verbs.save, value=value, expected=expected),
            self._touched,
        )

    async def save_many(
        self, values: Sequence[V], *, connection: AsyncJoined | None = None
    ) -> Sequence[V]:
        """As `TableSource.save_many`."""
        return await self._write(
            connection, lambda own: self._verbs.save_many(own, values), self._touched_many
        )

    async def patch(
        self,
        key: Any,
        changes: Mapping[str, Any],
        *,
        expected: Any = MISSING,
        connection: AsyncJoined | None = None,
    ) -> V | Absent:
        """As `TableSource.patch`."""
        return await self._write(
            connection,
            partial(self._verbs.patch, key=key, changes=changes, expected=expected),
            self._touched,
        )

    async def delete(self, key: Any, *, connection: AsyncJoined | None = None) -> bool:
        """As `TableSource.delete`."""
        return await self.delete_many([key], connection=connection) > 0

    async def delete_many(
        self, keys: Sequence[Any], *, connection: AsyncJoined | None = None
    ) -> int:
        """As `TableSource.delete_many`."""
        identities = [self.identity(key) for key in keys]
        return await self._write(
            connection, lambda own: self._verbs.delete(own, identities), lambda _: identities
        )

    async def apply(
        self,
        changes: Sequence[Change],
        position: Position,
        *,
        connection: AsyncJoined | None = None,
    ) -> bool:
        """As `TableSource.apply`."""
        identities = [self.identity(change.key) for change in changes]
        return await self._write(
            connection,
            lambda own: batches.apply(self._verbs, own, changes, position=position),
            lambda _: identities,
        )

    async def position(
        self, queue: str, partition: int, *, connection: AsyncJoined | None = None
    ) -> str | None:
        """As `TableSource.position`."""
        return await self._read(connection, lambda own: positions.read(own, queue, partition))

    async def create_tables(self) -> None:
        """As `TableSource.create_tables`."""
        async with self._engine.begin() as connection:
            await connection.run_sync(positions.create)

    async def _read(self, joined: AsyncJoined | None, verb: Callable[[sa.Connection], T]) -> T:
        if joined is not None:
            return await _here(joined).run_sync(joining.run, self._described, verb)
        async with self._reading.connect() as connection:
            return await connection.run_sync(verb)

    async def _write(
        self,
        joined: AsyncJoined | None,
        verb: Callable[[sa.Connection], T],
        touched: Callable[[T], Iterable[Identity]],
    ) -> T:
        if joined is not None:
            return await _here(joined).run_sync(joining.run, self._described, verb, touched)
        async with self._engine.begin() as connection:
            return await connection.run_sync(verb)


def _here(joined: AsyncJoined) -> AsyncConnection | AsyncSession:
    """The session of this scope, if it is a scoped one."""
    if isinstance(joined, async_scoped_session):
        session: AsyncSession = joined()
        return session
    return joined
