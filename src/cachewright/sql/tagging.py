"""The tags of what is read from a table and of what a write makes wrong. Pure; one spelling, in `core.tags`.

A query carries tags of rows, of matches or of the table; a write moves those of both images of each row:

    row:      entries made from the row alone     named writes; `rows:` stands for all of them
    match:    entries of rows with given values   writes that know both images; `matches:` stands for all of them
    table:    all other entries                   every write

What must not be here: SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cachewright.core.tags import match_tag, matches_tag, row_tag, rows_tag, table_tag
from cachewright.sql.relations import COARSE, Table

Image = Mapping[str, Any]
"""A row, or as much of it as is known: column → value."""


def unnamed_write(table: str) -> list[str]:
    """A write of rows that nobody names."""
    return [rows_tag(table), matches_tag(table), table_tag(table)]


def named_write(table: Table, keys: Iterable[tuple[Any, ...]]) -> list[str]:
    """A write of rows known by their primary keys, of which nobody knows both images. Each key in the order of `table.key`."""
    rows: list[str] = []
    for key in keys:
        spelled = _row(table, dict(zip(table.key, key, strict=True)))
        if spelled is None:
            return unnamed_write(table.name)
        rows.append(spelled)
    return [*dict.fromkeys(rows), matches_tag(table.name), table_tag(table.name)]


def image_write(table: Table, images: Iterable[Image]) -> list[str]:
    """A write of rows whose images are known: the old and the new one of each row, where it has them.

    An image that lacks the key stands for an unknown row, one that lacks columns of a tracked set for unknown matches.
    """
    tags: dict[str, None] = {}
    key, sets = table.usable_key, table.usable_sets
    for image in images:
        tags[(_row(table, image) if key else None) or rows_tag(table.name)] = None
        for names in sets:
            tags.update(dict.fromkeys(_match(table, names, image)))
    if not key:
        tags[rows_tag(table.name)] = None
    if not table.complete:
        tags[matches_tag(table.name)] = None
    tags[table_tag(table.name)] = None
    return list(tags)


def _row(table: Table, image: Image) -> str | None:
    values = [table.canonical(name, image.get(name)) for name in table.key]
    return row_tag(table.name, *values) if values and COARSE not in values else None


def _match(table: Table, names: tuple[str, ...], image: Image) -> list[str]:
    if any(name in image and image[name] is None for name in names):
        return []  # NULL equals nothing: no query that fixes these columns can have had the row
    values = {name: table.canonical(name, image.get(name)) for name in names}
    if COARSE in values.values():
        return [matches_tag(table.name)]
    return [match_tag(table.name, values)]
