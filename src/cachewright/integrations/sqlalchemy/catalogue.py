"""What a database holds, asked of the database itself: tables, keys, cascades, triggers, views. A `sql.Catalogue`.

It is read once on a connection that is at hand, and again after statements that change the structure. The types of
columns are those of the mapped tables, where there are such: a UUID that the database keeps as text is a UUID.
What must not be here: the SQL of users, tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from cachewright.core.tags import DEFAULT_SCHEMAS, table_name
from cachewright.sql.dialects import known_dialect
from cachewright.sql.relations import Effect, Opaque, Relation, Table, Verb, View

_TRIGGERS = {
    "postgres": "SELECT n.nspname, c.relname FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal"
    " UNION SELECT n.nspname, c.relname FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')",
    "sqlite": "SELECT NULL, tbl_name FROM sqlite_master WHERE type = 'trigger'",
    "mysql": "SELECT NULLIF(event_object_schema, DATABASE()), event_object_table FROM information_schema.triggers",
}
"""Tables on which a trigger, or a rule, does more than statements say."""

_INHERITED = """SELECT n.nspname, c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c
    ON c.oid IN (i.inhrelid, i.inhparent) JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')
    UNION SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'f' OR c.relrowsecurity"""
_COLLATED = {
    "postgres": "SELECT n.nspname, c.relname, a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON"
    " c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_collation l"
    " ON l.oid = a.attcollation WHERE NOT l.collisdeterministic AND c.relkind = 'r'",
    "sqlite": "SELECT NULL, name, NULL FROM sqlite_master WHERE type = 'table' AND sql LIKE '%collate%'",
}
_WHO_ASKS = "SELECT current_schemas(false), current_user::text, current_setting('TimeZone')"
_REPLACING = {
    "sqlite": "SELECT NULL, name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%on%conflict%replace%'",
}
"""Tables whose constraints remove the rows that are in the way of new ones."""
_TEXTS = (sa.String, sa.Text, sa.Unicode, sa.UnicodeText, sa.VARCHAR, sa.TEXT, sa.NVARCHAR)


class DatabaseCatalogue:
    """The catalogue of one database, as the connections of one engine see it.

    `metadata`: what says more of its tables. `also`: table → the tables that its triggers write, for tables that have
    triggers; without it nobody knows. `tracked`: table → further sets of columns whose equalities get tags.
    """

    def __init__(
        self,
        dialect: sa.Dialect,
        *,
        also: Mapping[str, Iterable[str]],
        tracked: Mapping[str, Iterable[Sequence[str]]],
    ) -> None:
        self.dialect = known_dialect(dialect.name)
        self.version = 0
        self.stale = True
        self.types: dict[str, dict[str, Any]] = {}
        """Of each table by its name in tags: the type of each column."""
        self.places: dict[str, tuple[str, str | None]] = {}
        """Its name and schema as statements need them."""
        self.asking: list[Any] = []
        """What its connections are told beside the address, by which results differ: the user, the time zone, the search path."""
        self._also = {name.lower(): [each.lower() for each in to] for name, to in also.items()}
        self._tracked = {name.lower(): list(sets) for name, sets in tracked.items()}
        self._default = DEFAULT_SCHEMAS.get(dialect.name)
        self._own: str | None = None
        self._path: list[str] = []
        self._mapped: dict[str, sa.Table] = {}
        self._plain: dict[str, dict[str, type | None]] = {}
        self._relations: dict[str, Relation] = {}
        self.seen: dict[str, Relation] = {}
        """The same without what mappings say: it differs when the database holds something else."""

    def know(self, metadata: sa.MetaData) -> None:
        """Take the types of these tables."""
        new = {self._name(t.name, t.schema): t for t in metadata.tables.values()}
        if new.keys() - self._mapped.keys():
            self._mapped |= new
            self.stale = True

    # ---------------------------------------------------------------- what an analysis asks

    def relation(self, name: str, schema: str | None = None) -> Relation | None:
        """What a statement means by a name; one without a schema is looked for along the search path."""
        if schema is not None or len(self._path) < 2:
            return self._relations.get(self._name(name, schema))
        found = (self._relations.get(self._name(name, each)) for each in self._path)
        return next((each for each in found if each is not None), None)

    def tagged(self, name: str) -> Relation | None:
        """By the name that tags have for it."""
        return self._relations.get(name)

    def writes_nothing(self, function: str) -> bool:  # noqa: ARG002 - of functions it knows nothing
        """Of functions it knows nothing."""
        return False

    def _name(self, name: str, schema: str | None) -> str:
        return table_name(name, schema or self._own, default=self._default)

    # ---------------------------------------------------------------- asking the database

    def read(self, connection: sa.Connection) -> None:
        """Ask the database what it holds. Until that is known whole, others see what was known before."""
        self.stale = False  # first: a change of the structure meanwhile makes it stale again
        fresh = copy(self)
        fresh._relations, fresh.types, fresh.places, fresh._plain = {}, {}, {}, {}
        try:
            fresh._read_all(connection)
        except BaseException:
            self.stale = True
            raise
        self._own, self._path, self.asking = fresh._own, fresh._path, fresh.asking
        self._relations, self.types, self.places = fresh._relations, fresh.types, fresh.places
        self.seen = fresh.seen
        self.version += 1

    def _read_all(self, connection: sa.Connection) -> None:
        inspector = sa.inspect(connection)
        postgres = self.dialect == "postgres"
        self._own = inspector.default_schema_name if postgres else None
        schemas: list[str | None] = [None]
        if postgres:
            path, *self.asking = connection.exec_driver_sql(_WHO_ASKS).one()
            self._path = list(path or ())
            self.asking.append(self._path)
            names = inspector.get_schema_names()
            schemas = [each for each in names if not each.startswith(("pg_", "information_schema"))]
        special = self._special(connection)
        keys = [
            each for schema in schemas for each in self._read_schema(inspector, schema, special)
        ]
        # Last, when all tables are known: parents and children may be in different schemas.
        also: dict[str, dict[Verb, list[Effect]]] = {}
        for child, schema, key in keys:
            self._cascade(child, schema, key, also)
        for name in special["replacing"]:
            for verb in ("insert", "update"):
                also.setdefault(name, {}).setdefault(verb, []).append(("delete", name))
        self._add_effects(also)
        self.seen = {
            name: replace(each, columns=self._plain[name], complete=True)
            if isinstance(each, Table)
            else each
            for name, each in self._relations.items()
        }

    def _special(self, connection: sa.Connection) -> dict[str, set[str]]:
        def names(query: str | None) -> set[str]:
            if query is None:
                return set()
            return {
                ".".join([self._name(row[1], row[0]), *row[2:3]])
                if row[2:3] != (None,)
                else self._name(row[1], row[0])
                for row in map(
                    tuple,
                    connection.exec_driver_sql(
                        query.replace("%", "%%")
                        if "%" in query and connection.dialect.paramstyle in ("format", "pyformat")
                        else query
                    ),
                )
            }

        return {
            "triggers": names(_TRIGGERS[self.dialect]),
            "opaque": names(_INHERITED if self.dialect == "postgres" else None),
            "collated": names(_COLLATED.get(self.dialect)),
            "replacing": names(_REPLACING.get(self.dialect)),
        }

    def _read_schema(
        self, inspector: sa.Inspector, schema: str | None, special: Mapping[str, set[str]]
    ) -> list[tuple[str, str | None, Any]]:
        """Take the relations of one schema; its foreign keys, each as (child, schema, what is said of it)."""
        columns = inspector.get_multi_columns(schema=schema)
        keys = inspector.get_multi_pk_constraint(schema=schema)
        unique = inspector.get_multi_unique_constraints(schema=schema)
        indexes = inspector.get_multi_indexes(schema=schema)
        foreign = inspector.get_multi_foreign_keys(schema=schema)
        for place, described in columns.items():
            name = self._name(place[1], schema)
            sets = [tuple(u["column_names"]) for u in unique.get(place, [])]
            sets += [_plain_index(i) for i in indexes.get(place, [])]
            sets += [tuple(f["constrained_columns"]) for f in foreign.get(place, [])]
            sets += [tuple(each) for each in self._tracked.get(name, [])]
            self.places[name] = place[1], schema
            self._add_table(name, described, keys[place], sets=sets, special=special)
        for view in inspector.get_view_names(schema):
            text = _select_of(inspector.get_view_definition(view, schema))
            self._relations[self._name(view, schema)] = View(self._name(view, schema), text)
        if self.dialect == "postgres":
            for view in inspector.get_materialized_view_names(schema):
                name = self._name(view, schema)
                self._relations[name] = Opaque(name, "a materialized view")
        return [
            (self._name(name, schema), schema, each)
            for (_, name), constraints in foreign.items()
            for each in constraints
        ]

    def _cascade(
        self, child: str, schema: str | None, key: Any, also: dict[str, dict[Verb, list[Effect]]]
    ) -> None:
        parent = self._referred(key["referred_table"], key["referred_schema"], schema)
        options = key.get("options") or {}
        verbs: tuple[tuple[Verb, str], ...] = (("delete", "ondelete"), ("update", "onupdate"))
        for verb, option in verbs:
            action = (options.get(option) or "").upper()
            if action and action not in ("NO ACTION", "RESTRICT"):
                done: Verb = "delete" if verb == "delete" and action == "CASCADE" else "update"
                also.setdefault(parent, {}).setdefault(verb, []).append((done, child))

    def _referred(self, name: str, said: str | None, own: str | None) -> str:
        """The parent of a foreign key. PostgreSQL leaves out a schema that is on the search path; others, the child's own."""
        if said is not None or self.dialect != "postgres":
            return self._name(name, said or own)
        places = [self._name(name, each) for each in self._path]
        return next((each for each in places if each in self._relations), self._name(name, own))

    def _add_table(
        self,
        name: str,
        described: Sequence[Any],
        key: Any,
        *,
        sets: Sequence[tuple[str, ...]],
        special: Mapping[str, set[str]],
    ) -> None:
        if name in special["opaque"]:
            why = "a partition, a heir, a foreign table, or a table with policies for its rows"
            self._relations[name] = Opaque(name, why)
            return
        key_names = tuple(key["constrained_columns"])
        kinds, foreign = self._kinds(name, described, special["collated"], key_names)
        triggers = name in special["triggers"]
        declared = self._also.get(name)
        effects: list[Effect] | None = [("update", each) for each in declared or []]
        if triggers and declared is None:
            effects = None
        verbs: tuple[Verb, ...] = ("insert", "update", "delete")
        self._relations[name] = Table(
            name,
            kinds,
            key_names,
            list(dict.fromkeys(names for names in sets if names)),
            dict.fromkeys(verbs, effects) if triggers or declared else {},
            rewrites=triggers,
            complete=not any(foreign & set(names) for names in sets),
        )

    def _kinds(
        self, name: str, described: Sequence[Any], loose: set[str], key: Sequence[str]
    ) -> tuple[dict[str, type | None], set[str]]:
        """The exact kinds of a table's columns, and those that a process without its mapping would take for something else.

        What the database says counts, so that all processes tell matches apart alike. The mapping has a say of keys alone,
        because rows go by the names that other doors give them. Types are noted on the way.
        """
        mapped = self._mapped.get(name)
        types = {c["name"]: c["type"] for c in described}
        kinds = {column: exact_kind(of, self.dialect) for column, of in types.items()}
        plain = dict(kinds)
        if mapped is not None:
            for of in [c for c in mapped.columns if c.name in key]:
                kinds[of.name] = _agreed(plain[of.name], exact_kind(of.type, self.dialect))
                types[of.name] = of.type
        for each in described:
            column = each["name"]
            # What the database computes changes with columns that a statement does not name.
            if {name, f"{name}.{column}"} & loose or each.get("computed"):
                kinds[column] = plain[column] = None
        self.types[name], self._plain[name] = types, plain
        return kinds, {column for column in kinds if kinds[column] is not plain[column]}

    def _add_effects(self, also: Mapping[str, Mapping[Verb, Sequence[Effect]]]) -> None:
        for name, verbs in also.items():
            found = self._relations.get(name)
            if not isinstance(found, Table):
                continue
            whole = dict(found.also)
            for verb, effects in verbs.items():
                known = whole.get(verb, [])
                whole[verb] = None if known is None else [*known, *effects]
            self._relations[name] = Table(
                found.name,
                found.columns,
                found.key,
                found.tracked,
                whole,
                found.rewrites,
                found.complete,
            )


