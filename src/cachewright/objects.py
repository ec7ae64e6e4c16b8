"""Names for those who cache objects: keys of API responses, and rows as plain data.

What must not be here: how objects are stored (`codecs`), and the verbs of a cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cachewright.core.api_keys import api_key
from cachewright.errors import Unstorable

__all__ = ["api_key", "plain_row"]


def plain_row(row: Any) -> dict[str, Any]:
    """A row of a database or an ORM entity as a dict of its columns, which belongs to no session.

    For entities of SQLAlchemy and Django: the columns that are loaded, by the names of their attributes, and no
    relationships; nothing is loaded for it. For rows of SQLAlchemy, sqlite3, NamedTuples and mappings: all of them.
    Raises `Unstorable` for what is none of these.
    """
    mapper = getattr(type(row), "__mapper__", None)
    if mapper is not None:
        there = vars(row)
        return {it.key: there[it.key] for it in mapper.column_attrs if it.key in there}
    meta = getattr(type(row), "_meta", None)
    if meta is not None and hasattr(meta, "concrete_fields"):
        there = vars(row)
        names = (field.attname for field in meta.concrete_fields)
        return {name: there[name] for name in names if name in there}
    mapping = getattr(row, "_mapping", row)  # a Row of SQLAlchemy
    if isinstance(mapping, Mapping):
        return {str(name): value for name, value in mapping.items()}
    if hasattr(row, "_asdict"):
        return dict(row._asdict())
    if hasattr(row, "keys") and hasattr(row, "__getitem__"):  # sqlite3.Row
        return {name: row[name] for name in row.keys()}  # noqa: SIM118 - iterating one gives its values
    raise Unstorable(f"a {type(row).__qualname__} is no row: pass an entity, a Row or a mapping")
