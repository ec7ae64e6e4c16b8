"""What SQLite's own catalogue says: tables, views, keys, cascades and the text of triggers.

What must not be here: what the answers mean for a cache (`schema`).
"""

from __future__ import annotations

import re

from cachewright.integrations.dbapi.asking import Conversation, Schema

SESSION = "PRAGMA database_list"
"""The databases of the connection and their files."""
VERSION = "PRAGMA schema_version"
"""What DDL of any connection moves."""
TEMPORARY = "SELECT count(*) FROM sqlite_temp_master"

_RELATIONS = r"""
SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
"""
_COLUMNS = r"""
SELECT t.name, c.name, c.type, c.pk, c.hidden FROM sqlite_master AS t, pragma_table_xinfo(t.name) AS c
WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\'
"""
_INDEXES = r"""
SELECT t.name, i.name, i.partial, x.name, x.coll, x.seqno
FROM sqlite_master AS t, pragma_index_list(t.name) AS i, pragma_index_xinfo(i.name) AS x
WHERE x.key = 1 AND t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\'
"""
_FOREIGN_KEYS = r"""
SELECT t.name, f.id, f."table", f."from", f.on_update, f.on_delete
FROM sqlite_master AS t, pragma_foreign_key_list(t.name) AS f
WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\'
"""
_REPLACING = re.compile(r"\bon\s+conflict\s+replace\b", re.IGNORECASE)
_TRIGGERS = "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"


def introspect() -> Conversation:
    """Ask for everything; the answers as plain data. Tables are called by their names in lower case."""
    relations = yield _RELATIONS
    columns = yield _COLUMNS
    indexes = yield _INDEXES
    foreign_keys = yield _FOREIGN_KEYS
    triggers = yield _TRIGGERS
    collated = {name for name, kind, sql in relations if "COLLATE" in (sql or "").upper()}
    keys: dict[str, list[tuple[int, str]]] = {}
    for table, name, _, place, _ in columns:
        if place:
            keys.setdefault(table, []).append((place, name))
    found: Schema = {
        "path": ["main"],
        "relations": [_relation(*row) for row in relations],
        "columns": [
            # What is computed (hidden) changes with columns that a statement does not name.
            [table.lower(), name, None if hidden else _kind(type_, collated=table in collated)]
            for table, name, type_, _, hidden in columns
        ],
        "keys": [
            [table.lower(), [name for _, name in sorted(those)]] for table, those in keys.items()
        ],
        "sets": [*_sets(indexes), *_referencing(foreign_keys)],
        "effects": [
            *(each for row in foreign_keys for each in _cascades(row)),
            *(each for name, _, sql in relations for each in _replacements(name, sql)),
        ],
        "triggers": [[table.lower(), 0, sql, "sqlite"] for table, sql in triggers],
        "parents": [],
        "quiet": [],
    }
    return found


def _relation(name: str, kind: str, sql: str) -> list[object]:
    virtual = "CREATE VIRTUAL" in " ".join((sql or "").upper().split())[:20]
    letter = "f" if virtual else "v" if kind == "view" else "r"
    text = sql if letter == "v" else None
    return [name.lower(), "main", name, letter, False, text]


def _kind(declared: str, *, collated: bool) -> str | None:
    """The kind of a column whose stored values compare exactly; CHAR(n) may hold another type's text."""
    name = (declared or "").upper()
    if name in ("BOOLEAN", "BOOL"):
        return "bool"
    if "INT" in name:
        return "int"
    if name == "DATE":
        return "date"
    fixed = name.startswith(("CHAR", "NCHAR", "NATIVE"))
    text = not fixed and any(word in name for word in ("VARCHAR", "CLOB", "TEXT", "VARYING"))
    return "str" if text and not collated else None


def _sets(indexes: list[tuple[object, ...]]) -> list[list[object]]:
    found: dict[tuple[str, str], list[str] | None] = {}
    for table, index, partial, column, collation, _ in sorted(
        indexes, key=lambda row: (str(row[1]), row[5])
    ):
        name = (str(table).lower(), str(index))
        so_far = found.setdefault(name, [])
        usable = not partial and column is not None and collation == "BINARY" and so_far is not None
        found[name] = [*(so_far or []), str(column)] if usable else None
    return [[table, names] for (table, _), names in found.items() if names]


def _referencing(foreign_keys: list[tuple[object, ...]]) -> list[list[object]]:
    found: dict[tuple[str, object], list[str]] = {}
    for table, number, _, column, *_ in foreign_keys:
        found.setdefault((str(table).lower(), number), []).append(str(column))
    return [[table, names] for (table, _), names in found.items()]


def _replacements(name: str, sql: str | None) -> list[list[object]]:
    """Constraints that remove the rows that are in the way of new ones."""
    own = name.lower()
    replaces = _REPLACING.search(sql or "") is not None
    return [[own, verb, "delete", own] for verb in ("insert", "update") if replaces]


def _cascades(row: tuple[object, ...]) -> list[list[object]]:
    child, _, parent, _, on_update, on_delete = row
    verbs = {"CASCADE": "delete", "SET NULL": "update", "SET DEFAULT": "update"}
    found: list[list[object]] = []
    if on_delete in verbs:
        found.append([str(parent).lower(), "delete", verbs[str(on_delete)], str(child).lower()])
    if on_update in verbs:
        found.append([str(parent).lower(), "update", "update", str(child).lower()])
    return found
