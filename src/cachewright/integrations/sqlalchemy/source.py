"""A table as a source, for threads. What must not be here: SQL (`statements`), what a verb does (`verbs`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar, Unpack, overload

import sqlalchemy as sa

from cachewright.errors import ConfigurationError
from cachewright.integrations.sqlalchemy import batches, joining, positions
from cachewright.integrations.sqlalchemy.joining import Joined
from cachewright.integrations.sqlalchemy.tabular import Options, Tabular
from cachewright.patterns.identities import Identity
from cachewright.patterns.sources import Change, Position
from cachewright.types import MISSING, Absent

V = TypeVar("V")
T = TypeVar("T")


class TableSource(Tabular[V]):
    """The rows of a Core table or of a mapped class, by primary key; PostgreSQL, SQLite, MySQL and MariaDB.

    `into` is what values are: `dict` (for a Table), the mapped class itself (for one), a dataclass or a msgspec Struct.
    For the others see `Options`. Every verb takes `connection=`, a Connection or Session: then it runs in the
    transaction that is under way there and neither begins nor commits; otherwise it is a transaction of its own.
    """

    @overload
    def __init__(
        self: TableSource[dict[str, Any]],
        engine: sa.Engine,
        of: sa.Table,
        *,
        into: None = None,
        **options: Unpack[Options],
    ) -> None: ...

    @overload
    def __init__(
        self, engine: sa.Engine, of: type[V], *, into: None = None, **options: Unpack[Options]
    ) -> None: ...

    @overload
    def __init__(
        self, engine: sa.Engine, of: Any, *, into: type[V], **options: Unpack[Options]
    ) -> None: ...

    def __init__(
        self, engine: sa.Engine, of: Any, *, into: Any = None, **options: Unpack[Options]
    ) -> None:
        if not isinstance(engine, sa.Engine):
            raise ConfigurationError(
                "TableSource needs an Engine; AsyncTableSource takes AsyncEngine"
            )
        super().__init__(engine.dialect, of, into=into, **options)
        self._engine = engine
        self._reading = engine
        if self._without_transaction:
            self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        """A transaction of its own, whose connection the verbs take."""
        return self._engine.begin()

    def load(self, key: Any, *, connection: Joined | None = None) -> V | Absent:
        """The value of a row, or `ABSENT`."""
        return self._read(connection, lambda own: self._verbs.load(own, key))

    def load_many(
        self, keys: Sequence[Any], *, connection: Joined | None = None
    ) -> Mapping[Identity, V]:
        """The values there are, by identity: one statement, unless there are more keys than one may have."""
        if not keys:
            return {}
        return self._read(connection, lambda own: self._verbs.load_many(own, keys))

    def keys(
        self, *, page: int = 1000, after: Any = None, connection: Joined | None = None
    ) -> Iterator[Sequence[Identity]]:
        """The identities in the order of the key, `page` at a time, from behind `after`. No page holds a transaction."""
        while True:
            found = self._read(connection, partial(self._verbs.page, after=after, size=page))
            if found:
                yield found
                after = found[-1]
            if len(found) < page:
                return

    def save(self, value: V, *, expected: Any = MISSING, connection: Joined | None = None) -> V:
        """Insert or update. Returns the stored row, with defaults and with what triggers made of it.

        With `expected`, only if the row is still at that version (`ABSENT`: if there is no row); else `Conflict`.
        """
        return self._write(
            connection,
            partial(self._verbs.save, value=value, expected=expected),
            self._touched,
        )

    def save_many(self, values: Sequence[V], *, connection: Joined | None = None) -> Sequence[V]:
        """The same for many, in one transaction: one statement for all that set the same fields."""
        return self._write(
            connection, lambda own: self._verbs.save_many(own, values), self._touched_many
        )

    def patch(
        self,
        key: Any,
        changes: Mapping[str, Any],
        *,
        expected: Any = MISSING,
        connection: Joined | None = None,
    ) -> V | Absent:
        """Change some fields of a row. Returns the whole stored row, or `ABSENT` if there is none."""
        return self._write(
            connection,
            partial(self._verbs.patch, key=key, changes=changes, expected=expected),
            self._touched,
        )

    def delete(self, key: Any, *, connection: Joined | None = None) -> bool:
        """Whether there was a row to delete."""
        return self.delete_many([key], connection=connection) > 0

    def delete_many(self, keys: Sequence[Any], *, connection: Joined | None = None) -> int:
        """How many of these rows there were; one statement."""
        identities = [self.identity(key) for key in keys]
        return self._write(
            connection, lambda own: self._verbs.delete(own, identities), lambda _: identities
        )

    def apply(
        self, changes: Sequence[Change], position: Position, *, connection: Joined | None = None
    ) -> bool:
        """Apply a batch and record its position, in one transaction. False, with nothing changed, if the recorded
        position is not `position.expected`: another worker was there first. Needs `create_tables()`.
        """
        identities = [self.identity(change.key) for change in changes]
        return self._write(
            connection,
            lambda own: batches.apply(self._verbs, own, changes, position=position),
            lambda _: identities,
        )

    def position(
        self, queue: str, partition: int, *, connection: Joined | None = None
    ) -> str | None:
        """The recorded position of a partition; None before its first batch."""
        return self._read(connection, lambda own: positions.read(own, queue, partition))

    def create_tables(self) -> None:
        """Make the table of positions, `cachewright_positions`, if there is none."""
        with self._engine.begin() as connection:
            positions.create(connection)

    def _read(self, joined: Joined | None, verb: Callable[[sa.Connection], T]) -> T:
        if joined is not None:
            return joining.run(joined, self._described, verb)
        with self._reading.connect() as connection:
            return verb(connection)

    def _write(
        self,
        joined: Joined | None,
        verb: Callable[[sa.Connection], T],
        touched: Callable[[T], Iterable[Identity]],
    ) -> T:
        if joined is not None:
            return joining.run(joined, self._described, verb, touched)
        with self._engine.begin() as connection:
            return verb(connection)
