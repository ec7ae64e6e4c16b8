"""Columns of values as PostgreSQL spells arrays: one text each, in a tenth of the time that a driver needs for its own.

Only for types whose text is theirs in every driver; all others go as they are. What must not be here: statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

Column = sa.Column[Any]

_TYPES: dict[type[Any], frozenset[type]] = {
    sa.Boolean: frozenset({bool, type(None)}),
    sa.Integer: frozenset({int, type(None)}),
    sa.Float: frozenset({float, int, type(None)}),
    sa.String: frozenset({str, type(None)}),
}
"""What values of such columns may be, to the letter: a subclass may mean something else to the driver."""


def is_spelled(column: Column) -> bool:
    """Whether plain values of the column have a spelling here."""
    return _plain(column) is not None


def spelled(column: Column, values: Sequence[Any]) -> str | None:
    """`values` as the text of an array; None where one of them is not plain."""
    kind = _plain(column)
    if kind is None or not set(map(type, values)) <= _TYPES[kind]:
        return None
    if kind is sa.String:
        return _texts(values)
    if kind is sa.Boolean:
        return _listed(["NULL" if v is None else "t" if v else "f" for v in values])
    return _listed(["NULL" if v is None else repr(v) for v in values])


def _plain(column: Column) -> type[Any] | None:
    type_ = column.type
    # One that somebody derived may have its own way to the database.
    if isinstance(type_, sa.Enum) or not type(type_).__module__.startswith("sqlalchemy."):
        return None
    return next((kind for kind in _TYPES if isinstance(type_, kind)), None)


def _texts(values: Sequence[str | None]) -> str:
    texts = [value for value in values if value is not None]
    if len(texts) == len(values):
        joined = '","'.join(texts)
        if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
            return f'{{"{joined}"}}'
    return _listed(["NULL" if value is None else _quoted(value) for value in values])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _listed(items: Sequence[str]) -> str:
    return "{" + ",".join(items) + "}"
