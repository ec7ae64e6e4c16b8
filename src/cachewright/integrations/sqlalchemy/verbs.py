"""What a source does on a connection that is given to it: it neither begins nor commits.

Both worlds run this: SQLAlchemy's asyncio drives a plain `Connection` from its side. What must not be here: engines,
sessions, the text of statements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from cachewright.errors import ConfigurationError
from cachewright.integrations.sqlalchemy import statements
from cachewright.integrations.sqlalchemy.reading import Reading
from cachewright.integrations.sqlalchemy.table import Described, Row
from cachewright.patterns.identities import Identity, distinct
from cachewright.patterns.sources import Conflict, Unsavable
from cachewright.types import ABSENT, MISSING, Absent

V = TypeVar("V")
Rows = dict[Identity, Row]
KEPT = 100
"""Upserts of a table that are kept: one for each set of fields that rows come with."""


class Verbs(Reading[V]):
    """The reads and writes of one table. `reread`: read written rows again instead of taking what RETURNING says of them.

    None lets the dialect decide: RETURNING shows what BEFORE triggers made (PostgreSQL, MariaDB); on SQLite a trigger can
    change its row only afterwards, and MySQL has no RETURNING.
    """

    def __init__(
        self, described: Described, dialect: sa.Dialect, *, reread: bool | None = None
    ) -> None:
        super().__init__(described, dialect)
        self._reread = reread
        self._upserts: dict[tuple[tuple[str, ...], statements.Form], Any] = {}
        self._keeps = statements.is_constant(described)
        self._delete = sa.delete(described.table).where(self._with_keys)

    def save(self, connection: sa.Connection, value: V, *, expected: Any = MISSING) -> V:
        """Insert or update one row; with `expected`, only if its version is that one (`ABSENT`: if there is none)."""
        if expected is MISSING:
            return self.save_many(connection, [value])[0]
        row = self.described.row(value)
        identity = self.described.identity_in(row)
        if identity is None:
            raise Unsavable("a row without a key has no version to be compared with")
        if expected is ABSENT:
            return self._insert_absent(connection, identity, row)
        updated = self._update(connection, identity, row, expected)
        if updated is ABSENT:
            raise Conflict(identity, expected=expected, found=ABSENT)
        return updated

    def patch(
        self, connection: sa.Connection, key: Any, changes: Any, *, expected: Any = MISSING
    ) -> V | Absent:
        """Change some fields; the whole stored value, or `ABSENT` if there is no row."""
        identity = self.described.identity(key)
        return self._update(connection, identity, self.described.patch(identity, changes), expected)

    def save_many(self, connection: sa.Connection, values: Sequence[V]) -> list[V]:
        """Insert or update rows; the stored values in the order of the given ones. Of one key the last says what is."""
        keyed: Rows = {}
        new: list[Row] = []
        places: list[Identity | None] = []
        for value in values:
            row = self.described.row(value)
            identity = self.described.identity_in(row)
            places.append(identity)
            if identity is None:
                new.append(row)
            else:
                keyed[identity] = {**keyed.get(identity, {}), **row}
        stored = self.write(connection, keyed)
        inserted = iter(self._insert_new(connection, new))
        return [next(inserted) if place is None else stored[place] for place in places]

    def write(self, connection: sa.Connection, rows: Rows) -> dict[Identity, V]:
        """Upsert rows by identity, in the order of their keys so that two writers do not wait for each other.

        Returns what is stored; `Unsavable` for a row that the database did not keep under its key.
        """
        if not rows:
            return {}
        if self.described.key_is_generated:
            self.update_many(connection, rows)
            return self._stored(connection, list(rows))
        found: dict[Identity, V] = {}
        for names, group in self._grouped(rows).items():
            found |= self._upsert(connection, names, group)
        if not found.keys() <= rows.keys():
            raise Unsavable("another unique key than the primary one matched a row of another id")
        left = [identity for identity in rows if identity not in found]
        return found | (self._stored(connection, left) if left else {})

    def _upsert(
        self, connection: sa.Connection, names: tuple[str, ...], rows: list[Row]
    ) -> dict[Identity, V]:
        """One statement for rows that set the same fields. What it returns, which may be nothing."""
        dialect = connection.dialect
        form, values = statements.parameters_of(self.described, dialect, names, rows=rows)
        result = connection.execute(self._statement(dialect, names, form=form), values)
        return self.values(result.all()) if result.returns_rows else {}

    def _statement(
        self, dialect: sa.Dialect, names: tuple[str, ...], *, form: statements.Form
    ) -> Any:
        """The upsert of these fields; kept, since building one takes as long as running it."""
        kept = self._upserts.get((names, form))
        if kept is not None:
            return kept
        statement = statements.upsert(self.described, dialect, names, form=form)
        if dialect.insert_executemany_returning and self._returns(
            dialect.insert_returning, dialect
        ):
            statement = statement.returning(*self._columns())
        if self._keeps and len(self._upserts) < KEPT:
            self._upserts[names, form] = statement
        return statement

    def _grouped(self, rows: Rows) -> dict[tuple[str, ...], list[Row]]:
        """Rows that set the same fields go into one statement."""
        groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for identity in _in_order(rows):
            row = self._numbered(rows[identity])
            row |= zip(self.described.key, self.described.bound(identity), strict=True)
            groups[tuple(sorted(row))].append(row)
        return groups

    def _numbered(self, row: Row) -> Row:
        """What is to be inserted. A version that the source counts begins at 1."""
        if self.described.version is None or not self.described.moves_version:
            return dict(row)
        return {self.described.version: 1, **row}

    def _insertable(self, row: Row) -> dict[str, Any]:
        """The parameters of an INSERT."""
        fields = self.described.fields
        return {fields[name].key: item for name, item in self._numbered(row).items()}

    def _columns(self) -> list[Any]:
        return [self.described.fields[name] for name in self.described.read]

    def _returns(self, able: bool, dialect: sa.Dialect) -> bool:
        """Whether a write is to return the row that it stored, if the dialect is able to."""
        return able and not (dialect.name == "sqlite" if self._reread is None else self._reread)

    def _stored(self, connection: sa.Connection, identities: list[Identity]) -> dict[Identity, V]:
        """What the database holds of rows that were just written."""
        found = self.read(connection, identities)
        lost = [identity for identity in identities if identity not in found]
        if lost:
            raise Unsavable(
                f"the database did not keep {len(lost)} rows under their keys: a trigger refused them, another "
                "unique key matched another row, or only the database may give out ids"
            )
        return found

    def _insert_new(self, connection: sa.Connection, rows: Sequence[Row]) -> list[V]:
        """Insert rows whose keys the database gives, in their order."""
        table, keys = self.described.table, self.described.key_columns
        identities: list[Identity] = []
        for row in rows:
            result = connection.execute(sa.insert(table), self._insertable(row))
            given = cast("sa.Row[Any]", result.inserted_primary_key)
            by_column = dict(zip(table.primary_key.columns, given, strict=True))
            identities.append(self.described.identity(tuple(by_column[key] for key in keys)))
        stored = self._stored(connection, identities) if identities else {}
        return [stored[identity] for identity in identities]

    def _insert_absent(self, connection: sa.Connection, identity: Identity, row: Row) -> V:
        statement = statements.insert_absent(self.described, connection.dialect)
        row = row | dict(zip(self.described.key, self.described.bound(identity), strict=True))
        try:
            result = connection.execute(statement, self._insertable(row))
            made = statements.has_inserted(connection.dialect, result)
        except sa.exc.IntegrityError:
            if connection.dialect.name not in statements.MYSQL:
                raise
            if not self.read(connection, [identity]):
                raise  # it was not the key that was there already
            made = False
        if not made:
            raise Conflict(identity, expected=ABSENT, found=self.version(connection, identity))
        return self._stored(connection, [identity])[identity]

    def _update(
        self, connection: sa.Connection, identity: Identity, row: Row, expected: Any
    ) -> V | Absent:
        """Update one row and return it, or `ABSENT`. `Conflict` if it is not at the version expected."""
        described, dialect = self.described, connection.dialect
        versioned = expected is not MISSING
        if versioned and described.version is None:
            raise ConfigurationError(
                "expected= needs a column to compare: pass version= to the source"
            )
        statement = statements.update(described, dialect, row, versioned=versioned)
        values = statements.parameters(described, described.bound(identity), row)
        if versioned:
            values["expected"] = expected
        if self._returns(dialect.update_returning, dialect):
            returned = connection.execute(statement.returning(*self._columns()), values).first()
            if returned is not None:
                made: V = described.make(returned)
                return made
        elif connection.execute(statement, values).rowcount:
            return self._stored(connection, [identity])[identity]
        if versioned:
            found = self.version(connection, identity)
            raise Conflict(identity, expected=expected, found=found)
        return ABSENT

    def update_many(self, connection: sa.Connection, rows: Rows) -> None:
        """UPDATEs grouped by what they set."""
        groups: dict[tuple[str, ...], list[Identity]] = defaultdict(list)
        for identity in _in_order(rows):
            groups[tuple(sorted(rows[identity]))].append(identity)
        for names, identities in groups.items():
            bound = self.described.bound
            values = [statements.parameters(self.described, bound(i), rows[i]) for i in identities]
            statement = statements.update(self.described, connection.dialect, names)
            connection.execute(statement, values)

    def delete(self, connection: sa.Connection, keys: Sequence[Any]) -> int:
        """How many of these rows there were."""
        found = 0
        for some in self.parameters(distinct(keys, self.described.identity)):
            found += connection.execute(self._delete, some).rowcount
        return found


def _in_order(rows: Rows) -> list[Identity]:
    identities: list[Any] = list(rows)
    try:
        return sorted(identities)
    except TypeError:  # ids of several types, or enums
        return sorted(identities, key=repr)
