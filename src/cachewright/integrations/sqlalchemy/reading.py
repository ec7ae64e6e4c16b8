"""How rows are read on a connection that is given: by identity, many with one statement, or in pages of keys.

What must not be here: engines, sessions, the text of statements, writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from cachewright.integrations.sqlalchemy import statements
from cachewright.integrations.sqlalchemy.table import Described
from cachewright.patterns.identities import Identity, distinct
from cachewright.types import ABSENT, Absent

V = TypeVar("V")


class Reading(Generic[V]):
    """The reads of one table."""

    def __init__(self, described: Described, dialect: sa.Dialect) -> None:
        statements.must_know(dialect)
        self.described = described
        self._dialect = dialect
        self._with_keys = statements.with_keys(described, dialect)
        self._select = statements.selecting(described, described.read).where(self._with_keys)

    def load(self, connection: sa.Connection, key: Any) -> V | Absent:
        """One value, or `ABSENT`."""
        identity = self.described.identity(key)
        return self.read(connection, [identity]).get(identity, ABSENT)

    def load_many(self, connection: sa.Connection, keys: Sequence[Any]) -> dict[Identity, V]:
        """The values there are, by identity."""
        return self.read(connection, distinct(keys, self.described.identity))

    def read(self, connection: sa.Connection, identities: Sequence[Identity]) -> dict[Identity, V]:
        """The values there are of identities, each given once."""
        found: dict[Identity, V] = {}
        for some in self.parameters(identities):
            found |= self.values(connection.execute(self._select, some).all())
        return found

    def values(self, rows: Sequence[Sequence[Any]]) -> dict[Identity, V]:
        """The values of rows that hold the fields `read`."""
        make = self.described.make
        return dict(zip(self.described.identities(rows), map(make, rows), strict=True))

    def parameters(self, identities: Sequence[Identity]) -> Iterator[dict[str, Any]]:
        """The parameters of each statement that asks for these rows."""
        keys = [self.described.bound(identity) for identity in identities]
        return statements.key_parameters(self.described, self._dialect, keys)

    def page(self, connection: sa.Connection, after: Any, size: int) -> list[Identity]:
        """The identities that follow `after`."""
        described = self.described
        bound = None if after is None else described.bound(described.identity(after))
        rows = connection.execute(
            statements.page(described, connection.dialect, after=bound, size=size)
        ).all()
        return [described.identity(tuple(row)) for row in rows]

    def version(self, connection: sa.Connection, identity: Identity) -> Any:
        """The version that a row has now, None where none is kept, `ABSENT` if there is no row."""
        described = self.described
        names = [described.version] if described.version is not None else described.key[:1]
        select = statements.selecting(described, names).where(self._with_keys)
        row = connection.execute(select, next(self.parameters([identity]))).first()
        if row is None:
            return ABSENT
        return row[0] if described.version is not None else None
