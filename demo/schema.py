"""The demo's tables as SQLAlchemy knows them: made of the same declarations that they are created from.

What must not be here: statements, engines.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped

from demo import data

_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    data.WHOLE: sa.Integer(),
    data.REAL: sa.Double(),
    data.TEXT: sa.Text(),
    data.MOMENT: sa.TIMESTAMP(timezone=True),
}


class Base(DeclarativeBase):
    """What the mapped tables have in common: their metadata."""


def _declared(table: data.Table) -> sa.Table:
    keys = {each.name: each.key[0] for each in data.TABLES if each.key}
    columns = [sa.Column(name, _TYPES[kind]) for name, kind in table.columns.items()]
    if table.numbered:
        columns.insert(0, sa.Column("id", sa.Integer(), autoincrement=False))
    rules = [
        sa.ForeignKeyConstraint([name], [f"{to}.{keys[to]}"]) for name, to in table.refers.items()
    ]
    key = sa.PrimaryKeyConstraint(*(table.key or ("id",)))
    indexes = [sa.Index(name, *columns) for name, columns in table.indexes.items()]
    return sa.Table(table.name, Base.metadata, *columns, key, *rules, *indexes)


TABLES = {table.name: _declared(table) for table in data.TABLES}


class Flight(Base):
    """One flight, to be read and written by its number."""

    __table__ = TABLES["flights"]

    id: Mapped[int]
    arr_delay: Mapped[int | None]
    tailnum: Mapped[str | None]
