"""What PostgreSQL's own catalogue says of tables, views, keys, cascades, triggers, partitions and functions.

What must not be here: what the answers mean for a cache (`schema`).
"""

from __future__ import annotations

from typing import Any

from cachewright.integrations.dbapi.asking import Conversation, Schema

SESSION = """
SELECT current_schemas(false)::text[], current_user::text, current_setting('TimeZone'), pg_my_temp_schema() <> 0,
       current_setting('row_security')
"""
TRANSACTION = (
    "SELECT current_setting('transaction_isolation'), pg_current_xact_id_if_assigned() IS NULL"
)
"""Whether a result may be filled inside a transaction: of which isolation it is, and whether it has written nothing."""

IDENTITY = "SELECT system_identifier::text, current_database()::text FROM pg_control_system()"
_RELATIONS = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relrowsecurity,
       CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname
  NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
"""
_COLUMNS = """
SELECT c.oid::bigint, a.attname::text,
       CASE WHEN t.typtype = 'e' THEN 'enum' WHEN t.typtype = 'b' AND tn.nspname = 'pg_catalog' THEN t.typname::text END,
       COALESCE(l.collisdeterministic, true), a.attgenerated <> ''
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = t.typnamespace
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relkind IN ('r', 'p', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname
  NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%' ORDER BY c.oid, a.attnum
"""
_INDEXES = """
SELECT i.indrelid::bigint, i.indisprimary, (
         SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place)
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE k.place <= i.indnkeyatts)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname
  NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
"""
_FOREIGN_KEYS = """
SELECT f.conrelid::bigint, f.confrelid::bigint, f.confdeltype::text, f.confupdtype::text, (
         SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(f.conkey) WITH ORDINALITY AS k(number, place)
         JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.number)
FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE f.contype = 'f' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname
  NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
"""
_TRIGGERS = """
SELECT t.tgrelid::bigint, t.tgtype::int, p.prosrc::text, l.lanname::text FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
JOIN pg_language l ON l.oid = p.prolang WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
UNION ALL
SELECT r.ev_class::bigint, 28, NULL, 'rule' FROM pg_rewrite r WHERE r.rulename <> '_RETURN'
"""
_PARENTS = "SELECT inhrelid::bigint, inhparent::bigint FROM pg_inherits"
_QUIET_FUNCTIONS = """
SELECT p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname <> 'pg_catalog'
GROUP BY p.proname HAVING bool_and(p.provolatile <> 'v')
"""


def introspect() -> Conversation:
    """Ask for everything; the answers as plain data."""
    path: list[str] = (yield SESSION)[0][0]
    relations = yield _RELATIONS
    columns = yield _COLUMNS
    indexes = yield _INDEXES
    foreign_keys = yield _FOREIGN_KEYS
    triggers = yield _TRIGGERS
    parents = yield _PARENTS
    functions = yield _QUIET_FUNCTIONS
    found: Schema = {
        "path": list(path),
        "relations": [list(row) for row in relations],
        "columns": [
            # What is computed changes with columns that a statement does not name.
            [oid, name, None if computed else _kind(kind, exact)]
            for oid, name, kind, exact, computed in columns
        ],
        "keys": [[oid, list(names)] for oid, primary, names in indexes if primary and names],
        "sets": [[oid, list(names)] for oid, primary, names in indexes if not primary and names]
        + [[row[0], list(row[4])] for row in foreign_keys],
        "effects": [each for row in foreign_keys for each in _cascades(row)],
        "triggers": [list(row) for row in triggers],
        "parents": [list(row) for row in parents],
        "quiet": [row[0] for row in functions],
    }
    return found


_KINDS = {
    "int2": "int",
    "int4": "int",
    "int8": "int",
    "bool": "bool",
    "uuid": "uuid",
    "date": "date",
    "enum": "str",
}


def _kind(name: str | None, deterministic: bool) -> str | None:
    """The kind of a column with exact equality; CHAR(n), which PostgreSQL calls bpchar, has none."""
    if name in ("text", "varchar"):
        return "str" if deterministic else None
    return _KINDS.get(name or "")


def _cascades(row: Any) -> list[list[Any]]:
    """[referenced table, verb there, verb here, referencing table] for each action that writes."""
    child, parent, on_delete, on_update, _ = row
    verbs = {"c": "delete", "n": "update", "d": "update"}
    found = []
    if on_delete in verbs:
        found.append([parent, "delete", verbs[on_delete], child])
    if on_update in verbs:
        found.append([parent, "update", "update", child])
    return found
