"""What MySQL's and MariaDB's information_schema says: tables, views, keys, cascades, triggers, routines.

What must not be here: what the answers mean for a cache (`schema`).
"""

from __future__ import annotations

from typing import Any

from cachewright.integrations.dbapi.asking import Conversation, Rows, Schema

SESSION = "SELECT DATABASE(), CURRENT_USER(), @@session.time_zone, @@session.sql_mode, @@session.collation_connection"
IDENTITY = "SELECT CONCAT(@@hostname, ':', @@port, ':', @@datadir)"

_RELATIONS = """
SELECT t.table_schema, t.table_name, t.table_type, t.engine, v.view_definition FROM information_schema.tables t
LEFT JOIN information_schema.views v ON v.table_schema = t.table_schema AND v.table_name = t.table_name
WHERE t.table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
"""
_COLUMNS = """
SELECT table_schema, table_name, column_name, data_type, COALESCE(generation_expression, '') <> '' FROM information_schema.columns WHERE table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
ORDER BY table_schema, table_name, ordinal_position
"""
_INDEXES = """
SELECT table_schema, table_name, index_name, column_name, sub_part FROM information_schema.statistics
WHERE table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema') ORDER BY table_schema, table_name, index_name, seq_in_index
"""
_FOREIGN_KEYS = """
SELECT constraint_schema, table_name, unique_constraint_schema, referenced_table_name, update_rule, delete_rule
FROM information_schema.referential_constraints WHERE constraint_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
"""
_TRIGGERS = """
SELECT event_object_schema, event_object_table, action_statement FROM information_schema.triggers
WHERE trigger_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
"""
_ROUTINES = """
SELECT LOWER(routine_name) FROM information_schema.routines WHERE routine_type = 'FUNCTION' AND routine_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
GROUP BY LOWER(routine_name) HAVING MAX(sql_data_access IN ('MODIFIES SQL DATA', 'CONTAINS SQL')) = 0
"""
_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_MOVING_ENGINES = frozenset({"FEDERATED", "CONNECT", "SPIDER", "CSV", "BLACKHOLE"})


def introspect() -> Conversation:
    """Ask for everything; the answers as plain data. Tables are called `schema.name`, in lower case."""
    database = (yield SESSION)[0][0]
    relations = yield _RELATIONS
    columns = yield _COLUMNS
    indexes = yield _INDEXES
    foreign_keys = yield _FOREIGN_KEYS
    triggers = yield _TRIGGERS
    routines = yield _ROUTINES
    keys, sets = _keys(indexes)
    found: Schema = {
        "path": [database] if database else [],
        "relations": [_relation(row) for row in relations],
        "columns": [
            # What is computed changes with columns that a statement does not name.
            [_called(schema, table), name, "int" if kind in _INTEGERS and not computed else None]
            for schema, table, name, kind, computed in columns
        ],
        "keys": keys,
        "sets": sets,
        "effects": [each for row in foreign_keys for each in _cascades(row)],
        "triggers": [
            [_called(schema, table), 0, text, "mysql"] for schema, table, text in triggers
        ],
        "parents": [],
        "quiet": [row[0] for row in routines],
    }
    return found


def _called(schema: str, table: str) -> str:
    return f"{schema}.{table}".lower()


def _relation(row: tuple[Any, ...]) -> list[Any]:
    schema, name, kind, engine, definition = row
    letter = "v" if kind == "VIEW" else "r" if kind == "BASE TABLE" else "f"
    moving = (engine or "").upper() in _MOVING_ENGINES
    return [_called(schema, name), schema, name, "f" if moving else letter, False, definition]


def _keys(indexes: Rows) -> tuple[list[Any], list[Any]]:
    found: dict[tuple[str, str], list[str] | None] = {}
    for schema, table, index, column, part in indexes:
        name = (_called(schema, table), str(index))
        so_far = found.setdefault(name, [])
        usable = column is not None and part is None and so_far is not None
        found[name] = [*(so_far or []), column] if usable else None
    whole = [(table, index, names) for (table, index), names in found.items() if names]
    keys = [[table, names] for table, index, names in whole if index == "PRIMARY"]
    return keys, [[table, names] for table, index, names in whole if index != "PRIMARY"]


def _cascades(row: tuple[Any, ...]) -> list[list[Any]]:
    schema, child, its_schema, parent, on_update, on_delete = row
    verbs = {"CASCADE": "delete", "SET NULL": "update", "SET DEFAULT": "update"}
    here, there = _called(schema, child), _called(its_schema, parent)
    found = [[there, "delete", verbs[on_delete], here]] if on_delete in verbs else []
    return found + ([[there, "update", "update", here]] if on_update in verbs else [])
