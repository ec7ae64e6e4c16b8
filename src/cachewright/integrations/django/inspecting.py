"""What the database itself says of its relations, asked through a connection of Django: views, triggers, cascades.

The questions are those of the door for raw SQL. They go to the driver's own cursor, past everybody who watches statements.
What must not be here: models, and what the answers mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cachewright.integrations.dbapi import mysql, postgresql, sqlite
from cachewright.integrations.dbapi.asking import Schema
from cachewright.integrations.dbapi.schema import Relations, Seen
from cachewright.sql import DEFAULT_SCHEMAS

_ASK: Mapping[str, Any] = {
    "postgres": postgresql.introspect,
    "sqlite": sqlite.introspect,
    "mysql": mysql.introspect,
}


def schema_of(connection: Any, dialect: str) -> Schema:
    """What the database says of itself, as plain data."""
    schema: Schema = _asked(connection, _ASK[dialect]())
    return schema


def seen(schema: Schema, dialect: str, writes: Mapping[str, Iterable[str]]) -> Seen:
    """All relations of the database, as the connection's search path sees them. `writes`: what triggers write."""
    default = DEFAULT_SCHEMAS.get(dialect) or next(iter(schema["path"]), None)
    relations = Relations(dialect, schema, default=default, matches=True, triggers=writes)
    return Seen(relations, schema["path"])


def _asked(connection: Any, conversation: Any) -> Any:
    connection.ensure_connection()
    cursor = connection.connection.cursor()
    try:
        question = next(conversation)
        while True:
            cursor.execute(question)
            question = conversation.send([tuple(row) for row in cursor.fetchall()])
    except StopIteration as ended:
        return ended.value
    finally:
        cursor.close()
