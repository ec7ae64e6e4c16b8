"""Both images of the rows that an UPDATE or DELETE names, read under the lock that the write itself needs.

With them a write moves the tags of the values that its rows had and have (`match:`), so that a query by another author is
left alone. It costs two more statements a write, and a transaction where there was none; so only for the models that ask
for it. Without them the tag for all such queries of the table moves (`matches:`).
What must not be here: which statements write, marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cachewright.integrations.django.effects import Effect
from cachewright.sql import Table, image_write

MAX_ROWS = 16
"""Rows of one statement whose images are read."""


class Exact:
    """What one statement did to rows whose images are read around it."""

    def __init__(self, connection: Any, table: Table, keys: Sequence[tuple[Any, ...]]) -> None:
        self._connection = connection
        self._table = table
        self._keys = keys
        wanted = [*table.key, *(name for names in table.usable_sets for name in names)]
        self._columns = list(dict.fromkeys(wanted))
        self._images: list[dict[str, Any]] = []

    def read(self) -> None:
        """The images as they are now, locked where the database locks rows."""
        quote = self._connection.ops.quote_name
        one = " AND ".join(f"{quote(name)} = %s" for name in self._table.key)
        sql = (
            f"SELECT {', '.join(map(quote, self._columns))} FROM {quote(self._table.name)} "  # noqa: S608
            f"WHERE {' OR '.join([f'({one})'] * len(self._keys))}"
        )
        if self._connection.features.has_select_for_update:
            sql += " FOR UPDATE"
        with self._connection.cursor() as cursor:
            cursor.execute(sql, [part for key in self._keys for part in key])
            rows = cursor.fetchall()
        self._images += [dict(zip(self._columns, row, strict=True)) for row in rows]

    def tags(self) -> list[str]:
        """What the write made wrong: what was made from one of the images, and what was made from a key it named."""
        named = [dict(zip(self._table.key, key, strict=True)) for key in self._keys]
        gone = [key for key in named if not any(key.items() <= it.items() for it in self._images)]
        # A key without a row: nothing was made from its columns, and so nothing but its absence can be wrong.
        absent = [{**dict.fromkeys(self._columns), **key} for key in gone]
        return image_write(self._table, [*self._images, *absent])


def exact_rows(effect: Effect, every: Sequence[Any], tables: frozenset[str]) -> Any:
    """The table and keys of a statement whose images are to be read, or None."""
    writes = effect.writes
    if writes is None or effect.inserts or len(writes.changes) != 1 or len(every) != 1:
        return None
    table = writes.changes[0].table
    if table.name not in tables or writes.effects or not table.usable_sets:
        return None
    keys = writes.rows(every[0] if every[0] is not None else ())
    return None if not keys or len(keys) > MAX_ROWS else (table, keys)


@contextmanager
def around(exact: Exact) -> Iterator[None]:
    """Read the images before the statement and after it."""
    exact.read()
    yield
    exact.read()
