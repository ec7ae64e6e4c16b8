"""The table `cachewright_positions`, over a Django connection; see the SQLAlchemy source for what it is for.

What must not be here: what is applied.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, connections, transaction

from cachewright.patterns.sources import Position

TABLE = "cachewright_positions"
_CREATE = """CREATE TABLE IF NOT EXISTS {table} (
    {queue} varchar(190) NOT NULL, {partition} integer NOT NULL, {position} varchar(64) NOT NULL,
    PRIMARY KEY ({queue}, {partition}))"""
_READ = "SELECT {position} FROM {table} WHERE {queue} = %s AND {partition} = %s"
_BEGIN = "INSERT INTO {table} ({queue}, {partition}, {position}) VALUES (%s, %s, %s)"
_MOVE = (
    "UPDATE {table} SET {position} = %s WHERE {queue} = %s AND {partition} = %s AND {position} = %s"
)


def _quoted(using: str, text: str) -> str:
    quote = connections[using].ops.quote_name
    names = {name: quote(name) for name in ("queue", "partition", "position")}
    return text.format(table=quote(TABLE), **names)


def _run(using: str, text: str, parameters: list[Any]) -> tuple[int, Any]:
    """The number of rows, and the first row of a query."""
    with connections[using].cursor() as cursor:
        cursor.execute(_quoted(using, text), parameters)
        return cursor.rowcount, cursor.fetchone() if cursor.description else None


def create(using: str) -> None:
    """Make the table if there is none."""
    columns = "{queue} varchar(190) NOT NULL, {partition} integer NOT NULL, {position} varchar(64) NOT NULL"
    key = "PRIMARY KEY ({queue}, {partition})"
    _run(using, f"CREATE TABLE IF NOT EXISTS {{table}} ({columns}, {key})", [])


def read(using: str, queue: str, partition: int) -> str | None:
    """The recorded position, or None."""
    _, found = _run(using, _READ, [queue, partition])
    return None if found is None else str(found[0])


def advance(using: str, position: Position) -> bool:
    """Move from `expected` to `last` and hold the row until the transaction ends; False if it is not there."""
    own = [position.queue, position.partition]
    if position.expected is None:
        return _begin(using, [*own, position.last])
    moved, _ = _run(using, _MOVE, [position.last, *own, position.expected])
    return moved == 1


def _begin(using: str, values: list[Any]) -> bool:
    try:
        with transaction.atomic(using=using):
            _run(using, _BEGIN, values)
    except IntegrityError:
        return False
    return True
