"""Random tables, mapped: keys of one column or two, foreign keys that cascade or not, indexes, unique columns, NULLs.

What must not be here: queries, writes.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import registry

WORDS = ["a", "b", "c d", "E", "", "ü", "it's"]
SMALL = 6
"""Integers are below this, so that rows meet."""


@dataclass(frozen=True)
class Mapped:
    """One table and its class."""

    table: sa.Table
    entity: type

    @property
    def key(self) -> list[sa.Column[Any]]:
        """The columns of the primary key."""
        return list(self.table.primary_key.columns)

    @property
    def others(self) -> list[sa.Column[Any]]:
        """All other columns."""
        return [column for column in self.table.columns if not column.primary_key]

    @property
    def has_one_key(self) -> bool:
        """Whether it is of one column."""
        return len(self.key) == 1


class Schema:
    """Two to four tables that are drawn."""

    def __init__(self, draw: random.Random) -> None:
        self.metadata = sa.MetaData()
        self.tables: list[Mapped] = []
        mappers = registry(metadata=self.metadata)
        for number in range(draw.randint(2, 4)):
            table = self._table(draw, f"t{number}")
            entity = type(f"T{number}", (), {})
            mappers.map_imperatively(entity, table)
            self.tables.append(Mapped(table, entity))

    def _table(self, draw: random.Random, name: str) -> sa.Table:
        columns: list[sa.Column[Any]] = [sa.Column("id", sa.Integer, primary_key=True)]
        if draw.random() < 0.2:
            columns = [
                sa.Column("left", sa.Integer, primary_key=True, autoincrement=False),
                sa.Column("right", sa.String(10), primary_key=True),
            ]
        for place in range(draw.randint(1, 3)):
            indexed = draw.random() < 0.5
            columns.append(
                sa.Column(f"n{place}", sa.Integer, index=indexed, nullable=draw.random() < 0.6)
            )
        columns.append(sa.Column("word", sa.String(20), index=draw.random() < 0.5))
        columns.append(sa.Column("on", sa.Date, nullable=True))
        columns += self._foreign(draw)
        if draw.random() < 0.3:
            columns.append(sa.Column("mark", sa.Integer, unique=True, nullable=True))
        both = [c.name for c in columns if c.name in ("n0", "word")]
        extra = [sa.Index(f"ix_{name}_both", *both)] if draw.random() < 0.3 else []
        return sa.Table(name, self.metadata, *columns, *extra)

    def _foreign(self, draw: random.Random) -> list[sa.Column[Any]]:
        found = []
        for other in self.tables:
            if other.has_one_key and draw.random() < 0.6:
                action = draw.choice(["CASCADE", "SET NULL", None])
                name = f"{other.table.name}_id"
                key = sa.ForeignKey(f"{other.table.name}.id", ondelete=action)
                found.append(
                    sa.Column(name, sa.Integer, key, nullable=True, index=draw.random() < 0.5)
                )
        return found


def value(draw: random.Random, column: sa.Column[Any]) -> Any:
    """A value that the column may have."""
    if column.nullable and draw.random() < 0.2:
        return None
    if isinstance(column.type, sa.Integer):
        wide = column.primary_key or column.unique or column.foreign_keys
        return draw.randint(1, 30 if wide else SMALL)
    if isinstance(column.type, sa.Date):
        return dt.date(2024, 1, draw.randint(1, 5))
    return draw.choice(WORDS)


def row(draw: random.Random, mapped: Mapped, *, with_key: bool = True) -> dict[str, Any]:
    """A row; without its key where the database may give one out."""
    gives = mapped.has_one_key and not with_key
    return {c.name: value(draw, c) for c in mapped.table.columns if not (gives and c.primary_key)}
