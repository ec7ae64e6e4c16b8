"""The images of the rows that a statement writes: what they were before it, and what they are after it.

What a session remembers of a row is not its old image: somebody else may have changed it since. So the rows that a
statement names by their keys are read under the lock that the statement itself is about to take, and read again after it
if it changes a column that queries are told apart by. What must not be here: events, the ledger, the meaning of SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from cachewright.integrations.sqlalchemy.knowledge import MOST_SETS, Knowledge
from cachewright.integrations.sqlalchemy.snapshots import begins_nothing
from cachewright.sql import COARSE, Table, Writes, image_write, named_write, unnamed_write

Image = Mapping[str, Any]


class Images:
    """Of one statement that updates or deletes rows by their keys."""

    def __init__(
        self,
        knowledge: Knowledge,
        meaning: Writes,
        keys: Sequence[tuple[Any, ...]],
        *,
        deletes: bool,
    ) -> None:
        self._knowledge = knowledge
        self._meaning = meaning
        self._table: Table = meaning.changes[0].table
        self._keys = keys
        self._deletes = deletes
        self._images: list[Image] = []
        self._complete = False

    @classmethod
    def of(
        cls, knowledge: Knowledge, meaning: Writes, sets: Sequence[Any], statement: str
    ) -> Images | None:
        """What has to be read around the statement; None if that brings nothing, or cannot be."""
        word = statement.lstrip()[:6].upper()
        if not knowledge.images or word not in ("UPDATE", "DELETE") or len(sets) > MOST_SETS:
            return None
        if meaning.everything is not None or len(meaning.changes) != 1:
            return None
        table = meaning.changes[0].table
        if not table.usable_sets or table.rewrites or meaning.changes[0].images:
            return None
        keys: dict[tuple[Any, ...], None] = {}
        for each in sets:
            rows = meaning.rows(each)
            if rows is None:
                return None
            keys.update(dict.fromkeys(rows))
        if not keys or table.name not in knowledge.catalogue.types:
            return None
        return cls(knowledge, meaning, list(keys), deletes=word == "DELETE")

    def before(self, connection: sa.Connection) -> None:
        """Read the old images, and keep them from changing."""
        if self._knowledge.catalogue.dialect == "sqlite":
            _begin_writing(connection)
        self._images += self._read(connection, lock=True)
        self._complete = self._deletes or not self._moves_sets()

    def after(self, connection: sa.Connection) -> None:
        """Read the new images, where they may differ in what matters."""
        if not self._complete:
            self._images += self._read(connection, lock=False)
            self._complete = True

    def dirtied(self) -> Sequence[Any]:
        """What the statement makes wrong."""
        table = self._table
        effects = [tag for name in sorted(self._meaning.effects) for tag in unnamed_write(name)]
        if not self._complete:
            return [*named_write(table, self._keys), *effects]
        # Also of a row that was not there: that it was not may be what is cached.
        rows = [tag for tag in named_write(table, self._keys) if not tag.startswith("matches:")]
        return list(dict.fromkeys([*rows, *image_write(table, self._images), *effects]))

    def _moves_sets(self) -> bool:
        changed = self._meaning.changed
        return changed is None or any(changed & set(names) for names in self._table.usable_sets)

    def _read(self, connection: sa.Connection, *, lock: bool) -> list[Image]:
        table, catalogue = self._table, self._knowledge.catalogue
        types, (name, schema) = catalogue.types[table.name], catalogue.places[table.name]
        wanted = list(
            dict.fromkeys([*table.key, *(c for names in table.usable_sets for c in names)])
        )
        columns = {each: sa.column(each, types[each]) for each in wanted}
        source = sa.table(name, *columns.values(), schema=schema)
        select = sa.select(*columns.values()).select_from(source)
        select = select.where(_is_one_of([columns[each] for each in table.key], self._keys))
        if lock and catalogue.dialect != "sqlite":
            select = select.order_by(*(columns[each] for each in table.key))
            select = select.with_for_update(key_share=not self._deletes)
        return [dict(zip(wanted, row, strict=True)) for row in connection.execute(select).all()]


def _is_one_of(columns: Sequence[Any], keys: Sequence[tuple[Any, ...]]) -> sa.ColumnElement[bool]:
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])  # type: ignore[no-any-return]
    each = (sa.and_(*(c == v for c, v in zip(columns, key, strict=True))) for key in keys)
    return sa.or_(*each)


def _begin_writing(connection: sa.Connection) -> None:
    """SQLite's driver begins a transaction with the first write; what is read before it would not be held."""
    if begins_nothing(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def named_rows(
    meaning: Writes, table: Table, keys: Sequence[Sequence[Any]], sets: Sequence[Any]
) -> Sequence[Any] | None:
    """What an INSERT makes wrong whose keys the database has given out; None if that is not known."""
    change = meaning.changes[0]
    if not change.images or len(keys) != len(sets) * len(change.images) or not table.usable_key:
        return None
    images: list[dict[str, Any]] = []
    for each in sets:
        images += [
            {name: term.values(each)[0] for name, term in image.items()} for image in change.images
        ]
    for image, key in zip(images, keys, strict=True):
        given = dict(zip(table.key, key, strict=True))
        if any(table.canonical(name, value) is COARSE for name, value in given.items()):
            return None
        image.update(given)
    return image_write(table, images)
