"""The tags of a write whose images are known, from the contents of all tables before and after it."""

from __future__ import annotations

from typing import Any

from sql.random_sql import COLUMNS, KEYS

from cachewright.sql import Table, Tables, image_write

Rows = dict[str, list[dict[str, Any]]]


def images_of(catalogue: Tables, before: Rows, after: Rows) -> list[str]:
    """Of the rows that are not as they were."""
    tags: list[str] = []
    for name in COLUMNS:
        key = KEYS.get(name, ("id",))
        old = {tuple(row[c] for c in key): row for row in before[name]}
        new = {tuple(row[c] for c in key): row for row in after[name]}
        changed = [each for each in old.keys() | new.keys() if old.get(each) != new.get(each)]
        images = [rows[each] for each in changed for rows in (old, new) if each in rows]
        table = catalogue.relation(name)
        assert isinstance(table, Table)
        if images:
            tags += image_write(table, images)
    return tags
