"""A small shop for random statements: its tables, and functions that make up rows, SELECTs and writes from a seed.

What must not be here: analyses, databases, tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from cachewright.sql import Table, Tables, View

SCHEMA = (
    "CREATE TABLE flights (id INTEGER PRIMARY KEY, airport VARCHAR, gate INTEGER, late INTEGER)",
    "CREATE TABLE seats (id INTEGER PRIMARY KEY, flight_id INTEGER, place VARCHAR, paid INTEGER)",
    'CREATE TABLE "Crew List" (id INTEGER PRIMARY KEY, flight_id INTEGER, name VARCHAR)',
    "CREATE TABLE legs (flight_id INTEGER, number INTEGER, airport VARCHAR, PRIMARY KEY (flight_id, number))",
    "CREATE VIEW late_flights AS SELECT id, airport, gate FROM flights WHERE late > 0",
    "CREATE VIEW late_seats AS SELECT s.id, f.gate, s.place AS airport FROM seats s JOIN late_flights f ON f.id = s.flight_id",
    "CREATE VIEW gate_one AS SELECT id, airport, gate FROM flights WHERE gate = 1",
)
VIEWS = {
    text.split()[2]: text.partition(" AS ")[2] for text in SCHEMA if text.startswith("CREATE VIEW")
}

COLUMNS: dict[str, dict[str, type]] = {
    "flights": {"id": int, "airport": str, "gate": int, "late": int},
    "seats": {"id": int, "flight_id": int, "place": str, "paid": int},
    "Crew List": {"id": int, "flight_id": int, "name": str},
    "legs": {"flight_id": int, "number": int, "airport": str},
}
VIEW_COLUMNS: dict[str, dict[str, type]] = {
    name: {"id": int, "airport": str, "gate": int} for name in VIEWS
}
KEYS = {"legs": ("flight_id", "number")}
TRACKED = {
    "flights": [("airport",), ("airport", "gate")],
    "seats": [("flight_id",), ("flight_id", "place")],
    "Crew List": [("flight_id",)],
    "legs": [("airport",)],
}


def described(*, default: str) -> Tables:
    """The shop as a catalogue."""
    tables = [
        Table(name.lower(), columns, KEYS.get(name, ("id",)), TRACKED[name])
        for name, columns in COLUMNS.items()
    ]
    views = [View(name, sql) for name, sql in VIEWS.items()]
    return Tables([*tables, *views], default=default)


def value(random: Random, kind: type) -> Any:
    """A value of a column, or NULL."""
    if random.random() < 0.1:
        return None
    return random.randint(0, 2) if kind is int else random.choice(["OSL", "OSL", "CDG", "a'b", ""])


def rows(random: Random) -> dict[str, list[dict[str, Any]]]:
    """The content of all tables."""
    return {name: rows_of(random, name) for name in COLUMNS}


def rows_of(random: Random, name: str) -> list[dict[str, Any]]:
    """Some rows of a table, of different keys."""
    key = KEYS.get(name, ("id",))
    keys = {tuple(random.randint(0, 2) for _ in key) for _ in range(random.randint(1, 5))}
    found = []
    for each in sorted(keys):
        row = {c: value(random, kind) for c, kind in COLUMNS[name].items()}
        found.append(row | dict(zip(key, each, strict=True)))
    return found


# -------------------------------------------------------------------- statements


@dataclass
class Draft:
    """A statement under construction, with the values of its parameters, each written `{}`."""

    random: Random
    schema: str
    params: list[Any]
    names: int = 0
    depth: int = 0
    ctes: dict[str, dict[str, type]] | None = None

    def name(self) -> str:
        """A fresh alias."""
        self.names += 1
        return f"t{self.names}"

    def pick(self, *options: Any) -> Any:
        """One of them."""
        return self.random.choice(options)

    def constant(self, kind: type) -> str:
        """A value as a literal or a parameter."""
        found = value(self.random, kind)
        if self.pick(True, False):
            self.params.append(found)
            return "{}"
        if found is None:
            return "NULL"
        return str(found) if kind is int else "'" + found.replace("'", "''").replace("{", "") + "'"


def _quoted(draft: Draft, name: str) -> str:
    plain = f'"{name}"' if " " in name else draft.pick(name, f'"{name}"', name.upper())
    return str(draft.pick(plain, f"{draft.schema}.{plain}", f"{plain} /* FROM legs */"))


Alias = tuple[str, dict[str, type]]


def _source(draft: Draft) -> tuple[str, list[Alias]]:
    kinds = ["table", "table", "table", "view"]
    kinds += ["cte", "cte"] if draft.ctes else []
    kinds += ["subquery", "parentheses"] if draft.depth < 2 else []
    kind = draft.pick(*kinds)
    alias = draft.name()
    if kind == "parentheses":
        inner, aliases = _from(draft)
        return f"({inner})", aliases
    if kind == "subquery":
        text, columns = _select(draft, named=True)
        return f"({text}) AS {alias}", [(alias, columns)]
    if kind == "cte" and draft.ctes:
        name = draft.pick(*draft.ctes)
        return f"{name} AS {alias}", [(alias, draft.ctes[name])]
    if kind == "view":
        name = draft.pick(*VIEWS)
        return f"{_quoted(draft, name)} {alias}", [(alias, VIEW_COLUMNS[name])]
    name = draft.pick(*COLUMNS)
    return f"{_quoted(draft, name)} {draft.pick('AS ', '')}{alias}", [(alias, COLUMNS[name])]


def _from(draft: Draft) -> tuple[str, list[Alias]]:
    draft.depth += 1
    text, aliases = _source(draft)
    for _ in range(draft.pick(0, 0, 1, 1, 2)):
        how = draft.pick(
            ",",
            "JOIN",
            "JOIN",
            "LEFT JOIN",
            "LEFT OUTER JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "CROSS JOIN",
        )
        other, more = _source(draft)
        if how == ",":
            how = "CROSS JOIN" if len(aliases) > 1 else ","
        elif how != "CROSS JOIN":
            more_on = f" ON {_condition(draft, [*aliases, *more], [])}"
            other += more_on
        text += f"{how if how == ',' else ' ' + how} {other}"
        aliases = [*aliases, *more]
    draft.depth -= 1
    return text, aliases


def _column(draft: Draft, aliases: list[Alias]) -> tuple[str, type]:
    alias, columns = draft.pick(*aliases)
    name = draft.pick(*columns)
    bare = len(aliases) == 1 and draft.pick(True, False)
    return (name if bare else f"{alias}.{draft.pick(name, name.upper())}"), columns[name]


def _condition(draft: Draft, aliases: list[Alias], outer: list[Alias]) -> str:
    parts = [_comparison(draft, aliases, outer) for _ in range(draft.pick(1, 1, 1, 2, 2, 3))]
    text = parts[0]
    for part in parts[1:]:
        text = f"{text} {draft.pick('AND', 'AND', 'AND', 'OR')} {part}"
    return draft.pick(text, f"({text})", f"NOT ({text})" if len(parts) == 1 else text)


def _comparison(draft: Draft, aliases: list[Alias], outer: list[Alias]) -> str:
    column, kind = _column(draft, aliases)
    how = draft.pick(
        "=", "=", "=", "=", "in", "columns", "columns", "<", "<>", "null", "or", "exists", "scalar"
    )
    if how in ("=", "<", "<>"):
        sides = [column, draft.constant(kind)]
        return f" {how} ".join(sides if how != "=" or draft.pick(True, False) else sides[::-1])
    if how == "in":
        items = ", ".join(draft.constant(kind) for _ in range(draft.pick(1, 2, 3)))
        return f"{column} {draft.pick('IN', 'IN', 'NOT IN')} ({items})"
    if how == "or":
        return f"({column} = {draft.constant(kind)} OR {column} = {draft.constant(kind)})"
    if how == "null":
        return f"{column} IS {draft.pick('', 'NOT ')}NULL"
    if how == "columns":
        other, its_kind = _column(draft, [*aliases, *outer])
        return f"{column} = {other}" if its_kind is kind else f"{column} IS NOT NULL"
    if draft.depth >= 2:
        return f"{column} = {draft.constant(kind)}"
    if how == "exists":
        inner, own = _from(draft)
        return f"EXISTS (SELECT 1 FROM {inner} WHERE {_condition(draft, own, aliases)})"
    inner, own = _from(draft)
    given = f"(SELECT max({_any_of(draft, own, kind)}) FROM {inner} WHERE {_condition(draft, own, aliases)})"
    return f"{column} {draft.pick('=', '<')} {given}"


def _any_of(draft: Draft, aliases: list[Alias], kind: type) -> str:
    fitting = [f"{a}.{c}" for a, columns in aliases for c, k in columns.items() if k is kind]
    return str(draft.pick(*fitting)) if fitting else draft.constant(kind).replace("NULL", "''")


def _select(draft: Draft, *, named: bool = False) -> tuple[str, dict[str, type]]:
    source, aliases = _from(draft)
    where = f" WHERE {_condition(draft, aliases, [])}" if draft.pick(True, True, False) else ""
    shape = draft.pick("columns", "columns", "count", "group", "distinct")
    column, kind = _column(draft, aliases)
    if shape == "count":
        return f"SELECT count(*) AS n FROM {source}{where}", {"n": int}
    if shape == "group":
        having = draft.pick("", " HAVING count(*) > 1")
        return (
            f"SELECT {column} AS k, count(*) AS n FROM {source}{where} GROUP BY {column}{having}",
            {"k": kind, "n": int},
        )
    other, its_kind = _column(draft, aliases)
    word = "DISTINCT " if shape == "distinct" else ""
    if not named and shape == "columns" and draft.pick(True, False):
        return f"SELECT * FROM {source}{where}", {}
    return f"SELECT {word}{column} AS k, {other} AS n FROM {source}{where}", {
        "k": kind,
        "n": its_kind,
    }


def _fixed(draft: Draft, alias: str, name: str) -> str:
    """Equalities of a tracked set of columns, or of the key."""
    chosen = draft.pick(KEYS.get(name, ("id",)), *TRACKED[name])
    return " AND ".join(_equal(draft, f"{alias}.{each}", COLUMNS[name][each]) for each in chosen)


def _equal(draft: Draft, column: str, kind: type) -> str:
    if draft.pick(True, True, False):
        return f"{column} = {draft.constant(kind)}"
    if draft.pick(True, False):
        return f"({column} = {draft.constant(kind)} OR {draft.constant(kind)} = {column})"
    return f"{column} IN ({draft.constant(kind)}, {draft.constant(kind)})"


def _narrow(draft: Draft) -> str:
    """A query of one or two tables of which each is fixed, by WHERE or by the ON of its join."""
    one, other = draft.pick(*COLUMNS), draft.pick(*COLUMNS)
    what = draft.pick("*", "count(*)", "count(*)", f"max(a.{draft.pick(*COLUMNS[one])})")
    start = f'SELECT {what} FROM "{one}" a'
    if draft.pick(True, False):
        return f"{start} WHERE {_fixed(draft, 'a', one)}"
    join = draft.pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
    links = [
        f"a.{c} = b.{d}"
        for c, k in COLUMNS[one].items()
        for d, its in COLUMNS[other].items()
        if k is its
    ]
    link = draft.pick(*links)
    alias, name = draft.pick(("a", one), ("b", other))
    on = link if draft.pick(True, False) else f"{link} AND {_fixed(draft, alias, name)}"
    where = draft.pick("", "WHERE a", "WHERE a", "WHERE b", "WHERE both")
    parts = []
    if where in ("WHERE a", "WHERE both"):
        parts.append(_fixed(draft, "a", one))
    if where in ("WHERE b", "WHERE both"):
        parts.append(_fixed(draft, "b", other))
    end = f" WHERE {' AND '.join(parts)}" if parts else ""
    return f'{start} {join} "{other}" b ON {on}{end}'


def selects(random: Random, schema: str) -> tuple[str, list[Any]]:
    """A query, its parameters written `{}`, and their values."""
    draft = Draft(random, schema, [])
    if draft.pick(True, True, False):
        return _narrow(draft), draft.params
    start = ""
    if draft.pick(True, False, False):
        name = draft.pick("recent", "flights")  # also one that hides a table
        text, columns = _select(draft, named=True)
        start = f"WITH {name} AS ({text}) "
        draft.ctes = {name: columns}
    text, columns = _select(draft, named=True)
    if draft.pick(True, False, False, False):
        so_far = len(draft.params)
        again, others = _select(draft, named=True)
        if list(columns.values()) != list(others.values()):
            del draft.params[so_far:]  # of a statement that is not taken
        if list(columns.values()) == list(others.values()):
            text = f"{text} {draft.pick('UNION', 'UNION ALL', 'EXCEPT')} {again}"
    return start + text, draft.params


def writes(random: Random, schema: str, *, near: str) -> tuple[str, list[Any]]:
    """A write, with parameters as `selects` has them; it may fail. Mostly of a table that the statement `near` names."""
    draft = Draft(random, schema, [])
    named = [name for name in COLUMNS if name.lower() in near.lower()] * 3
    name = draft.pick(*named, *COLUMNS)
    columns = COLUMNS[name]
    table = _quoted(draft, name)
    verb = draft.pick("insert", "update", "update", "delete")
    if verb == "insert":
        cells = ", ".join(draft.constant(kind) for kind in columns.values())
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({cells})", draft.params
    bare = f'"{name}"'
    if verb == "update":
        column = draft.pick(*columns)
        start = f"UPDATE {table} SET {column} = {draft.constant(columns[column])}"
    else:
        start = f"DELETE FROM {table}"
    draft.depth = 2
    condition = _condition(draft, [(bare, columns)], []) if draft.pick(True, True, False) else ""
    return start + (f" WHERE {condition}" if condition else ""), draft.params


def with_literals(sql: str, params: list[Any]) -> str:
    """A statement with its parameters written out."""
    for each in params:
        text = "NULL" if each is None else str(each) if isinstance(each, int) else None
        sql = sql.replace(
            "{}", text if text is not None else "'" + each.replace("'", "''") + "'", 1
        )
    return sql