def _plain_index(index: Any) -> tuple[str, ...]:
    names = index["column_names"]
    partial = any(key.endswith("_where") for key in index.get("dialect_options") or {})
    return () if None in names or partial or index.get("expressions") else tuple(names)


def _select_of(definition: str | None) -> str:
    """What a view selects, of its whole definition."""
    text = (definition or "").strip().rstrip(";")
    if text[:6].upper() == "CREATE":
        _, _, text = (
            text.replace("\n", " ").partition(" AS ")
            if " AS " in text.replace("\n", " ")
            else text.replace("\n", " ").partition(" as ")
        )
    return text


def _agreed(found: type | None, mapped: type | None) -> type | None:
    """What a mapping says of a column, unless a process without it would take values of the column for something else.

    Of columns whose equality is not exact in the database (CHAR(n), citext, a collation), only those that hold UUIDs, whose
    text has one form.
    """
    return mapped if found is mapped or (found is None and mapped is UUID) else None


def exact_kind(of: Any, dialect: str) -> type | None:
    """The Python type of a column's values where its equality is exact, else None."""
    if isinstance(of, TypeDecorator):
        return None
    if isinstance(of, sa.Boolean):
        return bool
    if isinstance(of, sa.Integer):
        return int
    if isinstance(of, sa.Uuid):
        return UUID
    if isinstance(of, sa.Date):
        return date
    plain = (
        type(of) in _TEXTS
        and not isinstance(of, sa.Enum)
        and getattr(of, "collation", None) is None
    )
    return str if plain and dialect != "mysql" else None
